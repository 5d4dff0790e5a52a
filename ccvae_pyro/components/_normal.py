"""Normals parametrized by the features of a network, and vectors of independent entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from torch import Tensor

from ccvae_pyro.distributions.normal import FusedNormal

# No standard deviation falls below this: the paper's guard against a density that diverges.
MIN_SCALE = 1e-3


def positive(raw_scale: Tensor) -> Tensor:
    """A scale from any real number."""
    return F.threshold(F.softplus(raw_scale), MIN_SCALE, MIN_SCALE)


def vector(fn: Any, num_dims: int = 1) -> dist.Independent:
    """A distribution whose last dimensions are one event: Pyro's ``to_event``, with a type."""
    event: dist.Independent = fn.to_event(num_dims)
    return event


# A scale from any real number: the paper's, and that of the model that its authors published.
SCALES: dict[str, Callable[[Tensor], Tensor]] = {"softplus": positive, "exp": torch.exp}


def normal_from(
    features: Tensor, scale: Callable[[Tensor], Tensor] = SCALES["softplus"]
) -> FusedNormal:
    """A Normal for each two features: means first, then raw scales."""
    loc, raw_scale = features.chunk(2, dim=-1)
    return FusedNormal(loc, scale(raw_scale), validate_args=False)
