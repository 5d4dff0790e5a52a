"""The distribution of a fitted sampler, and the tensors that it refuses."""

import pytest
import torch
from torch.distributions import Normal
from torch.testing import assert_close

from ccvae_pyro import Binary, Categorical
from ccvae_pyro.components import FittedSampler

LABELS = (Binary("Hat"), Categorical("Hair", ("black", "blond")))
Z_DIM = 3


def tensors():
    weight = torch.arange(9.0).view(3, Z_DIM)
    scale_tril = torch.tensor([[1.0, 0, 0], [0.5, 2, 0], [-1, 0.3, 0.7]])
    return {"weight": weight, "bias": torch.ones(Z_DIM), "scale_tril": scale_tril}


def test_each_latent_is_a_normal_given_those_before_it():
    sampler = FittedSampler.from_tensors(tensors(), LABELS)
    u, scale = torch.tensor([0.5, -1.0, 4.0]), sampler.scale_tril
    mean = -sampler.weight[0] + sampler.weight[2] + 1  # no hat, and blond
    errors = torch.linalg.solve_triangular(scale, (u - mean)[:, None], upper=False)[:, 0]
    given = mean + scale.tril(-1) @ errors
    expected = Normal(given, scale.diagonal()).log_prob(u).sum()
    assert_close(sampler(torch.tensor([[0.0, 1.0]])).log_prob(u), expected[None])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weight", torch.zeros(2, 3), r"weight .* of shape \(3, 3\), got \(2, 3\)"),
        ("bias", torch.tensor(1.0), "weight"),
        ("bias", torch.tensor([1, torch.nan, 0]), "bias of finite numbers"),
        ("scale_tril", torch.ones(3, 3), "lower triangular"),
        ("scale_tril", torch.zeros(3, 3), "positive diagonal"),
    ],
)
def test_tensors_of_no_sampler_are_errors(name, value, message):
    with pytest.raises(ValueError, match=message):
        FittedSampler(**(tensors() | {name: value}), labels=LABELS)


@pytest.mark.parametrize("wrong", [{}, {"weight": 1}, [], tensors() | {"mean": torch.ones(3)}])
def test_entries_of_no_sampler_are_errors(wrong):
    with pytest.raises(ValueError, match="wanted the tensors weight, bias, scale_tril"):
        FittedSampler.from_tensors(wrong, LABELS)
