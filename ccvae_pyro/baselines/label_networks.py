"""Labels into networks and out of them."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccvae_pyro.distributions import GaussianEncoder, normal_of
from ccvae_pyro.labels import Binary, Categorical, Label
from ccvae_pyro.labels.rows import LabelPart, MixedLabels
from ccvae_pyro.networks import mlp


class LabelCode(nn.Module):
    """A row of labels as a network likes to read it.

    A binary label is -1 or 1, or between them; one with classes has an entry for each, of which
    one is 1; a number is in units of its deviation.

    Example:

        >>> code = LabelCode([Binary("Hat"), Categorical("Hair", ("black", "blond"))])
        >>> code(torch.tensor([[1.0, 0.0]]))
        tensor([[1., 1., 0.]])
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        super().__init__()
        self.labels = tuple(labels)

    @property
    def num_features(self) -> int:
        """How many entries the code has."""
        return sum(map(_num_entries, self.labels))

    def block(self, index: int) -> slice:
        """Where a label is in the code."""
        start = sum(map(_num_entries, self.labels[:index]))
        return slice(start, start + _num_entries(self.labels[index]))

    def forward(self, y: Tensor) -> Tensor:
        """From shape ``(..., num_labels)`` to ``(..., num_features)``."""
        columns = []
        for label, column in zip(self.labels, y.unbind(-1), strict=True):
            if isinstance(label, Categorical):
                columns.append(F.one_hot(column.long(), len(label.classes)).to(y))
            elif isinstance(label, Binary):
                columns.append(2 * column[..., None] - 1)
            else:
                columns.append((column[..., None] - label.mean) / label.deviation)
        return torch.cat(columns, dim=-1)


class ConditionalEncoder(nn.Module):
    r"""The posterior :math:`q(z \mid x, y)`, of one reading of the image for all of its labels.

    :param features: a network from ``x`` to shape ``(batch, num_features)``.
    :param head: a network from the labels' code and these to shape ``(..., 2 * z_dim)``.
    """

    def __init__(self, features: nn.Module, head: nn.Module, z_dim: int) -> None:
        super().__init__()
        self.features, self.head = features, GaussianEncoder(head, (z_dim,))

    def forward(self, x: Tensor, code: Tensor) -> dist.Independent:
        (q_z,) = self.head(join(code, F.relu(self.features(x))))
        return q_z


def join(code: Tensor, features: Tensor) -> Tensor:
    """Labels' code and what else a network reads, where each image may meet several codes."""
    shape = torch.broadcast_shapes(code.shape[:-1], features.shape[:-1])
    return torch.cat([code.expand(*shape, -1), features.expand(*shape, -1)], dim=-1)


class LabelExperts(nn.Module):
    r"""What each label, by itself, makes of latents: :math:`\tilde q(z \mid y_i)`, a Normal each.

    :param z_dim: the size of ``z``.
    :param hidden: that of the one hidden layer behind each label.
    """

    def __init__(self, labels: Sequence[Label], z_dim: int, hidden: int = 64) -> None:
        super().__init__()
        self.code = LabelCode(labels)
        sizes = [_num_entries(label) for label in labels]
        self.networks = nn.ModuleList(mlp(size, 2 * z_dim, hidden=hidden) for size in sizes)

    def forward(self, y: Tensor) -> dist.Independent:
        """From shape ``(batch, num_labels)`` to Normals of that batch shape."""
        code = self.code(y)
        blocks = [code[..., self.code.block(i)] for i in range(len(self.networks))]
        read = [network(block) for network, block in zip(self.networks, blocks, strict=True)]
        return normal_of(torch.stack(read, dim=-2)).to_event(1)


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
        return MixedLabels([LabelPart(_of(label, b), column[None]) for label, b, column in blocks])


def _num_entries(label: Label) -> int:
    return len(label.classes) if isinstance(label, Categorical) else 1


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
    return dist.Normal(label.mean + label.deviation * unit.loc, label.deviation * unit.scale)


class NetworkClassifier(nn.Module):
    r"""A classifier behind a network: :math:`q(y \mid x)`, or :math:`q(y \mid z)`.

    :param features: the network, up to the features that :class:`LabelHead` takes.
    """

    def __init__(self, features: nn.Module, labels: Sequence[Label]) -> None:
        super().__init__()
        self.features, self.head = features, LabelHead(labels)

    def forward(self, x: Tensor) -> dist.TorchDistribution:
        return self.head(self.features(x))
