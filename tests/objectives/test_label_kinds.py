"""Labels of several kinds in one model, held against integrals on a grid."""

import math

import numpy as np
import pyro
import pytest
import torch
from ccvae_pyro.distributions.reading import outcomes
from ccvae_pyro.objectives._row_posterior import RowPosterior
from ccvae_pyro.objectives.classifier_probe import ClassifierProbe
from helpers import BATCH, NUM_PIXELS, NUM_STYLE, assert_mean_close, seeded
from pyro.infer import SVI
from pyro.optim import Adam
from torch.distributions import Categorical as Softmax
from torch.distributions import Normal
from torch.testing import assert_close

from ccvae_pyro import (
    CCVAE,
    CCVAE_ELBO,
    Binary,
    Categorical,
    Continuous,
    ExactCCVAE_ELBO,
    NestedCategorical,
    how_exact,
    networks,
    sign_matrix,
)
from ccvae_pyro import (
    components as distributions,
)
from ccvae_pyro.components import label_modules
from ccvae_pyro.data import LabeledImages
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.labels import block_of

LABELS = (
    Categorical("Hair", ("black", "brown", "red"), (0.5, 0.3, 0.2)),
    Binary("Smiling", 0.4),
    Continuous("Age", 30.0, 10.0, extra_dims=1),
    Binary("Hat", 0.2, extra_dims=1),
    Binary("Beard", 0.7),
)
NAN = torch.nan
KNOWN = ((2.0, 1, 35, 0, 1), (0, 0, 12, 1, 1), (1, 1, 30, 1, 0), (2, 0, 41, 0, 0))
PARTLY = ((2.0, NAN, 35, NAN, 1), (NAN, 0, NAN, 1, NAN), (NAN, 1, 30, NAN, 0), (1, 1, NAN, 0, 0))
ROWS = {"labeled": KNOWN, "partly": PARTLY, "unlabeled": [(NAN,) * 5] * BATCH}


def make_mixed(labels=LABELS, still=False):
    dim = sum(label.dim for label in labels)
    z_dim = dim + NUM_STYLE
    decoder = distributions.LaplaceDecoder(networks.mlp(z_dim, NUM_PIXELS, hidden=16), event_dim=1)
    if still:
        decoder.forward = lambda z: pyro.distributions.Normal(
            z.new_zeros(*z.shape[:-1], NUM_PIXELS), 1.0
        ).to_event(1)
    ccvae = CCVAE(
        distributions.GaussianEncoder(
            networks.mlp(NUM_PIXELS, 2 * z_dim, hidden=16), (dim, NUM_STYLE)
        ),
        decoder,
        style_prior=distributions.StandardNormal(NUM_STYLE),
        labels=labels,
        **label_modules(labels),
    )
    for parameter in ccvae.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return ccvae.double()


@pytest.fixture
def mixed():
    return make_mixed()


@pytest.fixture
def x():
    return torch.rand(BATCH, NUM_PIXELS)


# Distributions


@pytest.mark.parametrize("balanced", [True, False], ids=["balanced", "in order"])
@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_nested_decisions_are_a_distribution_of_classes(num_classes, balanced):
    paths = sign_matrix(num_classes, balanced=balanced)
    decisions = torch.randn(5, num_classes - 1)
    fn = NestedCategorical(decisions, paths)
    # Each class by hand, as a product along its path.
    sides = torch.stack([torch.sigmoid(-decisions), torch.ones_like(decisions)])
    sides = torch.cat([sides, torch.sigmoid(decisions)[None]])
    expected = [
        math.prod(sides[int(way) + 1, 0, j].item() for j, way in enumerate(path)) for path in paths
    ]
    assert_close(fn.probs[0], torch.tensor(expected))
    assert_close(fn.probs.sum(-1), torch.ones(5))


def test_a_path_of_halves_is_short_and_one_in_order_long():
    assert sign_matrix(16, balanced=True).abs().sum(1).tolist() == [4] * 16
    assert sign_matrix(4).abs().sum(1).tolist() == [1, 2, 3, 3]


