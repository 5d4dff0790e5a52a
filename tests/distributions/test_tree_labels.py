"""Labels that depend on each other along a tree, against sums over all configurations."""

import math
from itertools import product

import pyro.distributions as dist
import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import LabelVector
from ccvae_pyro.distributions import (
    LabelGroup,
    LabelTree,
    LogitBernoulli,
    ObservedLabels,
    PartiallyObserved,
    TreeLabels,
)
from ccvae_pyro.distributions.label_vector import label_divergence, most_likely

# The number of classes of each label, 0 for a continuous one; its node; and the node's parent.
TREES = {
    "twelve binary labels": (
        [2] * 12, [*range(12)], [-1, 0, 1, 1, 3, 0, -1, 6, 7, 8, 9, -1]
    ),
    "a chain": ([2] * 9, [*range(9)], [-1, 0, 1, 2, 3, 4, 5, 6, 7]),
    "no edges": ([2] * 3, [0, 1, 2], [-1] * 3),
    "mixed classes": ([3, 2, 0, 4, 2, 2, 3], [0, 1, 2, 3, 4, 5, 6], [1, -1, -1, 0, 3, 1, -1]),
    "a label of many classes": ([70, 2, 3], [0, 1, 2], [-1, 2, -1]),
    "nodes of several labels": (
        [2] * 10, [0, 1, 0, 0, 4, 4, 6, 6, 6, 9], [4, 0, -1, -1, -1, -1, 4, -1, -1, 0]
    ),
    "mixed nodes": ([2, 3, 2, 0, 2, 2], [0, 1, 0, 3, 4, 1], [1, -1, -1, -1, 0, -1]),
}  # fmt: skip
BATCH = 4
ONE = torch.ones(1, dtype=torch.float64)


def make_tree(name):
    """A tree of random parameters; each kind has a group, binary labels together."""
    sizes, nodes, parents = TREES[name]
    binary = [i for i, size in enumerate(sizes) if size == 2]
    are_all = len(binary) == len(sizes)
    fn = LogitBernoulli(logits=torch.randn(len(binary)))
    groups = [LabelGroup(fn, None if are_all else torch.tensor(binary))]
    for i, size in enumerate(sizes):
        if size != 2:
            fn = dist.Categorical(logits=torch.randn(1, size)) if size else dist.Normal(ONE, 2.0)
            groups.append(LabelGroup(fn, torch.tensor([i])))
    layout = [(i, 2) for i in binary]
    layout += [(i, size) for i, size in enumerate(sizes) if 2 < size <= 64]
    owner = torch.tensor([nodes[i] for i, size in layout for _ in range(size - 1)])
    label = torch.tensor([i for i, size in layout for _ in range(size - 1)])
    of_parent = torch.tensor(parents)[owner]
    is_free = (owner[:, None] == owner) & (label[:, None] < label)
    is_free |= (of_parent[:, None] == owner) | (owner[:, None] == of_parent)
    quadratic = 2 * torch.randn(is_free.shape) * is_free
    linear = torch.randn(len(owner))

    def tree(constant):
        tensors = torch.tensor(nodes), torch.tensor(parents), quadratic, linear
        return TreeLabels(groups, LabelTree(layout, *tensors, torch.as_tensor(constant)))

    _, log_p = enumerated(name, tree(0.0))
    return tree(-log_p.logsumexp(0))


@pytest.fixture(params=TREES)
def name(request):
    return request.param


@pytest.fixture
def p_y(name):
    return make_tree(name)


def configurations(name):
    """All label vectors; continuous labels are 0.5."""
    values = [range(size) if size else [0.5] for size in TREES[name][0]]
    return torch.tensor([[float(v) for v in y] for y in product(*values)])


def enumerated(name, p_y):
    """The logarithm of each configuration's probability, by loops over labels and their pairs."""
    y, tree = configurations(name), p_y.tree
    log_p = tree.constant.expand(len(y)).clone()
    for group in p_y._groups:
        if not isinstance(group.distribution, dist.Normal):
            log_p += group.distribution.log_prob(group.labels(y)).sum(-1)
    place = 0
    starts = {}
    for column, size in tree.layout:
        starts[column], place = place, place + size - 1
    for i, size in tree.layout:
        for k in range(1, size):
            is_k = (y[:, i] == k).double()
            log_p += is_k * tree.linear[starts[i] + k - 1]
            for j, other in tree.layout:
                for m in range(1, other):
                    weight = tree.quadratic[starts[i] + k - 1, starts[j] + m - 1]
                    log_p += is_k * (y[:, j] == m) * weight
    return y, log_p


