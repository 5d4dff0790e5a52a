"""A Normal parametrized by the features of a network."""

from __future__ import annotations

import pyro.distributions as dist
import torch.nn.functional as F
from torch import Tensor

MIN_SCALE = (
    1e-3  # no deviation falls below this: the paper's guard against a density that diverges
)


def normal_of(features: Tensor) -> dist.Normal:
    """A Normal for each two features: locations first, then scales before their softplus."""
    loc, raw_scale = features.chunk(2, dim=-1)
    return dist.Normal(loc, F.softplus(raw_scale).clamp(min=MIN_SCALE))
