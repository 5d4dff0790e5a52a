"""Classifiers: modules from latents, or images, to q(y|z_c)."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccvae_pyro.components._normal import MIN_SCALE, normal_of
from ccvae_pyro.distributions.bernoulli import LogitBernoulli
from ccvae_pyro.distributions.label_vector import LabelPart, LabelVector
from ccvae_pyro.distributions.nested_categorical import NestedCategorical
from ccvae_pyro.labels import Binary, Categorical, Label


class DiagonalClassifier(nn.Module):
    r"""The classifier :math:`q_\varphi(y \mid z_c)`, in which :math:`y_i` sees :math:`z_c^i` only.

    .. math:: \operatorname{logit} q_\varphi(y_i = 1 \mid z_c) = w_i z_c^i + b_i

    :param num_labels: the number of labels, and so of characteristics.
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_labels))
        self.bias = nn.Parameter(torch.zeros(num_labels))

    def forward(self, z_c: Tensor) -> dist.Independent:
        return LogitBernoulli(logits=self.weight * z_c + self.bias).to_event(1)


class NestedClassifier(nn.Module):
    r"""The classifier of a label with classes: :math:`l_j = w_j z_c^j + b_j` for each decision.

    At first, all classes are alike where ``z_c`` is 0.

    :param signs: which decisions lead to each class: see :func:`~ccvae_pyro.sign_matrix`.
    """

    def __init__(self, signs: Tensor) -> None:
        super().__init__()
        self.signs: Tensor
        self.register_buffer("signs", signs)
        self.weight = nn.Parameter(torch.ones(signs.shape[1]))
        first, second = (signs > 0).sum(0), (signs < 0).sum(0)
        self.bias = nn.Parameter((first / second).log())

    def forward(self, z: Tensor) -> NestedCategorical:
        """From shape ``(..., num_decisions)`` to a distribution of batch shape ``(..., 1)``."""
        return NestedCategorical((self.weight * z + self.bias)[..., None, :], self.signs)


class LinearRegressor(nn.Module):
    r"""The classifier of a label that is a number: :math:`\mathcal{N}(y; w z_c + b, \sigma)`.

    :param mean: of the labels, from which the line starts.
    :param std: standard deviation of the labels, in units of which line and :math:`\sigma` are.
    """

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.weight = nn.Parameter(torch.full((1,), 0.5))  # of a prior that is 2 at one deviation
        self.bias, self.raw_scale = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor) -> dist.Normal:
        scale = F.softplus(self.raw_scale).clamp(min=MIN_SCALE)
        loc = self.mean + self.std * (self.weight * z + self.bias)
        return dist.Normal(loc, self.std * scale)


class NetworkClassifier(nn.Module):
    r"""A classifier behind a network: :math:`q(y \mid x)`, or :math:`q(y \mid z)`.

    :param features: the network, up to the features that :class:`LabelHead` takes.
    """

    def __init__(self, features: nn.Module, labels: Sequence[Label]) -> None:
        super().__init__()
        self.features, self.head = features, LabelHead(labels)

    def forward(self, x: Tensor) -> dist.TorchDistribution:
        return self.head(self.features(x))


class LabelHead(nn.Module):
    """A network's output as the distribution of a row of labels.

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
        """How many features it takes."""
        return sum(self.sizes)

    def forward(self, features: Tensor) -> dist.TorchDistribution:
        """From shape ``(..., num_features)`` to labels of batch shape ``(...)``."""
        if all(isinstance(label, Binary) for label in self.labels):
            return dist.Bernoulli(logits=features, validate_args=False).to_event(1)
        blocks = zip(self.labels, features.split(self.sizes, -1), self.columns, strict=True)
        return LabelVector([LabelPart(_of(label, b), column[None]) for label, b, column in blocks])


def _num_parameters(label: Label) -> int:
    if isinstance(label, Categorical):
        return len(label.classes)
    return 1 if isinstance(label, Binary) else 2


def _of(label: Label, features: Tensor) -> dist.TorchDistribution:
    """The distribution of one label, of batch shape ``(..., 1)``."""
    if isinstance(label, Categorical):
        return dist.Categorical(logits=features[..., None, :], validate_args=False)
    if isinstance(label, Binary):
        return dist.Bernoulli(logits=features, validate_args=False)
    unit = normal_of(features)
    return dist.Normal(label.mean + label.std * unit.loc, label.std * unit.scale)
