"""Labels that follow others, by a label prior in which they depend on each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ccvae_pyro.distributions import LabelVector, TreeLabels
from ccvae_pyro.distributions.label_vector import label_groups, most_likely
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.models import ImageModel

# An image counts as evidence about a label by odds of at most this to one: its classifier is surer
# than that of most labels, and would leave no label to follow another.
MAX_ODDS = 20.0


def fill_missing(model: ImageModel, y: Tensor) -> Tensor:
    """The labels, with samples of the missing ones given those that are known.

    A model without a label prior gets them as they are.

    :param y: labels, NaN where missing, shape ``(batch, num_labels)``.
    """
    label_prior: Any = getattr(model, "label_prior", None)
    if label_prior is None or not y.isnan().any():
        return y
    p_y = label_prior()
    if isinstance(p_y, TreeLabels):
        # A probability of a binary label counts as its more likely value.
        filled = p_y.fill_missing(y.where(y.isnan(), y.round()))
    else:
        filled = p_y.sample(y.shape[:-1])
    return torch.where(y.isnan(), filled.to(y), y)


def following_labels(
    model: ImageModel, x: Tensor, targets: Mapping[int, float]
) -> dict[int, tuple[Tensor, Tensor]]:
    """The labels that take other values than images show once some have target values.

    All take the most likely values together, given the images and the target values.

    :param targets: target values by the index of the label.
    :returns: for each label that changes, the indices of images and its new values in them.
    :raises UnsupportedError: if the labels of the model are independent.
    """
    label_prior: Any = getattr(model, "label_prior", None)
    p_y = None if label_prior is None else label_prior()
    if not isinstance(p_y, TreeLabels):
        raise UnsupportedError(
            "labels follow others where the label prior is a tree: wanted a model with a "
            f"ChowLiuLabelPrior, got {type(label_prior).__name__}"
        )
    q_y = model.q_y_x(x)
    present = most_likely(q_y)
    known = torch.full_like(present, torch.nan)
    for index, value in targets.items():
        known[:, index] = round(value)
    is_set = ~known.isnan().any(0)
    evidence = LabelVector(label_groups(q_y), validate_args=False)
    posterior = p_y.given(evidence, MAX_ODDS).condition(known.where(p_y.in_tree, torch.nan))
    expected = posterior.mode.to(present)
    changes = p_y.in_tree & ~is_set & (expected != present)
    return {
        index: (images, expected[images, index])
        for index in changes.any(0).nonzero()[:, 0].tolist()
        for (images,) in [changes[:, index].nonzero(as_tuple=True)]
    }
