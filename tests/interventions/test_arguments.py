"""Arguments of interventions: each that makes no sense is one line."""

import math
import re

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from pyro.contrib.zuko import ZukoToPyro
from torch import nn
from torch.testing import assert_close

from ccvae_pyro import (
    CCVAE_ELBO,
    Binary,
    Continuous,
    classify,
    edit,
    evaluate,
    evaluation,
    generate,
    interpolate,
    interpolate_to_label,
    mnist,
    plotting,
    sample_variations,
    shift,
    swap,
    walk,
)
from ccvae_pyro.evaluation import importance_weights, inference_data
from ccvae_pyro.models import baseline

LABELS = (Binary("Hat"), Binary("Beard"), Continuous("Age", 40.0, 10.0))


@pytest.fixture
def model():
    torch.set_default_dtype(torch.float32)
    return mnist(z_dim=8, labels=LABELS, convolutions=False)


@pytest.fixture
def x(model):
    return torch.rand(4, 1, 28, 28)


CASES = {
    "an image from three donors": (
        lambda model, x: swap(model, x, x[:3], "Hat"),
        r"wanted one donor for all images or 4, one for each, got \(3, 1, 28, 28\)",
    ),
    "a donor of another shape": (
        lambda model, x: swap(model, x, x[..., :20], "Hat"),
        r"wanted images of shape \(batch, 1, 28, 28\), got \(4, 1, 28, 20\)",
    ),
    "no donor": (lambda model, x: swap(model, x, x[:0], "Hat"), "wanted one donor for all"),
    "three others": (lambda model, x: interpolate(model, x, x[:3]), "wanted one other for all"),
    "no step": (lambda model, x: walk(model, x, "Hat", num_steps=0), "num_steps must be a whole"),
    "no steps to a label": (
        lambda model, x: interpolate_to_label(model, x, "Hat", 1, num_steps=-1),
        "num_steps must be a whole number of at least 1, got -1",
    ),
    "no steps to another": (
        lambda model, x: interpolate(model, x, x, num_steps=0),
        "num_steps must be a whole number of at least 1, got 0",
    ),
    "no samples": (
        lambda model, x: sample_variations(model, x, "Hat", 1, num_samples=0),
        "num_samples must be a whole number of at least 1, got 0",
    ),
    "three labels": (
        lambda model, x: walk(model, x, ["Hat", "Beard", "Age"]),
        "a walk goes along one label or two others, got Hat, Beard, Age",
    ),
    "no label": (lambda model, x: walk(model, x, []), "along one label or two others, got none"),
    "a label twice": (
        lambda model, x: walk(model, x, ["Hat", 0]),
        "along one label or two others, got Hat, Hat",
    ),
    "two values": (lambda model, x: edit(model, x, {"Hat": 1, 0: 0}), "'Hat' is set to two value"),
    "an infinite age": (
        lambda model, x: edit(model, x, "Age", math.inf),
        "'Age' is set to a finite number, got inf",
    ),
    "an infinite distance": (
        lambda model, x: edit(model, x, "Hat", 1, num_std=math.nan),
        "num_std must be a finite number, got nan",
    ),
    "an infinite shift": (
        lambda model, x: shift(model, x, "Hat", math.inf),
        "amount must be a finite number, got inf",
    ),
    "no batches": (lambda model, x: evaluate(model, []), "wanted at least one batch of images"),
}


