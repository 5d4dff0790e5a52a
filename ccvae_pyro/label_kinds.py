"""The parts of a CCVAE for labels of every kind, each a module that returns a distribution."""

from __future__ import annotations

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccvae_pyro.distributions import MIN_SCALE
from ccvae_pyro.labels.nested import NestedCategorical


class NestedClassifier(nn.Module):
    r"""The classifier of a label with classes: :math:`l_j = w_j z_c^j + b_j` for each decision.

    At first, all classes are alike where ``z_c`` is 0.

    :param paths: which decisions lead to each class: see :func:`~ccvae_pyro.nested_paths`.
    """

    def __init__(self, paths: Tensor) -> None:
        super().__init__()
        self.paths: Tensor
        self.register_buffer("paths", paths)
        self.weight = nn.Parameter(torch.ones(paths.shape[1]))
        first, second = (paths > 0).sum(0), (paths < 0).sum(0)
        self.bias = nn.Parameter((first / second).log())

    def forward(self, z: Tensor) -> NestedCategorical:
        """From shape ``(..., num_decisions)`` to a distribution of batch shape ``(..., 1)``."""
        return NestedCategorical((self.weight * z + self.bias)[..., None, :], self.paths)


class ClassConditionalPrior(nn.Module):
    """The conditional prior of a label with classes: a Normal for each class.

    :param paths: which decisions lead to each class.
    :param extra_dims: characteristics that no decision reads.
    :param start: where a decision that is made has its mean at first, at minus or plus this value.
    """

    def __init__(self, paths: Tensor, extra_dims: int = 0, start: float = 2.0) -> None:
        super().__init__()
        loc = F.pad(start * paths, (0, extra_dims))
        self.loc, self.raw_scale = nn.Parameter(loc), nn.Parameter(torch.ones_like(loc))

    def forward(self, y: Tensor) -> dist.Normal:
        """From classes, shape ``(..., 1)``, to Normals of shape ``(..., dim)``."""
        classes = y[..., 0].long()
        scale = F.softplus(self.raw_scale[classes]).clamp(min=MIN_SCALE)
        return dist.Normal(self.loc[classes], scale)


class CategoricalLabelPrior(nn.Module):
    """The prior of a label with classes.

    :param frequencies: how often each class is met, shape ``(num_classes,)``.
    :raises ValueError: if one is not positive, where its bound would be infinite.
    """

    def __init__(self, frequencies: Tensor) -> None:
        super().__init__()
        if not (frequencies > 0).all():
            raise ValueError(f"the frequency of a class must be positive, got {frequencies}")
        self.frequencies: Tensor
        self.register_buffer("frequencies", frequencies / frequencies.sum())

    def forward(self) -> dist.Categorical:
        return dist.Categorical(self.frequencies[None])


class LinearRegressor(nn.Module):
    r"""The classifier of a label that is a number: :math:`\mathcal{N}(y; w z_c + b, \sigma)`.

    :param mean: of the labels, from which the line starts.
    :param deviation: of the labels, in units of which line and :math:`\sigma` are.
    """

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))
        self.weight = nn.Parameter(torch.full((1,), 0.5))  # of a prior that is 2 at one deviation
        self.bias, self.raw_scale = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor) -> dist.Normal:
        scale = F.softplus(self.raw_scale).clamp(min=MIN_SCALE)
        loc = self.mean + self.deviation * (self.weight * z + self.bias)
        return dist.Normal(loc, self.deviation * scale)


class LinearConditionalPrior(nn.Module):
    """The conditional prior of a label that is a number: a Normal whose mean is a line in it.

    :param mean: of the labels.
    :param deviation: of the labels.
    :param dim: how many characteristics there are, of which a classifier reads the first.
    :param start: the first one's mean at first, for a label one deviation above the mean.
    """

    def __init__(self, mean: float, deviation: float, dim: int = 1, start: float = 2.0) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))
        self.slope = nn.Parameter(F.pad(torch.tensor([start]), (0, dim - 1)))
        self.loc, self.raw_scale = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.ones(dim))

    def forward(self, y: Tensor) -> dist.Normal:
        loc = self.loc + self.slope * (y - self.mean) / self.deviation
        return dist.Normal(loc, F.softplus(self.raw_scale).clamp(min=MIN_SCALE))


class NormalLabelPrior(nn.Module):
    """The prior of a label that is a number.

    :param mean: of the labels.
    :param deviation: of the labels, positive.
    """

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        if not deviation > 0:
            raise ValueError(f"the deviation of a label must be positive, got {deviation}")
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor([mean]))
        self.register_buffer("deviation", torch.tensor([deviation]))

    def forward(self) -> dist.Normal:
        return dist.Normal(self.mean, self.deviation)
