"""Labels of several kinds in one model, held against integrals on a grid."""

import math

import numpy as np
import pytest
import torch
from helpers import (
    BATCH,
    MISSING,
    MIXED_LABEL_VECTORS,
    MIXED_LABELS,
    NUM_PIXELS,
    assert_mean_close,
    make_mixed,
    seeded,
    standard_normal_pixels,
    with_missing,
)
from pyro.infer import SVI
from pyro.optim import Adam
from torch.distributions import Categorical as Softmax
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from ccvae_pyro import (
    CCVAE_ELBO,
    Binary,
    Categorical,
    Continuous,
    ExactCCVAE_ELBO,
    Ordinal,
    how_exact,
    predict,
)
from ccvae_pyro.data import LabeledImages
from ccvae_pyro.distributions import LabelGroup, LabelVector
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.labels import block_of

NAN = torch.nan


@pytest.fixture
def mixed():
    return make_mixed()


@pytest.fixture
def x():
    return torch.rand(BATCH, NUM_PIXELS)


def label_vectors(pattern):
    return with_missing(torch.tensor(MIXED_LABEL_VECTORS), pattern)


def test_two_classes_are_a_binary_label(x):
    """Its dichotomy has the other sign: it is positive for the first class, which is false."""
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
    nested.decoder.forward = binary.decoder.forward = standard_normal_pixels
    losses = [seeded(objective.loss, m.model, m.guide, x, y) for m in (nested, binary)]
    assert_close(losses[0], losses[1], rtol=1e-6, atol=0)


def test_a_rank_is_a_number_of_variance_at_least_that_of_rounding(x):
    stars = Ordinal("Stars", ("1", "2", "3"), (0.5, 0.25, 0.25))
    ordinal = make_mixed((stars, Binary("Hat", 0.3)))
    number = make_mixed((Continuous("Stars", stars.mean, stars.std), Binary("Hat", 0.3)))
    number.load_state_dict(ordinal.state_dict())
    raw_scale = number.classifier.of_group[1].raw_scale
    scale = math.hypot(torch.nn.functional.softplus(raw_scale).item(), 12**-0.5 / stars.std)
    raw_scale.data.fill_(math.log(math.expm1(scale)))
    y = torch.tensor([[0.0, 1], [2, NAN], [NAN, 0], [NAN, NAN]])
    for objective in (ExactCCVAE_ELBO(3.0), CCVAE_ELBO(num_label_samples=5)):
        labels = y if isinstance(objective, ExactCCVAE_ELBO) else y.nan_to_num()
        losses = [seeded(objective.loss, m.model, m.guide, x, labels) for m in (ordinal, number)]
        assert_close(losses[0], losses[1], rtol=1e-6, atol=0)


