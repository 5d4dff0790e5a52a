"""Classifiers: modules from latents, or images, to q(y|z_c)."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ccvae_pyro.components._normal import normal_from, positive, vector
from ccvae_pyro.distributions.label_vector import (
    AffineBinary,
    AffineCategorical,
    AffineContinuous,
    AffineLabels,
    LabelGroup,
    LabelVector,
)
from ccvae_pyro.distributions.normal import FusedNormal
from ccvae_pyro.labels import Binary, Categorical, Label, Ordinal
from ccvae_pyro.networks._sizes import check_positive, check_sizes

ROUNDING_STD = 12**-0.5  # of a number that is rounded to a whole one, if it is uniform


class DiagonalClassifier(nn.Module):
    r"""The classifier :math:`q_\varphi(y \mid z_c)` of binary labels, one characteristic for each.

    .. math:: \operatorname{logit} q_\varphi(y_i = 1 \mid z_c) = a_i z_c^i + c_i

    :param num_labels: the number of labels, and so of characteristics.
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        check_sizes(num_labels=num_labels)
        self.weight = nn.Parameter(torch.ones(num_labels))
        self.bias = nn.Parameter(torch.zeros(num_labels))

    def forward(self, z_c: Tensor) -> AffineLabels:
        return AffineLabels(z_c, self.group())

    def group(self, columns: Tensor | None = None, latents: Tensor | None = None) -> AffineBinary:
        """Slopes and offsets of the logits, for labels of these columns and latents."""
        return AffineBinary(self.weight, self.bias, columns, latents)


class NestedClassifier(nn.Module):
    r"""The classifier of a categorical label by nested dichotomies, one characteristic for each:

    .. math:: \ell_j = a_j z_c^j + c_j .

    The offsets start such that all classes are equally likely at ``z_c = 0``.

    :param signs: the sign matrix, see :func:`~ccvae_pyro.sign_matrix`.
    :raises ValueError: if a dichotomy has no class on one of its sides, or there is none.
    """

    def __init__(self, signs: Tensor) -> None:
        super().__init__()
        has_both = (signs > 0).any(0) & (signs < 0).any(0)
        if not signs.numel() or not (signs.is_meta or has_both.all()):
            raise ValueError(
                f"wanted a sign matrix with 1 and -1 in each column, got {signs.tolist()}"
            )
        self.signs: Tensor
        self.register_buffer("signs", signs)
        self.weight = nn.Parameter(torch.ones(signs.shape[1]))
        first, second = (signs > 0).sum(0), (signs < 0).sum(0)
        self.bias = nn.Parameter((first / second).log())

    def forward(self, z_c: Tensor) -> AffineLabels:
        latents = torch.arange(z_c.shape[-1], device=z_c.device)[None]
        return AffineLabels(z_c, self.group(None, latents))

    def group(self, columns: Tensor | None, latents: Tensor | None) -> AffineCategorical:
        """Slopes and offsets of the dichotomies' logits, for a label of this column."""
        return AffineCategorical(self.weight, self.bias, self.signs, columns, latents)


class LinearRegressor(nn.Module):
    r"""The classifier of a continuous label, a linear regression on one characteristic:

    .. math:: q_\varphi(y \mid z_c) = \mathcal{N}\!\left(y; \, m + s (a z_c + c), \;
              s \operatorname{softplus}(\rho)\right) .

    :param mean: :math:`m`, the labels' mean.
    :param std: :math:`s`, the labels' standard deviation, positive.
    """

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        check_positive(std=std)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        # The conditional prior's mean starts at 2 for a label one standard deviation up.
        self.weight = nn.Parameter(torch.full((1,), 0.5))
        self.bias, self.raw_scale = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def forward(self, z_c: Tensor) -> AffineLabels:
        latents = torch.arange(z_c.shape[-1], device=z_c.device)[None]
        return AffineLabels(z_c, self.group(None, latents))

    def group(self, columns: Tensor | None, latents: Tensor | None) -> AffineContinuous:
        """Slope and offset of the mean, for a label of this column."""
        slope, offset = self.std * self.weight, self.mean + self.std * self.bias
        scale = self.std * positive(self.raw_scale)
        return AffineContinuous(slope, offset, scale, columns, latents)


class OrdinalRegressor(LinearRegressor):
    r"""The classifier of an ordinal label, a linear regression of its rank on one characteristic:

    .. math:: q_\varphi(y \mid z_c) = \mathcal{N}\!\left(y; \, m + s (a z_c + c), \;
              \sqrt{s^2 \operatorname{softplus}(\rho)^2 + 1/12}\right) .

    The variance is at least 1/12, that of the rounding of a number to a rank: the density at ranks
    that are predicted without an error would grow without a limit otherwise.
    """

    def group(self, columns: Tensor | None, latents: Tensor | None) -> AffineContinuous:
        """Slope and offset of the mean, for a label of this column."""
        exact = super().group(columns, latents)
        scale = torch.hypot(exact.scale, torch.full_like(exact.scale, ROUNDING_STD))
        return AffineContinuous(exact.slope[..., 0], exact.offset[..., 0], scale, columns, latents)


class NetworkClassifier(nn.Module):
    r"""A classifier with a network: :math:`q(y \mid x)`, or :math:`q(y \mid z)`.

    :param features: the network, up to the features that :class:`LabelHead` takes.
    """

    def __init__(self, features: nn.Module, labels: Sequence[Label]) -> None:
        super().__init__()
        self.features, self.head = features, LabelHead(labels)

    def forward(self, x: Tensor) -> dist.TorchDistribution:
        labels: dist.TorchDistribution = self.head(self.features(x))
        return labels


class LabelHead(nn.Module):
    """A network's output as the distribution of a label vector.

    Example:

        >>> head = LabelHead([Binary("Hat"), Categorical("Hair", ("black", "blond"))])
        >>> head(torch.zeros(5, head.num_features)).event_shape
        torch.Size([2])
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.sizes = [_num_parameters(label) for label in labels]
        self.columns: Tensor
        self.register_buffer("columns", torch.arange(len(labels)), persistent=False)

    @property
    def num_features(self) -> int:
        """The number of features that it takes."""
        return sum(self.sizes)

    def forward(self, features: Tensor) -> dist.TorchDistribution:
        """From shape ``(..., num_features)`` to labels of batch shape ``(...)``."""
        if all(isinstance(label, Binary) for label in self.labels):
            return vector(dist.Bernoulli(logits=features, validate_args=False))
        blocks = zip(self.labels, features.split(self.sizes, -1), self.columns, strict=True)
        return LabelVector(
            [LabelGroup(_distribution(label, b), column[None]) for label, b, column in blocks]
        )


def _num_parameters(label: Label) -> int:
    if isinstance(label, Categorical):
        return len(label.classes)
    return 1 if isinstance(label, Binary) else 2


def _distribution(label: Label, features: Tensor) -> dist.TorchDistribution:
    """The distribution of one label, of batch shape ``(..., 1)``."""
    if isinstance(label, Categorical):
        return dist.Categorical(logits=features[..., None, :], validate_args=False)
    if isinstance(label, Binary):
        distribution: dist.TorchDistribution = dist.Bernoulli(logits=features, validate_args=False)
        return distribution
    unit = normal_from(features)
    loc, scale = label.mean + label.std * unit.loc, label.std * unit.scale
    if isinstance(label, Ordinal):
        scale = torch.hypot(scale, torch.full_like(scale, ROUNDING_STD))
    return FusedNormal(loc, scale, validate_args=False)