def test_two_classes_are_a_binary_label(x):
    """Its decision is the other way round: it is for the first class, which is false."""
    binary = make_mixed((Binary("Hat", 0.3), Continuous("Age")))
    nested = make_mixed((Categorical("Hat", ("no", "yes"), (0.7, 0.3)), Continuous("Age")))
    sources = dict(binary.named_parameters())
    for name, target in nested.named_parameters():
        if name in sources:
            target.data.copy_(sources[name])
    ours, theirs = nested.classifier.of_group[0], binary.classifier.of_group[0]
    of_class, of_binary = (m.conditional_prior.of_group[0] for m in (nested, binary))
    ours.weight.data.copy_(-theirs.weight)
    ours.bias.data.copy_(-theirs.bias)
    of_class.loc.data.copy_(torch.stack([of_binary.loc_false, of_binary.loc_true]))
    scales = torch.stack([of_binary.raw_scale_false, of_binary.raw_scale_true])
    of_class.raw_scale.data.copy_(scales)
    y = torch.tensor([[0.0, 1], [1, NAN], [NAN, 0.3], [NAN, NAN]])
    objective = ExactCCVAE_ELBO(3.0)
    nested.decoder.forward = binary.decoder.forward = make_mixed(still=True).decoder.forward
    losses = [seeded(objective.loss, m.model, m.guide, x, y) for m in (nested, binary)]
    assert_close(losses[0], losses[1], rtol=1e-6, atol=0)


def test_a_row_of_labels_is_scored_column_by_column(mixed, x):
    q_z_c, _ = mixed.encoder(x)
    z_c, y = q_z_c.mean, torch.tensor(KNOWN)
    parts = mixed.classifier
    first = NestedCategorical(
        parts.of_group[1].weight * z_c[:, :2] + parts.of_group[1].bias, parts.of_group[1].signs
    )
    plain, hat, age = parts.of_group[0], parts.of_group[3], parts.of_group[2]
    logits = plain.weight * z_c[:, [2, 7]] + plain.bias
    expected = first.log_prob(y[:, 0])
    expected = expected + torch.distributions.Bernoulli(logits=logits).log_prob(y[:, [1, 4]]).sum(
        -1
    )
    expected = expected + age(z_c[:, 3:4]).log_prob(y[:, 2:3]).sum(-1)
    expected = expected + hat(z_c[:, 5:6]).log_prob(y[:, 3:4])
    assert_close(mixed.classifier(z_c).log_prob(y), expected)


def test_a_row_of_labels_is_drawn_as_it_is_scored(mixed):
    draws = mixed.label_prior().sample((20_000,))
    assert draws.shape == (20_000, 5)
    shares = [(draws[:, 0] == c).double().mean() for c in range(3)]
    assert_close(torch.stack(shares), torch.tensor([0.5, 0.3, 0.2]), atol=0.02, rtol=0)
    means = draws[:, 1:].mean(0)
    assert_close(means, torch.tensor([0.4, 30, 0.2, 0.7]), atol=0.4, rtol=0)


def test_outcomes_are_in_the_order_of_labels(mixed, x):
    z_c = mixed.encoder(x)[0].mean
    expected = outcomes(mixed.classifier(z_c))
    assert expected.shape == (BATCH, 3 + 4)
    assert_close(expected[:, :3].sum(1), torch.ones(BATCH))
    assert (expected[:, 4] > 2).all()  # an age, in years


# The bound, against a grid


def grid_terms(ccvae, label, x, y):
    """The bound's terms about one label of one image, by sums over a grid of its z and y."""
    index = LABELS.index(label)
    block = block_of(LABELS, index)
    normal = ccvae.encoder(x[None])[0].base_dist
    loc, scale = normal.loc[0, block], normal.scale[0, block]
    axes = [torch.linspace(-7.5, 7.5, 151) * s + m for m, s in zip(loc, scale, strict=True)]
    cell = math.prod((axis[1] - axis[0]).item() for axis in axes)
    z = torch.cartesian_prod(*axes).view(-1, len(axes))
    z_c = torch.zeros(len(z), sum(kind.dim for kind in LABELS))
    z_c[:, block] = z
    log_q_z = Normal(loc, scale).log_prob(z).sum(-1)

    def row(value):
        values = torch.zeros(len(LABELS))
        values[index] = value
        return values

    def of(fn, value):
        for part in fn.parts:
            if index in part.columns.tolist():
                column = part.columns.tolist().index(index)
                values = torch.full(part.distribution.batch_shape[-1:], value)
                return part.distribution.log_prob(values)[..., column]
        raise AssertionError

    def log_joint(value):
        """log q(y | x), and the divergence of q(z | x, y)."""
        log_q_y_z = of(ccvae.classifier(z_c), value)
        log_q = log_q_z + log_q_y_z
        log_q_y = log_q.logsumexp(0) + math.log(cell)
        prior = ccvae.conditional_prior(row(value)).base_dist
        log_p_z = Normal(prior.loc[block], prior.scale[block]).log_prob(z).sum(-1)
        weight = (log_q - log_q_y).exp() * cell
        return log_q_y, (weight * (log_q - log_q_y - log_p_z)).sum()

    def ell(value):
        log_q_y, kl = log_joint(value)
        return log_q_y, of(ccvae.label_prior(), value) - kl

    if not y.isnan():
        log_q_y, term = ell(float(y))
        return term + 2.0 * log_q_y  # with the weight of classification
    if label.classes:
        values, width = [float(c) for c in range(len(label.classes))], 1.0
    else:
        line = torch.linspace(-60, 120, 121)
        values, width = line.tolist(), (line[1] - line[0]).item()
    pairs = [ell(value) for value in values]
    log_q_y, term = (torch.stack(column) for column in zip(*pairs, strict=True))
    return (log_q_y.exp() * (term - log_q_y)).sum() * width


