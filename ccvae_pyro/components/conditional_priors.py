"""Conditional priors: modules from labels to p(z_c|y)."""

from __future__ import annotations

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccvae_pyro.components._normal import MIN_SCALE


class GaussianConditionalPrior(nn.Module):
    r"""The conditional prior :math:`p_\psi(z_c \mid y)`: two Normals for each label.

    A label anywhere in [0, 1] interpolates between them, location and raw scale alike:

    .. math:: p_\psi(z_c^i \mid y_i) = \mathcal{N}(y_i \mu_i^1 + (1 - y_i) \mu_i^0, \;
              \operatorname{softplus}(y_i s_i^1 + (1 - y_i) s_i^0))

    :param num_labels: the number of labels, and so of characteristics.
    :param start: where the two locations begin, at minus and plus this value.
    """

    def __init__(self, num_labels: int, start: float = 2.0) -> None:
        super().__init__()
        self.loc_false = nn.Parameter(torch.full((num_labels,), -start))
        self.loc_true = nn.Parameter(torch.full((num_labels,), start))
        self.raw_scale_false = nn.Parameter(torch.ones(num_labels))
        self.raw_scale_true = nn.Parameter(torch.ones(num_labels))

    def forward(self, y: Tensor) -> dist.Independent:
        loc = torch.lerp(self.loc_false, self.loc_true, y)
        raw_scale = torch.lerp(self.raw_scale_false, self.raw_scale_true, y)
        scale = F.softplus(raw_scale).clamp(min=MIN_SCALE)
        return dist.Normal(loc, scale).to_event(1)


class ClassConditionalPrior(nn.Module):
    """The conditional prior of a label with classes: a Normal for each class.

    :param signs: which decisions lead to each class.
    :param extra_dims: characteristics that no decision reads.
    :param start: where a decision that is made has its mean at first, at minus or plus this value.
    """

    def __init__(self, signs: Tensor, extra_dims: int = 0, start: float = 2.0) -> None:
        super().__init__()
        loc = F.pad(start * signs, (0, extra_dims))
        self.loc, self.raw_scale = nn.Parameter(loc), nn.Parameter(torch.ones_like(loc))

    def forward(self, y: Tensor) -> dist.Normal:
        """From classes, shape ``(..., 1)``, to Normals of shape ``(..., dim)``."""
        classes = y[..., 0].long()
        scale = F.softplus(self.raw_scale[classes]).clamp(min=MIN_SCALE)
        return dist.Normal(self.loc[classes], scale)


class LinearConditionalPrior(nn.Module):
    """The conditional prior of a label that is a number: a Normal whose mean is a line in it.

    :param mean: of the labels.
    :param std: standard deviation of the labels.
    :param dim: how many characteristics there are, of which a classifier reads the first.
    :param start: the first one's mean at first, for a label one deviation above the mean.
    """

    def __init__(self, mean: float, std: float, dim: int = 1, start: float = 2.0) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.slope = nn.Parameter(F.pad(torch.tensor([start]), (0, dim - 1)))
        self.loc, self.raw_scale = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.ones(dim))

    def forward(self, y: Tensor) -> dist.Normal:
        loc = self.loc + self.slope * (y - self.mean) / self.std
        return dist.Normal(loc, F.softplus(self.raw_scale).clamp(min=MIN_SCALE))
