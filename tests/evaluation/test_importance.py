"""Importance weights against closed forms, and the export to ArviZ."""

import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro.components.bayes_classifier import mixture_log_prob
from ccvae_pyro.evaluation import importance as diagnostics
from ccvae_pyro.evaluation._arviz import _arviz
from ccvae_pyro.labels import Binary, Categorical, Continuous


@pytest.fixture
def weights(ccvae, batch):
    return diagnostics.importance_weights(ccvae, *batch, num_samples=5_000)


def test_label_weights_average_to_one(weights):
    assert_close(weights.labels.exp().mean(0), torch.ones(4), atol=0.05, rtol=0)


def test_log_likelihood_is_that_of_a_model_that_ignores_z(ccvae, batch):
    for parameter in (*ccvae.decoder.parameters(), *ccvae.encoder.parameters()):
        nn.init.zeros_(parameter)
    # The guide is wider than the prior, so that the weights are bounded.
    ccvae.encoder.features[-1].bias.data[5:] = 4.0
    weights = diagnostics.importance_weights(ccvae, *batch, num_samples=20_000)
    expected = ccvae.decoder(torch.zeros(4, 5)).log_prob(batch[0])
    assert_close(diagnostics.log_likelihood(weights), expected, atol=0.2, rtol=0)


def test_log_likelihood_is_above_the_bound(ccvae, batch, weights):
    from ccvae_pyro import ExactCCVAE_ELBO

    elbo = ExactCCVAE_ELBO(num_particles=500, vectorize_particles=True)
    bound = -elbo.loss(ccvae.model, ccvae.guide, batch[0])
    assert diagnostics.log_likelihood(weights).sum() > bound


def test_the_mixture_prior_is_the_sum_over_enumerated_labels(ccvae):
    z_c = torch.randn(6, 3)
    labels = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    log_p = torch.stack(
        [
            ccvae.label_prior().log_prob(y) + ccvae.conditional_prior(y).log_prob(z_c)
            for y in labels
        ]
    )
    assert_close(
        mixture_log_prob(ccvae.label_prior, ccvae.conditional_prior, z_c), log_p.logsumexp(0)
    )


def test_the_effective_sample_size_of_equal_weights_is_their_number_and_of_one_heavy_weight_1():
    log_weights = torch.zeros(100, 2)
    log_weights[0, 1] = 50.0
    sizes = diagnostics.effective_sample_size(log_weights)
    assert_close(sizes, torch.tensor([100.0, 1.0]))


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_pareto_k_is_the_shape_of_a_pareto_distribution(k):
    tail = torch.distributions.Pareto(torch.tensor(1.0), torch.tensor(1 / k))
    estimate = diagnostics.pareto_k(tail.sample((20_000, 2)).log())
    assert estimate == pytest.approx([k, k], abs=0.12)


def test_arviz_has_samples_by_the_names_of_labels(ccvae, batch):
    data = diagnostics.inference_data(ccvae, *batch, num_samples=50)
    z_c = data["posterior"]["z_c"]
    assert z_c.sel(label="Beard").shape == (1, 50, 4)
    assert data["prior"]["z_c_given_y"].sel(value="with").shape == (1, 50, 3)
    assert np.array_equal(data["observed_data"]["y"], batch[1].numpy())
    assert data["posterior"]["z_style"].dims[-2:] == ("image", "latent")
    ess = _arviz().ess(data)["z_c"] if "z_c" in _arviz().ess(data) else _arviz().ess(data)
    assert np.isfinite(np.asarray(ess["posterior"]["z_c"] if "posterior" in ess else ess)).all()


def test_the_forest_plot_of_the_prior_has_the_names_of_labels(ccvae, tmp_path):
    figure = diagnostics.plot_prior_forest(ccvae, num_samples=200)
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "forest.png")
    texts = {text.get_text() for axis in figure.axes for text in axis.texts}
    texts |= {tick.get_text() for axis in figure.axes for tick in axis.get_yticklabels()}
    assert any("Wearing_Hat" in text for text in texts)


