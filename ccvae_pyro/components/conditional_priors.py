"""Conditional priors: modules from labels to p(z_c|y)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccvae_pyro.components._normal import positive
from ccvae_pyro.distributions.labelwise_prior import AffineFactors, ClassFactors, LabelwisePrior
from ccvae_pyro.distributions.normal import FusedNormal
from ccvae_pyro.networks._sizes import check_positive, check_sizes


class GaussianConditionalPrior(nn.Module):
    r"""The conditional prior :math:`p_\psi(z_c \mid y)` of binary labels: two Normals for each.

    A label anywhere in [0, 1] interpolates between them, mean and raw scale alike:

    .. math:: p_\psi(z_c^i \mid y_i) = \mathcal{N}(y_i \mu_i^1 + (1 - y_i) \mu_i^0, \;
              \operatorname{softplus}(y_i \rho_i^1 + (1 - y_i) \rho_i^0))

    :param num_labels: the number of labels, and so of characteristics; or, for one label, the
        number of its characteristics.
    :param start: the initial means are minus and plus this value.
    """

    def __init__(self, num_labels: int, start: float = 2.0) -> None:
        super().__init__()
        check_sizes(num_labels=num_labels)
        self.loc_false = nn.Parameter(torch.full((num_labels,), -start))
        self.loc_true = nn.Parameter(torch.full((num_labels,), start))
        self.raw_scale_false = nn.Parameter(torch.ones(num_labels))
        self.raw_scale_true = nn.Parameter(torch.ones(num_labels))

    def forward(self, y: Tensor) -> LabelwisePrior:
        return LabelwisePrior(self.given, y, lambda: [self.factors()], len(self.loc_true))

    def given(self, y: Tensor) -> FusedNormal:
        """The Normals at labels ``y``, of batch shape ``(..., num_labels)``."""
        loc = torch.lerp(self.loc_false, self.loc_true, y)
        raw_scale = torch.lerp(self.raw_scale_false, self.raw_scale_true, y)
        return FusedNormal(loc, positive(raw_scale), validate_args=False)

    def factors(
        self, columns: Tensor | None = None, latents: Tensor | None = None
    ) -> ClassFactors:
        """The two Normals of each label."""
        shape = (2, -1, 1) if latents is None else (2, *latents.shape)
        loc = torch.stack([self.loc_false, self.loc_true]).view(shape)
        scale = positive(torch.stack([self.raw_scale_false, self.raw_scale_true])).view(shape)
        return ClassFactors(FusedNormal(loc, scale, validate_args=False), columns, latents)


class ClassConditionalPrior(nn.Module):
    """The conditional prior of a categorical label: a Normal for each class.

    :param signs: the sign matrix of its dichotomies, see :func:`~ccvae_pyro.sign_matrix`.
    :param extra_dims: the number of characteristics that no dichotomy reads.
    :param start: the initial means are this value times the sign.
    """

    def __init__(self, signs: Tensor, extra_dims: int = 0, start: float = 2.0) -> None:
        super().__init__()
        check_sizes(0, extra_dims=extra_dims)
        loc = F.pad(start * signs, (0, extra_dims))
        self.loc, self.raw_scale = nn.Parameter(loc), nn.Parameter(torch.ones_like(loc))

    def forward(self, y: Tensor) -> LabelwisePrior:
        latents = torch.arange(self.loc.shape[1], device=self.loc.device)[None]
        return LabelwisePrior(
            self.given, y, lambda: [self.factors(None, latents)], self.loc.shape[1]
        )

    def given(self, y: Tensor) -> FusedNormal:
        """From classes, shape ``(..., 1)``, to Normals of shape ``(..., dim)``."""
        classes = y[..., 0].long()
        scale = positive(self.raw_scale[classes])
        return FusedNormal(self.loc[classes], scale, validate_args=False)

    def factors(self, columns: Tensor | None, latents: Tensor | None) -> ClassFactors:
        """The Normal of each class."""
        loc, scale = self.loc[:, None], positive(self.raw_scale)[:, None]
        return ClassFactors(FusedNormal(loc, scale, validate_args=False), columns, latents)


class LinearConditionalPrior(nn.Module):
    r"""The conditional prior of a continuous label: a Normal whose mean is affine in the label,

    .. math:: p_\psi(z_c^j \mid y) = \mathcal{N}\!\left(\mu_j + \beta_j \frac{y - m}{s}, \;
              \operatorname{softplus}(\rho_j)\right) .

    :param mean: :math:`m`, the labels' mean.
    :param std: :math:`s`, the labels' standard deviation, positive.
    :param dim: the number of characteristics, of which a classifier reads the first.
    :param start: the initial :math:`\beta` of the first characteristic.
    """

    def __init__(self, mean: float, std: float, dim: int = 1, start: float = 2.0) -> None:
        super().__init__()
        check_sizes(dim=dim)
        check_positive(std=std)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.slope = nn.Parameter(F.pad(torch.tensor([start]), (0, dim - 1)))
        self.loc, self.raw_scale = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.ones(dim))

    def forward(self, y: Tensor) -> LabelwisePrior:
        latents = torch.arange(len(self.loc), device=self.loc.device)[None]
        return LabelwisePrior(self.given, y, lambda: [self.factors(None, latents)], len(self.loc))

    def given(self, y: Tensor) -> FusedNormal:
        """From labels of shape ``(..., 1)`` to Normals of shape ``(..., dim)``."""
        loc = self.loc + self.slope * (y - self.mean) / self.std
        return FusedNormal(loc, positive(self.raw_scale), validate_args=False)

    def factors(self, columns: Tensor | None, latents: Tensor | None) -> AffineFactors:
        """The affine mean and the scale of each characteristic."""
        slope = self.slope / self.std
        offset, scale = self.loc - slope * self.mean, positive(self.raw_scale)
        return AffineFactors(slope[None], offset[None], scale[None], columns, latents)
