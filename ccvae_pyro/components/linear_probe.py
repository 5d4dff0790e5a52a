"""A linear classifier of labels from all latents, which is fitted after training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ccvae_pyro.distributions.bernoulli import LogitBernoulli
from ccvae_pyro.distributions.label_vector import LabelGroup, LabelVector
from ccvae_pyro.labels import Binary, Categorical, Label

NAMES = ("weight", "bias", "scale")


class LinearProbe(nn.Module):
    r"""Labels :math:`q(y \mid z)` whose logits, or means, are affine in all latents:

    .. math:: \ell = W^\top z + c .

    A binary label has one logit, a categorical one a logit for each class, and a continuous or
    ordinal label a mean, and a standard deviation of its own. In contrast to the classifier of a
    CCVAE, a label is predicted from the style and the characteristics of other labels too.

    :param weight: :math:`W`, shape ``(z_dim, num_columns)``.
    :param bias: :math:`c`, shape ``(num_columns,)``.
    :param scale: the standard deviations, shape ``(num_labels,)``, positive. Those of binary and
        categorical labels are not used.
    :param labels: the labels.
    :raises ValueError: if shapes disagree, or a value is not finite, or a scale not positive.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, scale: Tensor, labels: Sequence[Label]
    ) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.sizes = [num_columns(label) for label in labels]
        z_dim = weight.shape[0] if weight.dim() else 0
        wanted = ((z_dim, sum(self.sizes)), (sum(self.sizes),), (len(self.sizes),))
        for name, tensor, shape in zip(NAMES, (weight, bias, scale), wanted, strict=True):
            if tensor.shape != shape or not tensor.isfinite().all():
                raise ValueError(
                    f"wanted {name} of finite numbers, of shape {shape}, got {tuple(tensor.shape)}"
                )
            # Not in the state dict, which is that of a model as it was trained.
            self.register_buffer(name, tensor, persistent=False)
        if not (scale > 0).all():
            raise ValueError(f"wanted positive scales, got {scale.tolist()}")
        self.columns: Tensor
        self.register_buffer("columns", torch.arange(len(labels)), persistent=False)
        self.weight: Tensor
        self.bias: Tensor
        self.scale: Tensor

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name, as a checkpoint has them."""
        return {name: getattr(self, name) for name in NAMES}

    def forward(self, z: Tensor) -> LabelVector:
        """From shape ``(..., z_dim)`` to a label vector of that batch shape."""
        logits = z @ self.weight + self.bias
        if all(isinstance(label, Binary) for label in self.labels):
            return LabelVector([LabelGroup(LogitBernoulli(logits=logits, validate_args=False))])
        parts = zip(
            self.labels, logits.split(self.sizes, -1), self.scale, self.columns, strict=True
        )
        groups = [
            LabelGroup(_distribution(label, of_label, scale), column[None])
            for label, of_label, scale, column in parts
        ]
        return LabelVector(groups, validate_args=False)


def num_columns(label: Label) -> int:
    """How many logits, or means, a label has."""
    return len(label.classes) if isinstance(label, Categorical) else 1


def _distribution(label: Label, logits: Tensor, scale: Tensor) -> Any:
    if isinstance(label, Categorical):
        return dist.Categorical(logits=logits[..., None, :], validate_args=False)
    if isinstance(label, Binary):
        return LogitBernoulli(logits=logits, validate_args=False)
    return dist.Normal(logits, scale.expand_as(logits), validate_args=False)


def probe_from_tensors(tensors: Mapping[str, Tensor], labels: Sequence[Label]) -> LinearProbe:
    """The probe from its :attr:`~LinearProbe.tensors`.

    :raises ValueError: if they are none of a probe of these labels.
    """
    is_complete = isinstance(tensors, Mapping) and sorted(tensors) == sorted(NAMES)
    if not is_complete or not all(isinstance(each, Tensor) for each in tensors.values()):
        raise ValueError(f"wanted the tensors {', '.join(NAMES)} of a linear probe")
    return LinearProbe(**tensors, labels=labels)
