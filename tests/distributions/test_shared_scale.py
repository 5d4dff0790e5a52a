"""Distributions of one scale for all pixels, against those of Pyro."""

import pyro.distributions as dist
import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro.distributions.shared_scale import (
    SharedScaleLaplace,
    SharedScaleLogistic,
    SharedScaleNormal,
)


def test_shared_scale_laplace_is_a_laplace_at_every_pixel():
    loc, scale = torch.rand(5, 3, 4, 4), torch.tensor(0.7)
    x = torch.rand(5, 3, 4, 4)
    actual, expected = SharedScaleLaplace(loc, scale, 3), dist.Laplace(loc, scale).to_event(3)
    assert (actual.batch_shape, actual.event_shape) == (expected.batch_shape, expected.event_shape)
    assert_close(actual.log_prob(x), expected.log_prob(x))
    assert_close(actual.mean, expected.mean)
    assert_close(actual.variance, expected.variance)
    assert_close(actual.expand((2, 5)).log_prob(x), expected.expand((2, 5)).log_prob(x))
    torch.manual_seed(0)
    sample = actual.rsample((7,))
    torch.manual_seed(0)
    assert_close(sample, expected.rsample((7,)))


def test_shared_scale_laplace_has_the_gradient_of_a_laplace():
    x = torch.rand(5, 6)
    gradients = []
    for make in (
        lambda loc, scale: SharedScaleLaplace(loc, scale, 1),
        lambda loc, scale: dist.Laplace(loc, scale).to_event(1),
    ):
        loc = torch.linspace(0, 1, 30).view(5, 6).requires_grad_()
        scale = torch.tensor(0.7, requires_grad=True)
        make(loc, scale).log_prob(x).sum().backward()
        gradients.append((loc.grad, scale.grad))
    assert_close(*gradients)


def test_shared_scale_normal_is_a_normal_at_every_pixel():
    loc, scale, x = torch.rand(5, 3, 4, 4), torch.tensor(0.7), torch.rand(5, 3, 4, 4)
    actual, expected = SharedScaleNormal(loc, scale, 3), dist.Normal(loc, scale).to_event(3)
    assert_close(actual.log_prob(x), expected.log_prob(x))
    assert_close(actual.variance, expected.variance)
    torch.manual_seed(0)
    sample = actual.rsample((7,))
    torch.manual_seed(0)
    assert_close(sample, expected.rsample((7,)))


def test_discretized_logistic_is_a_distribution_over_the_values_of_a_byte():
    bytes_ = torch.arange(256, dtype=torch.float64)[:, None] / 255
    for loc in (-0.1, 0.0, 0.3, 0.998, 1.2):
        for scale in (1e-4, 0.01, 0.3):
            parameters = torch.full((1,), loc).double(), torch.tensor(scale).double()
            log_p = SharedScaleLogistic(*parameters, 1).log_prob(bytes_)
            assert_close(log_p.exp().sum(), torch.ones(()).double())


def test_discretized_logistic_is_the_mass_between_midpoints():
    loc, scale = torch.tensor([0.41]).double(), torch.tensor(0.1).double()
    p_x = SharedScaleLogistic(loc, scale, 1)
    x = torch.tensor([[0.0], [100 / 255], [1.0]]).double()
    cdf = ((x + torch.tensor([-1.0, 1.0]).double() / 510 - loc) / scale).sigmoid()
    cdf[0, 0], cdf[2, 1] = 0.0, 1.0
    assert_close(p_x.log_prob(x), (cdf[:, 1] - cdf[:, 0]).log())


def test_discretized_logistic_samples_bytes_by_their_probabilities():
    torch.manual_seed(0)
    p_x = SharedScaleLogistic(torch.tensor([0.01, 0.5]), torch.tensor(0.02), 1)
    samples = p_x.sample((20_000,))
    assert_close(samples * 255, (samples * 255).round())
    assert (samples[:, 0] == 0).float().mean() == pytest.approx(
        p_x.family().cdf(torch.tensor([1 / 510, 0.5]))[0].item(), abs=0.015
    )
    assert samples[:, 1].std() == pytest.approx(p_x.variance.sqrt()[1].item(), rel=0.03)
