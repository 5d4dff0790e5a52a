"""Normals parametrized by the features of a network."""

from __future__ import annotations

import pyro.distributions as dist
import torch.nn.functional as F
from torch import Tensor

# No standard deviation falls below this: the paper's guard against a density that diverges.
MIN_SCALE = 1e-3


def positive(raw_scale: Tensor) -> Tensor:
    """A scale from any real number."""
    return F.softplus(raw_scale).clamp(min=MIN_SCALE)


def normal_from(features: Tensor) -> dist.Normal:
    """A Normal for each two features: means first, then raw scales."""
    loc, raw_scale = features.chunk(2, dim=-1)
    return dist.Normal(loc, positive(raw_scale), validate_args=False)
