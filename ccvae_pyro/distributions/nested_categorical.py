"""The categorical distribution of nested dichotomies."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

Size = torch.Size | list[int] | tuple[int, ...]


def sign_matrix(num_classes: int, *, balanced: bool = False) -> Tensor:
    """The sign matrix of nested dichotomies, shape ``(num_classes, num_classes - 1)``.

    A dichotomy splits the remaining classes in two, in their order: its column has 1 for the
    classes of the first part, -1 for those of the second part, and 0 for all other classes.

    :param balanced: whether to split into halves, or into one class and the rest. A half may group
        classes that have little in common, and then takes more labels to learn.
    :raises ValueError: if there are fewer than two classes.

    Example:

        >>> sign_matrix(4)
        tensor([[ 1.,  0.,  0.],
                [-1.,  1.,  0.],
                [-1., -1.,  1.],
                [-1., -1., -1.]])
    """
    if num_classes < 2:
        raise ValueError(f"dichotomies are of at least 2 classes, got {num_classes}")
    signs = torch.zeros(num_classes, num_classes - 1)
    parts = [(0, num_classes)]  # that are still to be split; there may be thousands of classes
    while parts:
        start, end = parts.pop()
        if end - start > 1:
            middle = (start + end) // 2 if balanced else start + 1
            signs[start:middle, middle - 1] = 1
            signs[middle:end, middle - 1] = -1
            parts += [(start, middle), (middle, end)]
    return signs


class NestedCategorical(dist.Categorical):
    r"""A categorical distribution by nested dichotomies: binary splits of the remaining classes.

    .. math:: q(y = c) = \prod_{j : S_{cj} \neq 0} \sigma(S_{cj} \, \ell_j)

    Statistics knows these as nested dichotomies (Fox, 1997), language models as a hierarchical
    softmax (Morin and Bengio, 2005). They represent any class probabilities. Each factor depends
    on one logit. So a Normal for each logit stays a product of independent factors once the class
    is known, which is not the case under a softmax.

    :param dichotomy_logits: the logits :math:`\ell`, shape ``(..., num_classes - 1)``.
    :param signs: the sign matrix :math:`S`, see :func:`sign_matrix`.
    :raises ValueError: if the logits are not one for each column of the sign matrix.

    Example:

        >>> NestedCategorical(torch.zeros(3), sign_matrix(4, balanced=True)).probs
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def __init__(
        self, dichotomy_logits: Tensor, signs: Tensor, validate_args: bool | None = None
    ) -> None:
        if dichotomy_logits.shape[-1:] != signs.shape[1:]:
            raise ValueError(
                f"wanted a logit for each dichotomy of a sign matrix of {tuple(signs.shape)}, got "
                f"logits of shape {tuple(dichotomy_logits.shape)}"
            )
        self.dichotomy_logits, self.signs = dichotomy_logits, signs
        log_factors = logsigmoid(signs * dichotomy_logits[..., None, :]) * signs.abs()
        super().__init__(logits=log_factors.sum(-1), validate_args=validate_args)

    def expand(self, batch_shape: Size, _instance: Any = None) -> NestedCategorical:
        logits = self.dichotomy_logits.expand(*batch_shape, -1)
        return NestedCategorical(logits, self.signs, validate_args=self._validate_args)
