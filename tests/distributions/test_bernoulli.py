"""The Bernoulli of logits, against Pyro's."""

import pyro.distributions as dist
import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro.distributions import LogitBernoulli


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_bernoulli_of_logits_is_pyros_with_its_gradient(value):
    logits = torch.tensor([-800.0, -30.0, -1.0, 0.0, 0.5, 30.0, 800.0], requires_grad=True)
    value = torch.full_like(logits, value).detach()
    ours, pyros = (
        fn(logits=logits, validate_args=False).log_prob(value)
        for fn in (LogitBernoulli, dist.Bernoulli)
    )
    assert_close(ours, pyros, atol=1e-12, rtol=1e-12)
    gradients = [torch.autograd.grad(log_prob.sum(), logits)[0] for log_prob in (ours, pyros)]
    assert_close(*gradients, atol=1e-12, rtol=1e-12)
