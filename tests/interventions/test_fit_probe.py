"""The linear probe of all latents, against Bayes' rule from densities of the same latents."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import BayesianRidge

import ccvae_pyro
from ccvae_pyro import Binary, Categorical, Continuous, Ordinal, classify, fit_probe, predict
from ccvae_pyro.components import LinearProbe
from ccvae_pyro.distributions.label_vector import confidence

LABELS = (
    Binary("Hat"),
    Categorical("Hair", ("a", "b", "c", "d")),
    Continuous("Age", 40.0, 10.0),
    Ordinal("Stars", ("1", "2", "3")),
)


@pytest.fixture
def given():
    """A model, images, their latents, and labels that are noisy functions of the latents."""
    torch.manual_seed(0)
    dim = sum(label.dim for label in LABELS)
    ccvae = ccvae_pyro.mnist(labels=LABELS, z_dim=dim + 4, convolutions=False)
    x = torch.rand(200, 1, 28, 28)
    with torch.no_grad():
        z = torch.cat(ccvae.encode(x), -1)
    u = (z - z.mean(0)) / z.std(0) + 0.5 * torch.randn_like(z)
    y = torch.stack(
        [
            (u[:, -1] > 0.3).to(z),
            torch.stack([u[:, -2], u[:, 0], u[:, 1]], -1).argmax(-1).to(z),  # never "d"
            40 + 10 * u[:, -3],
            (u[:, 2] + 1).round().clamp(0, 2),
        ],
        -1,
    )
    return ccvae, x, z.double().numpy(), y


def by_densities(u, y):
    """Bayes' rule from the Normal density of each class, with one covariance."""
    means = np.stack([u[y == k].mean(0) for k in np.unique(y)])
    covariance = LedoitWolf(assume_centered=True).fit(u - means[y.astype(int)]).covariance_
    joint = [
        np.mean(y == k) * multivariate_normal(mean, covariance).pdf(u)
        for k, mean in enumerate(means)
    ]
    return np.stack(joint, 1) / np.sum(joint, 0)[:, None]


def test_it_is_the_linear_discriminant_of_the_latents(given):
    ccvae, x, z, y = given
    ccvae.probe = fit_probe(ccvae, [(x[:120], y[:120]), (x[120:], y[120:])])
    outcomes, (values, _) = classify(ccvae, x).numpy(), predict(ccvae, x)
    u = (z - z.mean(0)) / z.std(0)
    assert outcomes[:, 0] == pytest.approx(by_densities(u, y[:, 0].numpy())[:, 1], abs=1e-3)
    hair = by_densities(u, y[:, 1].numpy())
    assert outcomes[:, 1:4] / outcomes[:, 1:4].sum(1, keepdims=True) == pytest.approx(
        hair, abs=1e-3
    )
    assert outcomes[:, 4].max() < 0.2  # the class that no image has
    ridge = BayesianRidge().fit(u, y[:, 2].numpy())
    assert outcomes[:, 5] == pytest.approx(ridge.predict(u), abs=0.2)
    right = (values == y)[:, [0, 1, 3]].double().mean(0)
    assert (right > torch.tensor([0.75, 0.6, 0.6])).all()
    scale = confidence(ccvae.q_y_x(x))[:, 2]
    assert scale[0].item() == pytest.approx((values - y)[:, 2].std().item(), rel=0.2)


def test_missing_labels_are_left_out(given):
    ccvae, x, _, y = given
    some = y.clone()
    some[100:] = math.nan
    ccvae.probe = fit_probe(ccvae, [(x, some)])
    assert (predict(ccvae, x[:100])[0][:, 0] == y[:100, 0]).double().mean() > 0.75


@pytest.mark.parametrize("value", [0.0, 1.0, math.nan])
def test_a_label_without_variation_is_predicted_by_its_frequency(given, value):
    ccvae, x, _, y = given
    y = y.clone()
    y[:, :2], y[:, 3] = value, value
    y[:, 2] = 40 + 10 * value
    ccvae.probe = fit_probe(ccvae, [(x, y)])
    outcomes = classify(ccvae, x)
    assert outcomes.isfinite().all()
    if not math.isnan(value):
        assert (predict(ccvae, x)[0][:, [0, 1, 3]] == value).all()
        assert outcomes[:, 5].numpy() == pytest.approx(np.full(len(x), 40 + 10 * value), abs=1e-3)
    else:
        assert outcomes[0].tolist() == pytest.approx(
            [0.5, *[0.25] * 4, 40, *outcomes[0, 6:].tolist()], abs=1e-6
        )


def test_what_it_cannot_be_fitted_to_is_an_error(given):
    ccvae, x, _, y = given
    with pytest.raises(ValueError, match="wanted labeled images to fit a probe to, got none"):
        fit_probe(ccvae, [])
    with pytest.raises(ccvae_pyro.UnsupportedError, match="fitted to a CCVAE, got a Linear"):
        fit_probe(torch.nn.Linear(1, 1), [(x, y)])


def test_its_tensors_fit_the_labels():
    with pytest.raises(ValueError, match=r"wanted bias of finite numbers, of shape \(7,\), got"):
        LinearProbe(torch.zeros(3, 7), torch.zeros(6), torch.ones(4), LABELS)
    with pytest.raises(ValueError, match="wanted positive scales"):
        LinearProbe(torch.zeros(3, 7), torch.zeros(7), torch.zeros(4), LABELS)