def has_classes(name):
    return [column for column, size in enumerate(TREES[name][0]) if size]


def log_p_of_continuous(name, p_y):
    column = TREES[name][0].index(0) if 0 in TREES[name][0] else None
    return 0.0 if column is None else dist.Normal(1.0, 2.0).log_prob(torch.tensor(0.5))


def test_the_log_probability_is_that_of_labels_and_edges_and_sums_to_one(name, p_y):
    y, log_p = enumerated(name, p_y)
    assert_close(log_p.logsumexp(0), torch.tensor(0.0), atol=1e-12, rtol=0)
    assert_close(p_y.log_prob(y), log_p + log_p_of_continuous(name, p_y))


def test_missing_labels_are_summed_out(name, p_y):
    y, log_p = enumerated(name, p_y)
    is_missing = torch.rand(BATCH, y.shape[1]) < torch.tensor([[0.3], [0.7], [1.0], [0.0]])
    known = y[torch.randint(len(y), (BATCH,))].masked_fill(is_missing, math.nan)
    agrees = ((y == known[:, None]) | known[:, None].isnan()).all(-1)
    expected = torch.stack([log_p[rows].logsumexp(0) for rows in agrees])
    if 0 in TREES[name][0]:
        column = TREES[name][0].index(0)
        expected += log_p_of_continuous(name, p_y) * ~is_missing[:, column]
    assert_close(p_y.log_prob(known), expected, atol=1e-12, rtol=1e-10)
    assert_close(ObservedLabels(p_y).log_prob(known), expected, atol=1e-12, rtol=1e-10)


def posterior_by_enumeration(name, y, log_p):
    """The marginal of each label, and the most likely configuration."""
    probs = log_p.softmax(0)
    marginals = {
        column: torch.stack(
            [probs[y[:, column] == k].sum() for k in range(TREES[name][0][column])]
        )
        for column in has_classes(name)
    }
    return marginals, y[log_p.argmax()]


def marginals_of(p_y):
    found = {}
    for group in p_y.groups:
        fn = group.distribution
        if isinstance(fn, dist.Normal):
            continue
        is_binary = isinstance(fn, dist.Bernoulli)
        probs = torch.stack([1 - fn.probs, fn.probs], -1) if is_binary else fn.probs
        columns = range(len(p_y.tree.nodes)) if group.columns is None else group.columns.tolist()
        found |= {column: probs[..., i, :] for i, column in enumerate(columns)}
    return found


def make_evidence(name, p_y):
    """Independent labels of the same kinds, of batch shape (BATCH,)."""
    groups = []
    for group in p_y._groups:
        fn = group.distribution
        if isinstance(fn, dist.Bernoulli):
            fn = LogitBernoulli(logits=torch.randn(BATCH, *fn.batch_shape) * 2)
        elif isinstance(fn, dist.Categorical):
            fn = dist.Categorical(logits=torch.randn(BATCH, *fn.logits.shape))
        else:
            fn = dist.Normal(torch.randn(BATCH, 1), torch.rand(BATCH, 1) + 0.1)
        groups.append(LabelGroup(fn, group.columns))
    return LabelVector(groups)


def test_soft_evidence_gives_the_posterior_its_mode_and_its_normalizer(name, p_y):
    q_y = make_evidence(name, p_y)
    posterior = p_y.given(q_y)
    assert posterior.batch_shape == (BATCH,)
    for row in range(BATCH):
        of_row = TreeLabels(q_y.select(row).groups, p_y.tree)
        y, log_p = enumerated(name, of_row)
        marginals, mode = posterior_by_enumeration(name, y, log_p)
        for column, expected in marginals.items():
            assert_close(marginals_of(posterior)[column][row], expected)
        assert_close(posterior.log_normalizer[row], log_p.logsumexp(0))
        classes = has_classes(name)
        assert_close(posterior.mode[row, classes], mode[classes])
        known = posterior.log_prob(y[:, None])[:, row]
        others = sum(
            group.distribution.log_prob(group.labels(y)[:, None]).sum(-1)[:, row]
            for group in q_y.groups
            if isinstance(group.distribution, dist.Normal)
        )
        assert_close(known - others, log_p.log_softmax(0), atol=1e-10, rtol=1e-10)


