"""Conditional priors: what the latents of each label depend on."""

import pyro.distributions as dist
import pytest
import torch
from torch.nn.functional import softplus
from torch.testing import assert_close

from ccvae_pyro import components, sign_matrix


def test_conditional_prior_interpolates():
    prior = components.GaussianConditionalPrior(4)
    without, half, with_it = (prior.given(torch.full((4,), y)) for y in (0.0, 0.5, 1.0))
    assert_close(half.loc, (without.loc + with_it.loc) / 2)
    assert_close(without.loc, torch.full((4,), -2.0))
    assert_close(with_it.loc, torch.full((4,), 2.0))


def test_each_label_has_only_its_own_characteristic_in_the_conditional_prior():
    prior = components.GaussianConditionalPrior(3)
    before = prior(torch.zeros(3)).mean
    after = prior(torch.tensor([0.0, 1.0, 0.0])).mean
    assert (before != after).tolist() == [False, True, False]


def test_a_label_with_more_latents_moves_all_of_them():
    prior = components.GaussianConditionalPrior(3)
    without, with_it = (prior.given(torch.tensor([[y]])) for y in (0.0, 1.0))
    assert without.loc.shape == (1, 3)
    assert_close(with_it.loc - without.loc, torch.full((1, 3), 4.0))


@pytest.mark.parametrize("extra_dims", [0, 2])
def test_the_latents_of_a_class_start_on_its_sides_of_the_dichotomies(extra_dims):
    signs = sign_matrix(4)
    prior = components.ClassConditionalPrior(signs, extra_dims)
    mean = prior(torch.arange(4.0)[:, None]).mean
    assert_close(mean[:, :3], 2 * signs)
    assert_close(mean[:, 3:], torch.zeros(4, extra_dims))


def test_the_mean_is_affine_in_a_continuous_label():
    prior = components.LinearConditionalPrior(mean=30.0, std=10.0, dim=2)
    prior.slope.data.copy_(torch.tensor([2.0, -1.0]))
    y = torch.tensor([[30.0], [40.0], [10.0]])
    expected = torch.tensor([[0.0, 0.0], [2.0, -1.0], [-4.0, 2.0]])
    assert_close(prior(y).mean, expected)
    scale = softplus(torch.ones(3, 2))
    assert_close(prior(y).variance.sqrt(), scale)


def test_its_factors_are_those_of_the_single_normals():
    prior = components.GaussianConditionalPrior(3)
    for parameter in prior.parameters():
        parameter.data += torch.randn_like(parameter)
    (factors,) = prior(torch.zeros(3)).given_each_value
    z_c = torch.randn(5, 3)
    for value, log_prob in enumerate(factors.log_prob(z_c)):
        loc = (prior.loc_false, prior.loc_true)[value]
        scale = softplus((prior.raw_scale_false, prior.raw_scale_true)[value])
        assert_close(log_prob, dist.Normal(loc, scale).log_prob(z_c))
