"""A linear classifier of labels from all latents, which is fitted after training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from ccvae_pyro.components._fitted_part import FittedPart
from ccvae_pyro.distributions.bernoulli import LogitBernoulli
from ccvae_pyro.distributions.label_vector import LabelGroup, LabelVector
from ccvae_pyro.labels import Binary, Categorical, Label


class LinearProbe(FittedPart):
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

    description = "a linear probe"
    names = ("weight", "bias", "scale")

    def __init__(
        self, weight: Tensor, bias: Tensor, scale: Tensor, labels: Sequence[Label]
    ) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.sizes = [num_columns(label) for label in labels]
        z_dim = weight.shape[0] if weight.dim() else 0
        wanted = ((z_dim, sum(self.sizes)), (sum(self.sizes),), (len(self.sizes),))
        self.keep(*zip((weight, bias, scale), wanted, strict=True))
        if not (scale > 0).all():
            raise ValueError(f"wanted positive scales, got {scale.tolist()}")
        self.columns: Tensor
        self.register_buffer("columns", torch.arange(len(labels)), persistent=False)
        self.weight: Tensor
        self.bias: Tensor
        self.scale: Tensor

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