def test_known_labels_give_the_posterior_of_the_others(name, p_y):
    y, log_p = enumerated(name, p_y)
    chosen, size = has_classes(name)[-1], TREES[name][0][has_classes(name)[-1]]
    posterior = p_y.condition({chosen: size - 1})
    agrees = y[:, chosen] == size - 1
    marginals, mode = posterior_by_enumeration(name, y, log_p.masked_fill(~agrees, -math.inf))
    for column, expected in marginals.items():
        assert_close(marginals_of(posterior)[column], expected)
    classes = has_classes(name)
    assert_close(posterior.mode[classes], mode[classes])
    sampled = posterior.sample((50,))
    assert (sampled[:, chosen] == size - 1).all()
    log_prob = posterior.log_prob(y)
    assert (log_prob[~agrees] < -1e30).all()
    expected = (log_p + log_p_of_continuous(name, p_y))[agrees] - log_p[agrees].logsumexp(0)
    assert_close(log_prob[agrees], expected)


def test_label_vectors_with_missing_labels_are_evidence_too(name, p_y):
    chosen = [column for column, size in enumerate(TREES[name][0]) if 0 < size <= 64][:2]
    y = torch.full((3, len(TREES[name][0])), math.nan)
    y[0, chosen[0]] = y[1, chosen[1]] = 1.0
    posterior = p_y.condition(y)
    for row, values in enumerate(({chosen[0]: 1.0}, {chosen[1]: 1.0}, {})):
        expected = marginals_of(p_y.condition(values))
        for column, probs in marginals_of(posterior).items():
            # A label apart from the tree has its own marginal, of every row.
            assert_close(probs.expand(3, -1)[row], expected[column])


def test_samples_have_the_frequencies_of_the_configurations(name, p_y):
    torch.manual_seed(3)
    q_y = make_evidence(name, p_y).select(0)
    for fn in (p_y, p_y.given(q_y)):
        y, log_p = enumerated(
            name, TreeLabels(q_y.groups if fn is not p_y else p_y.groups, p_y.tree)
        )
        classes, num = has_classes(name), 20_000
        samples = fn.sample((num,))
        assert samples.shape == (num, y.shape[1])
        sizes = torch.tensor([TREES[name][0][c] for c in classes])
        radix = torch.cat([sizes[1:].flip(0).cumprod(0).flip(0), torch.ones(1, dtype=torch.long)])
        index = (samples[:, classes].long() * radix).sum(-1)
        counts = torch.bincount(index, minlength=len(y)).double()
        probs = log_p.softmax(0)
        deviation = (counts - num * probs) / (num * probs * (1 - probs)).sqrt().clamp(min=1)
        assert deviation.abs().max() < 5.5


def test_the_expected_log_density_is_that_of_all_configurations(name, p_y):
    q_y = make_evidence(name, p_y)
    for fn in (p_y, p_y.given(make_evidence(name, p_y))):
        y, _ = enumerated(name, p_y)
        q, expected = torch.zeros(len(y), BATCH), torch.zeros(BATCH)
        for group in q_y.groups:
            one = group.distribution
            if isinstance(one, dist.Normal):
                prior = next(
                    g.distribution for g in fn._groups if isinstance(g.distribution, dist.Normal)
                )
                expected += -(one.entropy() + torch.distributions.kl_divergence(one, prior))[:, 0]
            else:
                q += one.log_prob(group.labels(y)[:, None]).sum(-1)
        continuous = torch.tensor(0.0)
        if 0 in TREES[name][0]:
            prior = next(
                g.distribution for g in fn._groups if isinstance(g.distribution, dist.Normal)
            )
            continuous = prior.log_prob(torch.tensor([0.5]))[..., 0]
        log_p = fn.log_prob(y[:, None]) - continuous
        expected = expected + (q.exp() * log_p).sum(0)
        assert_close(fn.expected_log_prob(q_y), expected)
        if fn is p_y:
            log_q = sum(-g.distribution.entropy().sum(-1) for g in q_y.groups)
            assert_close(label_divergence(q_y, p_y.expand([BATCH])), log_q - expected)


