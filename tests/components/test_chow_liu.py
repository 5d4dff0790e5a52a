"""The label prior of Chow and Liu: its tree, its tables, and what it leaves independent."""

import copy
import warnings
from itertools import combinations, product

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from sklearn.metrics import mutual_info_score
from torch.testing import assert_close

from ccvae_pyro import (
    Binary,
    Categorical,
    Continuous,
    ExactCCVAE_ELBO,
    celeba,
    load,
    mnist,
    photographs,
    save,
)
from ccvae_pyro.components import ChowLiuLabelPrior
from ccvae_pyro.errors import CheckpointError
from ccvae_pyro.io import checkpoint
from ccvae_pyro.io._outline import is_described_by_config
from ccvae_pyro.models import from_config

NAMES = ("Hat", "Bald", "Beard", "Mustache", "Lipstick", "Glasses")
MIXED = (
    Binary("Hat"),
    Categorical("Hair", ("black", "blond", "none")),
    Continuous("Age"),
    Binary("Beard", extra_dims=1),
    Categorical("Many", tuple(map(str, range(65)))),
)


def chain(num_rows, num_labels=6, flip=0.15, seed=0):
    """Binary labels, each a noisy copy of the one before."""
    rng = np.random.default_rng(seed)
    columns = [rng.random(num_rows) < 0.4]
    for _ in range(num_labels - 1):
        columns.append(columns[-1] ^ (rng.random(num_rows) < flip))
    return np.stack(columns, axis=1).astype(float)


def mixed_labels(num_rows=600):
    rng = np.random.default_rng(1)
    hat, age = rng.random(num_rows) < 0.3, rng.normal(size=num_rows)
    hair = np.where(hat, 2, rng.integers(0, 3, num_rows))
    beard = (hair == 0) ^ (rng.random(num_rows) < 0.1)
    return np.stack([hat, hair, age, beard, rng.integers(0, 65, num_rows)], axis=1)


def undirected(prior):
    """The edges of a tree whose nodes are single labels."""
    assert prior.exclusive == []
    return {frozenset((*parent, *child)) for parent, child in prior.edges}


def test_a_chain_is_found_and_its_root_is_in_the_middle():
    prior = ChowLiuLabelPrior.fit(chain(2000))
    assert undirected(prior) == {frozenset((i, i + 1)) for i in range(5)}
    assert prior.parents[2] == -1 or prior.parents[3] == -1
    assert len(prior().tree.levels) == 3


def test_no_other_tree_has_more_mutual_information():
    rng = np.random.default_rng(5)
    hidden = rng.random((400, 1))
    y = (rng.random((400, 4)) < hidden * [1.0, 0.8, 0.6, 0.9]).astype(float)
    information = {
        edge: mutual_info_score(y[:, edge[0]], y[:, edge[1]]) for edge in combinations(range(4), 2)
    }
    trees = [edges for edges in combinations(information, 3) if is_tree(edges)]
    best = max(trees, key=lambda edges: sum(information[edge] for edge in edges))
    prior = ChowLiuLabelPrior.fit(y, pseudo_count=1e-6)
    assert undirected(prior) == set(map(frozenset, best))


def is_tree(edges):
    reached = {0}
    for _ in edges:
        for edge in edges:
            if reached & {*edge}:
                reached |= {*edge}
    return len(reached) == 4


def test_the_marginals_are_those_of_independent_labels_also_where_labels_are_missing():
    y = chain(500)
    y[np.random.default_rng(2).random(y.shape) < 0.4] = np.nan
    prior = ChowLiuLabelPrior.fit(y).double()
    configurations = torch.tensor(list(product([0.0, 1.0], repeat=6)))
    probs = prior().log_prob(configurations).exp()
    assert_close(probs.sum(), torch.tensor(1.0), atol=1e-6, rtol=0)
    expected = [(np.nansum(c) + 1) / ((~np.isnan(c)).sum() + 2) for c in y.T]
    assert_close(probs @ configurations, torch.tensor(expected), atol=1e-6, rtol=0)
    assert_close(prior().mean, torch.tensor(expected), atol=1e-6, rtol=0)


def test_missing_labels_are_left_out_pair_by_pair():
    y = chain(6000)
    expected = ChowLiuLabelPrior.fit(y)
    y[np.random.default_rng(2).random(y.shape) < 0.5] = np.nan
    prior = ChowLiuLabelPrior.fit(y)
    assert undirected(prior) == undirected(expected)
    configurations = torch.tensor(list(product([0.0, 1.0], repeat=6))).float()
    ours, theirs = (each().log_prob(configurations).exp() for each in (prior, expected))
    assert (ours - theirs).abs().sum() < 0.1