def test_names_of_labels_in_the_forest_plot_are_not_formulas(tmp_path):
    labels = (Categorical("$5 or $6", ("$$", r"\frac{1}{$", "a" * 10_000)), Binary("long " * 60))
    model = ccvae_pyro.mnist(z_dim=6, labels=labels, convolutions=False)
    figure = diagnostics.plot_prior_forest(model, num_samples=50)
    figure.savefig(tmp_path / "forest.png")
    texts = {tick.get_text() for axis in figure.axes for tick in axis.get_yticklabels()}
    texts |= {text.get_text() for axis in figure.axes for text in axis.texts}
    assert any("$$" in text for text in texts)
    assert max(map(len, texts)) <= 32
    assert max(figure.get_size_inches()) < 20


def test_images_without_labels_have_no_label_weights(ccvae, batch):
    assert diagnostics.importance_weights(ccvae, batch[0], num_samples=10).labels is None
    assert math.isfinite(diagnostics.importance_weights(ccvae, batch[0], None, 10).images.sum())


@pytest.fixture
def mixed():
    """A model of labels of every kind, one of which has two characteristics."""
    labels = (Continuous("Age", 3.0, 2.0, 1), Categorical("Hair", ("a", "b", "c")), Binary("Hat"))
    torch.manual_seed(0)
    ccvae = ccvae_pyro.mnist(z_dim=8, labels=labels)
    for parameter in ccvae.conditional_prior.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return ccvae.double()


def test_the_mixture_prior_sums_over_labels_of_every_kind(mixed):
    z_c = torch.randn(6, 5, dtype=torch.double)
    age = torch.linspace(-15, 21, 4001, dtype=torch.double)
    total = []
    for hair in range(3):
        for hat in range(2):
            y = torch.tensor([0.0, hair, hat], dtype=torch.double).repeat(len(age), 1)
            y[:, 0] = age
            of_z = mixed.conditional_prior(y).log_prob(z_c[:, None])
            total.append(of_z + mixed.label_prior().log_prob(y))
    log_p = torch.stack(total).logsumexp(0)
    expected = torch.trapezoid(log_p.exp(), age, dim=1).log()
    assert_close(mixture_log_prob(mixed.label_prior, mixed.conditional_prior, z_c), expected)


def test_arviz_has_labels_of_every_kind(mixed, tmp_path):
    x = torch.rand(2, 1, 28, 28, dtype=torch.double)
    y = torch.tensor([[2.5, 1.0, 0.0], [math.nan, 2.0, math.nan]], dtype=torch.double)
    data = diagnostics.inference_data(mixed, x, y, num_samples=20)
    assert data["posterior"]["y_probability"].sel(outcome="Hair: b").shape == (1, 20, 2)
    assert data["prior"]["Hair"].shape == (1, 20, 3, 2)
    assert data["prior"]["Age"].shape == (1, 20, 3, 2)
    assert data["prior"]["Hat"].shape == (1, 20, 2, 1)
    diagnostics.plot_prior_forest(mixed, num_samples=200).savefig(tmp_path / "forest.png")
    weights = diagnostics.importance_weights(mixed, x, y, num_samples=4_000)
    assert_close(weights.labels.exp().mean(0), torch.ones(2).double(), atol=0.1, rtol=0)


def test_the_prior_is_sampled_at_each_value_of_each_label(mixed):
    for parameter in mixed.conditional_prior.parameters():
        parameter.requires_grad_(False)
    samples = diagnostics._prior_samples(mixed, 20_000)
    values = torch.tensor([[3.0, 0, 0], [5.0, 1, 1], [7.0, 2, 1]], dtype=torch.double)
    means = torch.stack([mixed.conditional_prior(y).mean for y in values])
    for name, num_values, block in (("Age", 3, [0, 1]), ("Hair", 3, [2, 3]), ("Hat", 2, [4])):
        actual = samples[name].mean(axis=(0, 1))
        np.testing.assert_allclose(actual, means[:num_values, block].numpy(), atol=0.05)
