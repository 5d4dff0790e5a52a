"""Normals whose samples are labels, and the probabilities of ranks."""

import torch
from torch.distributions import Normal
from torch.testing import assert_close

from ccvae_pyro.distributions import ClampedNormal, rank_log_probs


def test_samples_are_clamped_and_whole_and_densities_are_those_of_the_normal():
    loc, scale = torch.tensor([0.9, 3.0]), torch.tensor([0.5, 2.0])
    normal = ClampedNormal(loc, scale, (0.0, 1.0))
    samples = normal.expand([5000, 2]).sample()
    assert samples.min() == 0
    assert samples.max() == 1
    shares = Normal(loc, scale).cdf(torch.zeros(2))
    assert_close((samples == 0).to(shares).mean(0), shares, atol=0.02, rtol=0)
    assert_close(normal.log_prob(samples), Normal(loc, scale).log_prob(samples))
    ranks = ClampedNormal(loc, scale, (0.0, 2.0), are_whole=True).sample((5000,))
    assert ranks.unique().tolist() == [0, 1, 2]


def test_ranks_have_the_probabilities_of_their_densities():
    loc, scale = torch.tensor([-4.0, 0.4, 1.6, 9.0]), torch.tensor([1.0, 0.3, 5.0, 1e-3])
    probs = rank_log_probs(loc, scale, 4).exp()
    density = Normal(loc[:, None], scale[:, None]).log_prob(torch.arange(4).to(loc)).exp()
    expected = density / density.sum(1, keepdim=True)
    assert_close(probs[:3], expected[:3])
    # The most probable rank is the nearest, however far and certain the mean is.
    assert probs.argmax(1).tolist() == [0, 0, 2, 3]
    assert_close(probs.sum(1), torch.ones(4).to(probs))