def test_its_gradients_are_those_of_finite_differences():
    p_y = make_tree("mixed classes")
    logits, loc = torch.randn(BATCH, 3, requires_grad=True), torch.randn(BATCH, 1)
    others = [torch.randn(BATCH, 1, size, requires_grad=True) for size in (3, 4, 3)]

    def labels(logits, *others):
        fns = iter([*map(lambda t: dist.Categorical(logits=t), others)])
        return LabelVector(
            [
                LabelGroup(LogitBernoulli(logits=logits), p_y.groups[0].columns),
                *(
                    LabelGroup(
                        dist.Normal(loc, 1.0)
                        if isinstance(g.distribution, dist.Normal)
                        else next(fns),
                        g.columns,
                    )
                    for g in p_y.groups[1:]
                ),
            ]
        )

    inputs = (logits, *others)
    y = p_y.sample((BATCH,))
    assert torch.autograd.gradcheck(lambda *t: p_y.expected_log_prob(labels(*t)), inputs)
    assert torch.autograd.gradcheck(lambda *t: p_y.given(labels(*t)).log_normalizer, inputs)
    assert torch.autograd.gradcheck(lambda *t: p_y.given(labels(*t)).log_prob(y), inputs)


def test_labels_without_edges_are_independent():
    p_y = make_tree("no edges")
    given_one, given_none = p_y.condition({0: 1}), p_y.condition({})
    assert_close(given_one.mean[1:], given_none.mean[1:])
    y = configurations("no edges")
    assert_close(p_y.log_prob(y), LabelVector(given_none.groups).log_prob(y))


def test_missing_labels_are_sampled_given_the_known_ones():
    p_y = make_tree("a chain")
    y = torch.full((4000, 9), math.nan)
    y[:, 3] = 1.0
    filled = p_y.fill_missing(y)
    assert (filled[:, 3] == 1).all()
    expected = p_y.condition({3: 1}).mean
    assert_close(filled.mean(0), expected, atol=0.04, rtol=0)
    site = PartiallyObserved(p_y.expand([4000]), y, count_observed=True)
    assert_close(site.sample().mean(0), expected, atol=0.04, rtol=0)


def test_it_is_a_batch_of_its_own_where_it_is_expanded_and_selected(name, p_y):
    y = p_y.sample((BATCH,))
    wide = p_y.expand([BATCH])
    assert wide.batch_shape == (BATCH,)
    assert_close(wide.log_prob(y), p_y.log_prob(y))
    assert wide.sample().shape == y.shape
    posterior = p_y.given(make_evidence(name, p_y))
    assert_close(posterior.select(1).log_prob(y[1]), posterior.log_prob(y)[1])
    twice = posterior.expand([2, BATCH])
    assert_close(twice.log_prob(y)[1], posterior.log_prob(y))
    assert len(twice.sample((20,)).flatten(0, 2).unique(dim=0)) > 1


def test_each_label_by_itself_is_predicted_by_its_marginal():
    p_y = make_tree("a chain").condition({4: 1})
    assert_close(most_likely(p_y), (p_y.mean > 0.5).double())


BAD = {
    "no such label": (lambda p_y: p_y.condition({9: 1}), "a label from 0 to 6, got 9"),
    "no such class": (
        lambda p_y: p_y.condition({3: 4}),
        "label 3 is 4: wanted a class from 0 to 3",
    ),
    "half a class": (lambda p_y: p_y.condition({1: 0.5}), "label 1 is 0.5: wanted a class"),
    "a continuous label": (lambda p_y: p_y.condition({2: 0.5}), "label 2 is 0.5: wanted NaN"),
    "another number of labels": (
        lambda p_y: p_y.log_prob(torch.zeros(3)),
        "wanted label vectors of 7 labels",
    ),
    "labels of other kinds": (
        lambda p_y: p_y.given(make_tree("a chain")),
        "wanted evidence about labels of kinds",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_values_are_a_line_that_says_what_was_wanted(case):
    act, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        act(make_tree("mixed classes"))


def test_parents_in_a_cycle_are_an_error():
    layout, nodes, parents = [(0, 2), (1, 2), (2, 2)], torch.arange(3), torch.tensor([1, 0, -1])
    zeros = torch.zeros(3, 3), torch.zeros(3), torch.zeros(())
    tree = LabelTree(layout, nodes, parents, *zeros)
    p_y = TreeLabels([LabelGroup(LogitBernoulli(logits=torch.zeros(3)))], tree)
    with pytest.raises(ValueError, match=r"in a forest, got \[1, 0, -1\]"):
        p_y.sample()