NO_COUNTS = (1.5, True, "3", None, 0, -2, float("nan"), [3])
COUNTS = {
    "walk": lambda m, x, n: walk(m, x, "Hat", num_steps=n),
    "interpolate_to_label": lambda m, x, n: interpolate_to_label(m, x, "Hat", 1, num_steps=n),
    "interpolate": lambda m, x, n: interpolate(m, x, x, num_steps=n),
    "sample_variations": lambda m, x, n: sample_variations(m, x, "Hat", 1, num_samples=n),
    "composition": lambda m, x, n: evaluation.composition(m, x, n),
    "pixel_variance": lambda m, x, n: evaluation.pixel_variance(m, x, "Hat", 1, num_samples=n),
    "image_distances": lambda m, x, n: evaluation.image_distances(m, [x], [x], subset_size=n),
    "importance_weights": lambda m, x, n: importance_weights(m, x, num_samples=n),
    "log_p_x": lambda m, x, n: evaluation.log_p_x(m, x, n),
    "inference_data": lambda m, x, n: inference_data(m, x, num_samples=n),
    "plot_prior_forest": lambda m, x, n: evaluation.plot_prior_forest(m, n),
    "mutual_information_gap": lambda m, x, n: evaluation.mutual_information_gap(
        np.ones((4, 2)), np.ones((4, 1)), num_bins=n
    ),
    "plot_samples": lambda m, x, n: plotting.plot_samples(m, torch.zeros(2, 3), n),
    "plot_interpolations": lambda m, x, n: plotting.plot_interpolations(m, x, x, n),
    "plot_variations": lambda m, x, n: plotting.plot_variations(m, x[0], ["Hat"], num_samples=n),
    "plot_walk": lambda m, x, n: plotting.plot_walk(m, x[0], ["Hat"], n),
    "plot_walk_2d": lambda m, x, n: plotting.plot_walk_2d(m, x[0], ("Hat", "Beard"), n),
    "CCVAE_ELBO": lambda m, x, n: CCVAE_ELBO(n),
}


