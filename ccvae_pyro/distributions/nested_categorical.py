"""A choice among classes by binary decisions."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

Size = torch.Size | list[int] | tuple[int, ...]


def sign_matrix(num_classes: int, *, balanced: bool = False) -> Tensor:
    """The decisions that lead to each class, shape ``(num_classes, num_classes - 1)``.

    A decision splits the classes that are left in two, in their order: 1 is for the first part,
    -1 for the second, and 0 where a class is not among those that it splits.

    :param balanced: split into halves, or else into one class and the rest. With halves a decision
        lumps classes together that need not be alike, which takes more labels to learn.

    Example:

        >>> sign_matrix(4)
        tensor([[ 1.,  0.,  0.],
                [-1.,  1.,  0.],
                [-1., -1.,  1.],
                [-1., -1., -1.]])
    """
    signs = torch.zeros(num_classes, num_classes - 1)

    def split(start: int, end: int) -> None:
        if end - start > 1:
            middle = (start + end) // 2 if balanced else start + 1
            signs[start:middle, middle - 1] = 1
            signs[middle:end, middle - 1] = -1
            split(start, middle)
            split(middle, end)

    split(0, num_classes)
    return signs


class NestedCategorical(dist.Categorical):
    r"""A choice among classes by binary decisions, each of which splits those that are left.

    .. math:: q(y = c) = \prod_{j : S_{cj} \neq 0} \sigma(S_{cj} \, l_j)

    Statistics calls these nested dichotomies (Fox, 1997), language models a hierarchical softmax
    (Morin and Bengio, 2005). Any probabilities of the classes can be had by them. Each factor sees
    one logit, and so what is exact for a binary label is exact for classes too: a Normal for each
    logit stays a product once the class is known, which under a softmax it does not.

    :param decisions: the logits :math:`l`, shape ``(..., num_classes - 1)``.
    :param signs: :math:`S`, as :func:`sign_matrix` makes it.

    Example:

        >>> NestedCategorical(torch.zeros(3), sign_matrix(4, balanced=True)).probs
        tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def __init__(
        self, decisions: Tensor, signs: Tensor, validate_args: bool | None = None
    ) -> None:
        self.decisions, self.signs = decisions, signs
        steps = logsigmoid(signs * decisions[..., None, :]) * signs.abs()
        super().__init__(logits=steps.sum(-1), validate_args=validate_args)

    def expand(self, batch_shape: Size, _instance: Any = None) -> NestedCategorical:
        decisions = self.decisions.expand(*batch_shape, -1)
        return NestedCategorical(decisions, self.signs, validate_args=self._validate_args)