def test_an_ordinal_label_is_learned(x):
    """The rank is the number of bright quarters."""
    torch.manual_seed(0)
    ranks = torch.arange(64) % 4
    images = torch.rand(64, NUM_PIXELS) * 0.1
    images[:, :6] += 0.8 * (torch.arange(6) // 2 < ranks[:, None])
    model = make_mixed((Ordinal("Bright", ("none", "some", "most", "all")),))
    y = ranks[:, None].to(images)
    y[: len(y) // 2] = NAN
    svi = SVI(model.model, model.guide, Adam({"lr": 0.01}), ExactCCVAE_ELBO(30.0))
    for _ in range(150):
        svi.step(images, y)
    values, confidence = predict(model, images)
    assert (values[:, 0] == ranks).float().mean() > 0.95
    assert confidence.mean() > 0.8


# The bound, against a grid


def grid_terms(ccvae, label, x, y):
    """The terms of one label of one image, by sums over a grid of its z and y."""
    index = MIXED_LABELS.index(label)
    block = block_of(MIXED_LABELS, index)
    normal = ccvae.encoder(x[None])[0].base_dist
    loc, scale = normal.loc[0, block], normal.scale[0, block]
    axes = [torch.linspace(-7.5, 7.5, 151) * s + m for m, s in zip(loc, scale, strict=True)]
    cell = math.prod((axis[1] - axis[0]).item() for axis in axes)
    z = torch.cartesian_prod(*axes).view(-1, len(axes))
    z_c = torch.zeros(len(z), sum(kind.dim for kind in MIXED_LABELS))
    z_c[:, block] = z
    log_q_z = Normal(loc, scale).log_prob(z).sum(-1)

    def vector(value):
        values = torch.zeros(len(MIXED_LABELS))
        values[index] = value
        return values

    def of(fn, value):
        for group in fn.groups:
            if index in group.columns.tolist():
                column = group.columns.tolist().index(index)
                values = torch.full(group.distribution.batch_shape[-1:], value)
                return group.distribution.log_prob(values)[..., column]
        raise AssertionError

    def log_joint(value):
        """log q(y | x), and the divergence of q(z | x, y)."""
        log_q_y_z = of(ccvae.classifier(z_c), value)
        log_q = log_q_z + log_q_y_z
        log_q_y = log_q.logsumexp(0) + math.log(cell)
        prior = ccvae.conditional_prior(vector(value)).at_y.base_dist
        log_p_z = Normal(prior.loc[block], prior.scale[block]).log_prob(z).sum(-1)
        weight = (log_q - log_q_y).exp() * cell
        return log_q_y, (weight * (log_q - log_q_y - log_p_z)).sum()

    def ell(value):
        log_q_y, kl = log_joint(value)
        return log_q_y, of(ccvae.label_prior(), value) - kl

    if not y.isnan():
        log_q_y, term = ell(float(y))
        return term + 2.0 * log_q_y  # with the classification weight
    if label.classes:
        values, width = [float(c) for c in range(len(label.classes))], 1.0
    else:
        grid = torch.linspace(-60, 120, 121)
        values, width = grid.tolist(), (grid[1] - grid[0]).item()
    pairs = [ell(value) for value in values]
    log_q_y, term = (torch.stack(column) for column in zip(*pairs, strict=True))
    return (log_q_y.exp() * (term - log_q_y)).sum() * width


@pytest.mark.parametrize("pattern", MISSING)
def test_the_bound_matches_a_grid(pattern):
    ccvae, x, y = make_mixed(ignores_z=True), torch.rand(BATCH, NUM_PIXELS), label_vectors(pattern)
    with torch.no_grad():
        expected = sum(
            grid_terms(ccvae, label, image, value)
            for image, row in zip(x, y, strict=True)
            for label, value in zip(MIXED_LABELS, row, strict=True)
        )
        style, prior = ccvae.encoder(x)[1], ccvae.style_prior()
        expected = expected - kl_divergence(style.base_dist, prior.base_dist).sum()
        expected = expected + Normal(0.0, 1.0).log_prob(x).sum()
    actual = -ExactCCVAE_ELBO(2.0).loss(ccvae.model, ccvae.guide, x, y)
    assert_close(actual, expected.item(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("pattern", ["labeled", "unlabeled", "mixed"])
def test_the_papers_estimate_converges_to_it(pattern):
    ccvae, x, y = make_mixed(ignores_z=True), torch.rand(BATCH, NUM_PIXELS), label_vectors(pattern)
    exact = ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    objective = CCVAE_ELBO(num_label_samples=1_000, num_particles=60)
    assert_mean_close(lambda: objective.loss(ccvae.model, ccvae.guide, x, y), exact, 10)


def test_the_exact_objective_refuses_a_softmax_and_the_papers_takes_it(x):
    ccvae = make_mixed((MIXED_LABELS[0], MIXED_LABELS[1]))
    affine = ccvae.classifier.forward

    def with_softmax(z_c):
        smiling, hair = affine(z_c).groups
        logits = torch.cat([z_c[..., :2], -z_c[..., :1]], -1)[..., None, :]
        return LabelVector([smiling, LabelGroup(Softmax(logits=logits), hair.columns)])

    ccvae.classifier.forward = with_softmax
    y = label_vectors("labeled")[:, :2]
    with pytest.raises(NotFactorizedError, match=r"declares no slopes.*CCVAE_ELBO takes any"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    y[1] = NAN
    assert math.isfinite(CCVAE_ELBO(10).loss(ccvae.model, ccvae.guide, x, y))


@pytest.mark.parametrize(("column", "value"), [(0, 3.0), (1, 2.0), (0, 0.5)])
def test_a_class_that_does_not_exist_is_an_error(mixed, x, column, value, monkeypatch):
    # As in a model that does not check its labels.
    monkeypatch.setattr(type(mixed), "checked_batch", lambda self, x, y: y)
    y = label_vectors("labeled")
    y[2, column] = value
    with pytest.raises(ValueError, match=f"row 2, column {column} of 'y' is {value:g}: wanted"):
        ExactCCVAE_ELBO().loss(mixed.model, mixed.guide, x, y)


def test_svi_trains_a_model_of_all_kinds(mixed, x):
    svi = SVI(mixed.model, mixed.guide, Adam({"lr": 0.01}), loss=ExactCCVAE_ELBO(1.0))
    y = label_vectors("partly")
    losses = [svi.step(x, y) for _ in range(60)]
    assert sum(losses[-10:]) < sum(losses[:10])


# What the package says about a model's labels


def test_how_exact_names_the_method_of_every_label(mixed, x):
    methods = how_exact(mixed, x)
    assert list(methods) == [label.name for label in MIXED_LABELS]
    of_kind = {type(label): methods[label.name].split()[:2] for label in MIXED_LABELS}
    assert of_kind[Binary] == ["by", "quadrature"]
    assert of_kind[Categorical] == ["by", "a"]
    assert of_kind[Continuous] == ["in", "closed"]
    affine = mixed.classifier.forward
    mixed.classifier.forward = lambda z_c: affine(z_c**3)
    methods = how_exact(mixed, x).values()
    assert all("at samples" in method and "no latent" in method for method in methods)


@pytest.mark.parametrize(
    ("row", "column", "value", "wanted"),
    [
        (0, 0, 0.5, r"row 0, label 'Smiling' is 0.5: wanted 0 \(false\) to 1 \(true\)"),
        (2, 1, 3.0, r"row 2, label 'Hair' is 3: wanted 0 \(a\) to 2 \(c\), or NaN"),
        (1, 2, math.inf, "row 1, label 'Age' is inf: wanted a finite number"),
    ],
)
def test_a_value_that_a_label_cannot_have_is_named(row, column, value, wanted):
    labels = (Binary("Smiling"), Categorical("Hair", ("a", "b", "c")), Continuous("Age"))
    y = torch.tensor([[1.0, 2.0, -7.5], [NAN, NAN, NAN], [0.0, 0.0, 1e6]])
    images = np.zeros((3, 2, 2, 1), dtype=np.uint8)
    LabeledImages(images, y.numpy(), labels, {})
    y[row, column] = value
    with pytest.raises(ValueError, match=wanted):
        LabeledImages(images, y.numpy(), labels, {})
