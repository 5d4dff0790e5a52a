"""Encoders: modules from an image to the posterior q(z|x), and from labels to features."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccvae_pyro.components._normal import SCALES, normal_from, vector
from ccvae_pyro.distributions.normal import FusedNormal
from ccvae_pyro.labels import Binary, Categorical, Label
from ccvae_pyro.networks import mlp
from ccvae_pyro.networks._sizes import check_sizes


class GaussianEncoder(nn.Module):
    r"""The posterior :math:`q_\phi(z \mid x)`: one diagonal Normal for each block of latents.

    :param features: a network from ``x`` to shape ``(batch, 2 * sum(block_dims))``.
    :param block_dims: the sizes of :math:`z_c` and :math:`z_{\setminus c}`.
    :param scale: what maps a feature to a standard deviation: ``"softplus"``, clamped to at least
        0.001 as in the paper, or ``"exp"``.
    :raises ValueError: if a size is negative, or there is no such scale; when called, if the
        network returns another number of features.

    Example:

        >>> encoder = GaussianEncoder(nn.Linear(8, 10), block_dims=(3, 2))
        >>> q_z_c, q_z_style = encoder(torch.zeros(4, 8))
        >>> q_z_c.batch_shape, q_z_c.event_shape
        (torch.Size([4]), torch.Size([3]))
    """

    def __init__(
        self, features: nn.Module, block_dims: tuple[int, ...], scale: str = "softplus"
    ) -> None:
        super().__init__()
        for dim in block_dims:
            check_sizes(0, block_dims=dim)
        if scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        self.features = features
        self.block_dims = block_dims
        self.scale = scale

    def forward(self, x: Tensor) -> tuple[dist.Independent, ...]:
        features = self.features(x)
        if features.shape[-1] != 2 * sum(self.block_dims):
            raise ValueError(
                f"latents of sizes {self.block_dims} need {2 * sum(self.block_dims)} features, a "
                f"mean and a scale each, got {features.shape[-1]}"
            )
        q_z = normal_from(features, SCALES[self.scale])
        blocks = (parameter.split(self.block_dims, -1) for parameter in (q_z.loc, q_z.scale))
        return tuple(
            vector(FusedNormal(loc, scale, validate_args=False))
            for loc, scale in zip(*blocks, strict=True)
        )


class LabelCode(nn.Module):
    """A label vector encoded as input features of a network.

    A binary label is -1 or 1, or between them; a categorical label is one-hot; a continuous label
    is standardized.

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
        """The number of features."""
        return sum(map(_num_entries, self.labels))

    def latent_slice(self, index: int) -> slice:
        """The features of one label."""
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
                columns.append((column[..., None] - label.mean) / label.std)
        return torch.cat(columns, dim=-1)


class ConditionalEncoder(nn.Module):
    r"""The posterior :math:`q(z \mid x, y)`, which encodes an image once for all label values.

    :param features: a network from ``x`` to shape ``(batch, num_features)``.
    :param head: a network from label code and image features to shape ``(..., 2 * z_dim)``.
    """

    def __init__(self, features: nn.Module, head: nn.Module, z_dim: int) -> None:
        super().__init__()
        self.features, self.head = features, GaussianEncoder(head, (z_dim,))

    def forward(self, x: Tensor, code: Tensor) -> dist.Independent:
        q_z: dist.Independent
        (q_z,) = self.head(join(code, F.relu(self.features(x))))
        return q_z


class LabelExperts(nn.Module):
    r"""The expert of each label on the latents, :math:`\tilde q(z \mid y_i)`, a Normal each.

    :param z_dim: the size of ``z``.
    :param hidden: the size of the hidden layer of each label's network.
    """

    def __init__(self, labels: Sequence[Label], z_dim: int, hidden: int = 64) -> None:
        super().__init__()
        check_sizes(z_dim=z_dim, num_labels=len(labels))
        self.code = LabelCode(labels)
        sizes = [_num_entries(label) for label in labels]
        self.networks = nn.ModuleList(mlp(size, 2 * z_dim, hidden=hidden) for size in sizes)

    def forward(self, y: Tensor) -> dist.Independent:
        """From shape ``(batch, num_labels)`` to Normals of that batch shape."""
        code = self.code(y)
        blocks = [code[..., self.code.latent_slice(i)] for i in range(len(self.networks))]
        features = [net(block) for net, block in zip(self.networks, blocks, strict=True)]
        return vector(normal_from(torch.stack(features, dim=-2)))


def join(code: Tensor, features: Tensor) -> Tensor:
    """Label code and features in one tensor; leading dimensions broadcast."""
    shape = torch.broadcast_shapes(code.shape[:-1], features.shape[:-1])
    return torch.cat([code.expand(*shape, -1), features.expand(*shape, -1)], dim=-1)


def _num_entries(label: Label) -> int:
    return len(label.classes) if isinstance(label, Categorical) else 1