@pytest.mark.parametrize("rows", ROWS)
def test_the_bound_is_that_of_a_grid(rows):
    ccvae, x, y = make_mixed(still=True), torch.rand(BATCH, NUM_PIXELS), torch.tensor(ROWS[rows])
    with torch.no_grad():
        expected = sum(
            grid_terms(ccvae, label, image, value)
            for image, row in zip(x, y, strict=True)
            for label, value in zip(LABELS, row, strict=True)
        )
        style, prior = ccvae.encoder(x)[1], ccvae.style_prior()
        expected = (
            expected - torch.distributions.kl_divergence(style.base_dist, prior.base_dist).sum()
        )
        expected = expected + Normal(0.0, 1.0).log_prob(x).sum()
    actual = -ExactCCVAE_ELBO(2.0).loss(ccvae.model, ccvae.guide, x, y)
    assert_close(actual, expected.item(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("rows", ROWS)
def test_the_papers_estimate_converges_to_it(rows):
    ccvae, x, y = make_mixed(still=True), torch.rand(BATCH, NUM_PIXELS), torch.tensor(ROWS[rows])
    exact = ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    objective = CCVAE_ELBO(num_label_samples=1_000, num_particles=60)
    assert_mean_close(lambda: objective.loss(ccvae.model, ccvae.guide, x, y), exact, 10)


def test_no_labels_are_labels_that_are_missing(mixed, x):
    objective, missing = ExactCCVAE_ELBO(1.0), torch.full((BATCH, len(LABELS)), NAN)
    losses = [
        seeded(objective.loss, mixed.model, mixed.guide, *args) for args in ((x,), (x, missing))
    ]
    assert_close(losses[0], losses[1])


@pytest.mark.parametrize("objective", [ExactCCVAE_ELBO(1.0), CCVAE_ELBO(4, stop_gradient=False)])
@pytest.mark.parametrize("rows", ROWS)
def test_the_gradient_reaches_every_parameter(mixed, x, rows, objective):
    objective.differentiable_loss(mixed.model, mixed.guide, x, torch.tensor(ROWS[rows])).backward()
    for name, parameter in mixed.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("rows", ["labeled", "partly"])
def test_the_gradient_is_that_of_finite_differences(mixed, x, rows):
    y, objective = torch.tensor(ROWS[rows]), ExactCCVAE_ELBO(2.0)

    def loss():
        return seeded(objective.differentiable_loss, mixed.model, mixed.guide, x, y)

    loss().backward()
    for name, parameter in mixed.named_parameters():
        flat, step = parameter.data.view(-1), 1e-5
        start = flat[0].item()
        with torch.no_grad():
            flat[0] = start + step
            above = loss().item()
            flat[0] = start - step
            below = loss().item()
            flat[0] = start
        expected = (above - below) / (2 * step)
        actual = parameter.grad.view(-1)[0].item()
        assert_close(actual, expected, rtol=1e-3, atol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


def test_draws_follow_the_posterior(mixed, x):
    """Their means, against draws of q(z | x) weighed by the classifier."""
    y, num_draws = torch.tensor(PARTLY), 200_000
    with torch.no_grad():
        probe = ClassifierProbe(1)
        pyro.poutine.trace(probe(mixed.guide)).get_trace(x, y)
        normal = mixed.encoder(x)[0].base_dist
        many = Normal(normal.loc.expand(4_000, -1, -1), normal.scale.expand(4_000, -1, -1))
        draws = RowPosterior(many, probe.parts, probe.lines, y).rsample()
        z_c = normal.sample((num_draws,))
        for part in mixed.classifier(z_c).parts:
            labels = part.labels(y)
            log_weight = part.distribution.log_prob(labels.nan_to_num()) * ~labels.isnan()
            weight = log_weight.softmax(0)[..., None]
            expected = (weight * part.characteristics(z_c)).sum(0)
            actual = part.characteristics(draws)
            error = 5 * actual.std(0) / 4_000**0.5 + 0.02
            assert ((actual.mean(0) - expected).abs() < error).all()


def test_a_softmax_is_left_to_the_papers_estimate(x):
    ccvae = make_mixed((LABELS[0], LABELS[1]))
    nested = ccvae.classifier.of_group[1]
    nested.forward = lambda z: Softmax(logits=torch.cat([z, -z[..., :1]], -1)[..., None, :])
    y = torch.tensor(KNOWN)[:, :2]
    with pytest.raises(NotFactorizedError, match=r"no line decides.*CCVAE_ELBO takes any"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    y[1] = NAN
    assert math.isfinite(CCVAE_ELBO(10).loss(ccvae.model, ccvae.guide, x, y))


@pytest.mark.parametrize(("column", "value"), [(0, 3.0), (1, 2.0), (0, 0.5)])
def test_a_class_that_there_is_not_is_an_error(mixed, x, column, value):
    y = torch.tensor(KNOWN)
    y[2, column] = value
    with pytest.raises(ValueError, match=f"row 2, column {column} of 'y' is {value:g}: wanted"):
        ExactCCVAE_ELBO().loss(mixed.model, mixed.guide, x, y)


def test_svi_trains_a_model_of_all_kinds(mixed, x):
    svi = SVI(mixed.model, mixed.guide, Adam({"lr": 0.01}), loss=ExactCCVAE_ELBO(1.0))
    y = torch.tensor(PARTLY)
    losses = [svi.step(x, y) for _ in range(60)]
    assert sum(losses[-10:]) < sum(losses[:10])


def test_a_prior_that_is_no_line_in_a_number_is_refused(x):
    ccvae = make_mixed((Continuous("Age", 30.0, 10.0),))
    prior = ccvae.conditional_prior.of_group[0]
    line = prior.forward
    prior.forward = lambda y: line(y**2 / 30)
    with pytest.raises(NotFactorizedError, match="no line in a label that is a number"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, torch.full((len(x), 1), 30.0))


def test_a_model_says_what_is_exact_and_how(x):
    ccvae = make_mixed()
    ways = how_exact(ccvae, x)
    assert list(ways) == [label.name for label in LABELS]
    of_kind = {type(label): ways[label.name].split()[:2] for label in LABELS}
    assert of_kind[Binary] == ["by", "quadrature"]
    assert of_kind[Categorical] == ["by", "a"]
    assert of_kind[Continuous] == ["in", "closed"]
    bend = ccvae.classifier.forward
    ccvae.classifier.forward = lambda z: bend(z**3)
    assert all("at draws" in way and "no line" in way for way in how_exact(ccvae, x).values())


@pytest.mark.parametrize(
    ("row", "column", "value", "wanted"),
    [
        (0, 0, 0.5, r"row 0, label 'Smiling' is 0.5: wanted 0 \(false\) to 1 \(true\)"),
        (2, 1, 3.0, r"row 2, label 'Hair' is 3: wanted 0 \(a\) to 2 \(c\), or NaN"),
        (1, 2, math.inf, "row 1, label 'Age' is inf: wanted a finite number"),
    ],
)
def test_a_label_that_is_no_value_of_its_kind_is_named(row, column, value, wanted):
    labels = (Binary("Smiling"), Categorical("Hair", ("a", "b", "c")), Continuous("Age"))
    y = torch.tensor([[1.0, 2.0, -7.5], [NAN, NAN, NAN], [0.0, 0.0, 1e6]])
    images = np.zeros((3, 2, 2, 1), dtype=np.uint8)
    LabeledImages(images, y.numpy(), labels, {})
    y[row, column] = value
    with pytest.raises(ValueError, match=wanted):
        LabeledImages(images, y.numpy(), labels, {})
