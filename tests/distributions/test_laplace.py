"""The Laplace of one scale for all pixels, against Pyro's."""

import pyro.distributions as dist
import torch
from torch.testing import assert_close

from ccvae_pyro.distributions.laplace import SharedScaleLaplace


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