def test_labels_of_several_kinds_have_a_tree_of_those_with_classes():
    prior = ChowLiuLabelPrior.fit(mixed_labels(), MIXED)
    assert undirected(prior) == {frozenset((0, 1)), frozenset((1, 3))}
    given_hat = prior().condition({0: 1})
    hair = next(g.distribution for g in given_hat.groups if g.columns.tolist() == [1])
    assert isinstance(hair, dist.Categorical)
    assert hair.probs[0, 2] > 0.9


def exclusive_labels(num_rows, seed=0):
    """Four hair colors, or none under a hat; and a beard, which people with a hat often have."""
    rng = np.random.default_rng(seed)
    hat = rng.random(num_rows) < 0.3
    color = np.where(hat, 4, rng.integers(0, 4, num_rows))
    beard = rng.random(num_rows) < np.where(hat, 0.7, 0.2)
    return np.stack([color == 0, beard, color == 1, color == 2, hat, color == 3], 1).astype(float)


def test_labels_that_exclude_each_other_are_one_node_with_all_their_frequencies():
    y = exclusive_labels(4000)
    prior = ChowLiuLabelPrior.fit(y).double()
    assert prior.exclusive == [(0, 2, 3, 4, 5)]
    assert prior.edges in ([((0, 2, 3, 4, 5), (1,))], [((1,), (0, 2, 3, 4, 5))])
    configurations = torch.tensor(list(product([0.0, 1.0], repeat=6)))
    probs = prior().log_prob(configurations).exp()
    assert_close(probs.sum(), torch.tensor(1.0), atol=1e-5, rtol=0)
    assert_close(probs @ configurations, prior().mean, atol=1e-4, rtol=0)
    is_possible = configurations[:, [0, 2, 3, 4, 5]].sum(-1) == 1
    assert probs[is_possible].sum() > 0.98
    beard_with_hat = prior().condition({4: 1}).mean[1]
    assert beard_with_hat.item() == pytest.approx(0.7, abs=0.03)
    assert prior().condition({4: 1}).mean[[0, 2, 3, 5]].max() < 0.01
    frequent = torch.from_numpy(exclusive_labels(1000, seed=1))
    singles = prior.independent().log_prob(frequent).mean()
    assert prior().log_prob(frequent).mean() > singles + 1.0


def test_on_held_out_labels_the_tree_is_worth_what_it_says():
    prior, y = ChowLiuLabelPrior.fit(chain(1000)), torch.from_numpy(chain(1000, seed=1)).float()
    expected = prior().log_prob(y) - prior.independent().log_prob(y)
    assert_close(prior.gain(y), expected)
    assert expected.mean() > 1.0
    y[:, 1] = torch.nan
    assert_close(prior.gain(torch.full((2, 6), torch.nan)), torch.zeros(2), atol=1e-6, rtol=0)
    assert prior.gain(y).mean() < expected.mean()


def test_independent_labels_have_no_edges():
    y = np.random.default_rng(0).integers(0, 2, (500, 12)).astype(float)
    prior = ChowLiuLabelPrior.fit(y)
    assert len(prior.edges) <= 1
    configurations = torch.from_numpy(y).float()
    if not prior.edges:
        expected = prior.independent().log_prob(configurations)
        assert_close(prior().log_prob(configurations), expected)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_label_without_variation_is_independent_and_it_is_said(value):
    y = chain(300)
    y[:, 2] = value
    with pytest.warns(UserWarning, match="without two values are independent.*: 'Beard'"):
        prior = ChowLiuLabelPrior.fit(y, [Binary(name) for name in NAMES])
    assert 2 not in {column for edge in undirected(prior) for column in edge}
    assert torch.isfinite(prior().log_prob(torch.tensor([[0.0, 0, 1 - value, 0, 0, 0]]))).all()


def test_a_label_that_nobody_knows_is_independent():
    y = chain(300)
    y[:, 0] = np.nan
    with pytest.warns(UserWarning, match="without two values"):
        prior = ChowLiuLabelPrior.fit(y)
    assert undirected(prior) == {frozenset((i, i + 1)) for i in range(1, 5)}


def test_fewer_rows_than_edges_leave_labels_independent_and_it_is_said():
    y = chain(300)
    y[4:, 1:] = np.nan  # one label alone says nothing of pairs
    with pytest.warns(UserWarning, match="at least 5 rows with two labels or more.*got 4"):
        prior = ChowLiuLabelPrior.fit(y)
    assert prior.edges == []


def test_one_label_is_itself():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prior = ChowLiuLabelPrior.fit(np.array([[0.0], [1], [1]]))
    assert prior.edges == []
    assert_close(prior().mean, torch.tensor([0.6]))