@pytest.mark.parametrize("number", NO_COUNTS, ids=repr)
@pytest.mark.parametrize("function", COUNTS)
def test_what_is_no_number_of_times_is_one_line(function, number, model, x):
    with pytest.raises(ValueError, match=r"num_\w+|subset_size") as error:
        COUNTS[function](model, x, number)
    assert re.search(r"must be a whole number of at least [12], got ", str(error.value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("function", sorted({*COUNTS} - {"image_distances", "inference_data"}))
def test_a_number_of_times_may_be_numpys(function, model, x):
    COUNTS[function](model, x, np.int64(3))


AMOUNTS = {
    "shift": lambda m, x, d: shift(m, x, "Hat", d),
    "edit": lambda m, x, d: edit(m, x, "Hat", 1, num_std=d),
    "edit by a sample": lambda m, x, d: edit(m, x, "Hat", 1, num_std=d, sample=True),
    "edit_metrics": lambda m, x, d: evaluation.edit_metrics(m, m, x, num_std=d),
}


@pytest.mark.parametrize("amount", ["1", None, True, 1j, math.inf, [2.0]], ids=repr)
@pytest.mark.parametrize("function", AMOUNTS)
def test_what_is_no_amount_is_one_line(function, amount, model, x):
    with pytest.raises(
        ValueError, match=r"(amount|num_std) must be a finite number, got "
    ) as error:
        AMOUNTS[function](model, x, amount)
    assert "\n" not in str(error.value)
    for number in (2, np.float32(2.0), torch.tensor(2.0)):
        AMOUNTS[function](model, x, number)


SEEDED = {
    "evaluate": lambda m, x, seed: evaluate(m, [(x, torch.zeros(4, 3))], seed=seed),
    "log_p_x": lambda m, x, seed: evaluation.log_p_x(m, x, 2, seed=seed),
    "pixel_variance": lambda m, x, seed: evaluation.pixel_variance(m, x, "Hat", 1, seed=seed),
    "importance_weights": lambda m, x, seed: importance_weights(m, x, num_samples=2, seed=seed),
}


@pytest.mark.parametrize("seed", ["3", 1.5, -1, True], ids=repr)
@pytest.mark.parametrize("function", SEEDED)
def test_what_is_no_seed_is_one_line(function, seed, model, x):
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got "):
        SEEDED[function](model, x, seed)
    SEEDED[function](model, x, None)


@pytest.mark.parametrize("case", CASES)
def test_an_argument_that_makes_no_sense_is_one_line(case, model, x):
    function, message = CASES[case]
    with pytest.raises(ValueError, match=message) as error:
        function(model, x)
    assert "\n" not in str(error.value)


def test_labels_may_have_the_index_of_an_array(model, x):
    for index in (np.int64(0), torch.tensor(0)):
        assert_close(walk(model, x, index), walk(model, x, "Hat"))
        assert_close(swap(model, x, x.flip(0), index), swap(model, x, x.flip(0), "Hat"))
        assert_close(edit(model, x, index, np.True_), edit(model, x, "Hat", 1))


class Shifted(torch.distributions.Distribution):
    """A distribution as Zuko's flows are: samples and densities, no moments."""

    has_rsample = True
    arg_constraints = {}  # noqa: RUF012

    def __init__(self, loc):
        self.loc = loc
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    def rsample(self, shape=()):
        return self.loc + torch.randn(*shape, *self.loc.shape)

    def log_prob(self, value):
        return dist.Normal(self.loc, 1.0).log_prob(value).sum(-1)

    def expand(self, batch_shape):
        return Shifted(self.loc.expand(*batch_shape, -1))


class FlowPrior(nn.Module):
    """A prior of Zuko's kind, as Pyro wraps it."""

    def __init__(self, loc):
        super().__init__()
        self.loc = nn.Parameter(loc)

    def forward(self, y=None):
        loc = self.loc if y is None else self.loc.expand(*y.shape[:-1], -1)
        return ZukoToPyro(Shifted(loc))


def test_priors_of_zukos_kind_are_sampled(model, x):
    dim = sum(label.dim for label in LABELS)
    model.conditional_prior = FlowPrior(torch.full((dim,), 3.0))
    model.style_prior = FlowPrior(torch.full((8 - dim,), -3.0))
    y = torch.zeros(2000, 3)
    z_c, z_style = model.sample_latents(y)
    assert_close(z_c.mean(0), torch.full((dim,), 3.0), atol=0.15, rtol=0)
    assert_close(z_style.mean(0), torch.full((8 - dim,), -3.0), atol=0.15, rtol=0)
    assert generate(model, y[:2]).shape == (2, 1, 28, 28)
    assert sample_variations(model, x, "Hat", 1, num_samples=3).shape == (4, 3, 1, 28, 28)
    assert edit(model, x, "Hat", 1, sample=True).shape == x.shape
    assert walk(model, x, "Hat", num_steps=3).shape == (4, 3, 1, 28, 28)


class FlowEncoder(nn.Module):
    """A posterior of Zuko's kind."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, x):
        return tuple(ZukoToPyro(Shifted(q_z.mean)) for q_z in self.encoder(x))


def test_posteriors_of_zukos_kind_are_sampled_and_have_a_mean(model, x):
    expected = classify(model, x)
    model.encoder = FlowEncoder(model.encoder)
    assert_close(classify(model, x)[:, :2], expected[:, :2], atol=0.2, rtol=0)
    assert importance_weights(model, x, num_samples=5).images.shape == (5, 4)
    assert inference_data(model, x, num_samples=5) is not None


@pytest.mark.parametrize("name", ["vae", "cvae", "m1", "m2", "m1_m2"])
def test_priors_of_baselines_are_sampled_in_pyros_way(name, model):
    other = baseline(name, LABELS, 8, images="mlp")
    for part in other.modules():
        if hasattr(part, "prior"):
            part.prior = FlowPrior(torch.full((8,), 5.0))
    _, z_style = other.sample_latents(torch.zeros(500, 3))
    assert_close(z_style[:, :8].mean(0), torch.full((8,), 5.0), atol=0.3, rtol=0)


@pytest.mark.parametrize("name", ["vae", "m1"])
def test_a_vae_with_a_posterior_of_zukos_kind_has_a_mean(name, x):
    other = baseline(name, LABELS, 8, images="mlp")
    vae = other if name == "vae" else other.vae
    with torch.no_grad():
        expected = vae.encode(x)[1]
        vae.encoder = FlowEncoder(vae.encoder)
        assert_close(other.encode(x)[1], expected, atol=0.25, rtol=0)
