"""Encoders: the scales of the posterior."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ccvae_pyro import components

SCALES = {"softplus": lambda raw: F.softplus(raw).clamp(min=1e-3), "exp": torch.exp}


@pytest.mark.parametrize("scale", SCALES)
def test_the_scale_is_the_chosen_function_of_the_features(scale):
    encoder = components.GaussianEncoder(torch.nn.Identity(), (2, 1), scale)
    features = torch.tensor([[0.3, -0.2, 0.1, -12.0, 0.0, 2.5]])
    loc, raw_scale = features.chunk(2, dim=-1)
    q_z = encoder(features)
    assert_close(torch.cat([q.mean for q in q_z], -1), loc)
    assert_close(torch.cat([q.variance.sqrt() for q in q_z], -1), SCALES[scale](raw_scale))