BAD = {
    "one dimension": (lambda: ChowLiuLabelPrior.fit(np.zeros(5)), r"got \(5,\)"),
    "no class": (lambda: ChowLiuLabelPrior.fit(np.full((5, 2), 3.0)), "row 0, label '0' is 3"),
    "more labels": (
        lambda: ChowLiuLabelPrior.fit(np.zeros((5, 2)), [Binary("Hat")]),
        "wanted a column for each of 1 labels, got 2",
    ),
    "impossible pairs": (
        lambda: ChowLiuLabelPrior.fit(chain(9), pseudo_count=0.0),
        "pseudo_count must be positive, got 0.0",
    ),
    "two names": (lambda: ChowLiuLabelPrior([Binary("Hat")] * 2), "names of their own"),
    "no such prior": (
        lambda: celeba(label_prior="forest"),
        "must be independent, tree or a ChowLiuLabelPrior, got 'forest'",
    ),
    "the prior of other labels": (
        lambda: celeba(num_labels=5, label_prior=ChowLiuLabelPrior.fit(chain(99))),
        "label_prior is of other labels",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_a_line_that_says_what_was_got(case):
    act, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        act()


# In models


@pytest.fixture
def float32():
    torch.set_default_dtype(torch.float32)


def models_with_trees():
    labels = [Binary(name) for name in NAMES]
    prior = ChowLiuLabelPrior.fit(chain(300), labels)
    mixed = ChowLiuLabelPrior.fit(mixed_labels(), MIXED)
    return {
        "celeba": celeba(labels=labels, z_dim=9, label_prior=prior),
        "photographs": photographs(MIXED, (3, 32, 32), label_prior=mixed),
        "mnist": mnist(labels=MIXED, z_dim=80, label_prior=mixed),
    }


@pytest.mark.parametrize("name", ["celeba", "photographs", "mnist"])
@pytest.mark.usefixtures("float32")
def test_a_checkpoint_keeps_the_tree(name, tmp_path):
    model = models_with_trees()[name]
    model.label_prior().sample()  # the tree is in use
    assert is_described_by_config(model)
    save(tmp_path / "model.pt", model)
    contents = torch.load(tmp_path / "model.pt", weights_only=True)
    assert contents["config"]["label_prior"] == "tree"
    loaded = load(tmp_path / "model.pt")
    assert loaded.label_prior.edges == model.label_prior.edges
    y = model.label_prior().sample((20,))
    assert_close(loaded.label_prior().log_prob(y), model.label_prior().log_prob(y))
    # A model without edges has the tree once it is loaded, also after it was used.
    other = from_config(model.config)
    other.label_prior().log_prob(y)
    load(tmp_path / "model.pt", other)
    assert_close(other.label_prior().log_prob(y), model.label_prior().log_prob(y))


@pytest.mark.usefixtures("float32")
def test_a_model_of_independent_labels_is_another_one(tmp_path):
    save(tmp_path / "model.pt", celeba(num_labels=6, z_dim=9))
    assert "label_prior" not in checkpoint.read(tmp_path / "model.pt")["config"]
    tree = models_with_trees()["celeba"]
    with pytest.raises(CheckpointError, match="belongs to another model"):
        load(tmp_path / "model.pt", tree)


@pytest.mark.usefixtures("float32")
def test_the_tree_follows_dtype_and_copies():
    prior = ChowLiuLabelPrior.fit(chain(300))
    y = prior().sample((5,))
    expected = prior().log_prob(y)
    double = copy.deepcopy(prior).double()
    assert_close(double().log_prob(y.double()), expected.double(), rtol=1e-5, atol=1e-5)
    assert prior().log_prob(y).dtype == torch.float32
    for parameter in (prior.quadratic, prior.linear, prior.constant):
        parameter.zero_()
    assert_close(prior().log_prob(y), prior.independent().log_prob(y))


@pytest.mark.usefixtures("float32")
def test_a_model_trains_and_generates_under_a_tree():
    model = models_with_trees()["celeba"]
    x, y = torch.rand(4, 3, 64, 64), torch.from_numpy(chain(4)).float()
    y[1] = y[2, :3] = torch.nan
    loss = ExactCCVAE_ELBO(10.0, consistency_weight=1.0).differentiable_loss(
        model.model, model.guide, x, y
    )
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    trace = poutine.trace(poutine.uncondition(model.model)).get_trace(torch.rand(200, 3, 64, 64))
    sampled = trace.nodes["y"]["value"]
    agreement = (sampled[:, 1:] == sampled[:, :-1]).float().mean()
    assert agreement.item() == pytest.approx(0.85, abs=0.06)
