"""What is read off a distribution of a row of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal
from torch.nn.functional import logsigmoid

from ccvae_pyro.distributions.label_vector import (
    LabelPart,
    LabelVector,
    missing_labels,
    parts_to_read,
)


def observed_log_probs(fn: Any, y: Tensor) -> Tensor:
    """The log-probability of each label that is known, and 0 of others; kind after kind.

    :param y: labels, NaN where missing, shape ``(batch, num_labels)``.
    """
    log_probs = []
    for part in parts_to_read(fn):
        labels = part.labels(y)
        log_prob = part.distribution.log_prob(labels.nan_to_num())
        log_probs.append(log_prob * ~labels.isnan())
    return torch.cat(log_probs, dim=-1)


def outcomes(fn: Any) -> Tensor:
    """What a row of labels is expected to be, shape ``(batch, num_outcomes)``.

    In the order of labels: the probability that one is true, of each class, or a number's mean.
    """
    parts, columns = parts_to_read(fn), []
    for part in parts:
        one = part.distribution
        values = one.probs if isinstance(one, Categorical) else one.mean[..., None]
        columns.append(values.unbind(-2))
    return torch.cat(in_order(parts, columns), dim=-1)


def most_likely(fn: Any) -> Tensor:
    """The likeliest value of each of a row of labels, as ``y`` has them."""
    parts, values = parts_to_read(fn), []
    for part in parts:
        one = part.distribution
        is_number = isinstance(one, Normal)
        values.append((one.loc if is_number else class_log_probs(one).argmax(0)).unbind(-1))
    like = missing_labels(fn)
    return torch.stack([value.to(like) for value in in_order(parts, values)], dim=-1)


def confidence(fn: Any) -> Tensor:
    """How sure the likeliest values are: their probability, or a number's deviation."""
    parts, values = parts_to_read(fn), []
    for part in parts:
        one = part.distribution
        is_number = isinstance(one, Normal)
        sure = one.scale if is_number else class_log_probs(one).amax(0).exp()
        values.append(sure.unbind(-1))
    return torch.stack(in_order(parts, values), dim=-1)


def widened(fn: Any, aside: Any) -> Any:
    """A row of labels whose numbers are as uncertain as what they are read off is, besides.

    :param aside: the same row, read off one deviation away.
    """
    if not isinstance(fn, LabelVector):
        return fn
    parts = []
    for part, further in zip(fn.parts, parts_to_read(aside), strict=True):
        one = part.distribution
        if isinstance(one, Normal):
            scale = (further.distribution.loc - one.loc).hypot(one.scale)
            one = dist.Normal(one.loc, scale, validate_args=False)
        parts.append(part._replace(distribution=one))
    return LabelVector(parts, validate_args=False)


def in_order(parts: Sequence[LabelPart], entries: Sequence[Sequence[Any]]) -> list[Any]:
    """An entry for each label, given part by part, in the order of the labels."""
    placed: dict[int, Any] = {}
    for part, of_part in zip(parts, entries, strict=True):
        columns = range(len(of_part)) if part.columns is None else part.columns.tolist()
        placed |= dict(zip(columns, of_part, strict=True))
    return [placed[column] for column in sorted(placed)]


def class_log_probs(fn: Any) -> Tensor:
    """The log-probability of every class, along a new dimension on the left."""
    if isinstance(fn, Bernoulli):
        return torch.stack([logsigmoid(-fn.logits), logsigmoid(fn.logits)])
    return fn.logits.movedim(-1, 0)


def num_classes_of(fn: Any) -> int:
    """How many values a label has: 2 if binary, 0 if it is a number."""
    if isinstance(fn, Categorical):
        return fn.param_shape[-1]
    return 2 if isinstance(fn, Bernoulli) else 0
