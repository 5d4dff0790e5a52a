"""Distributions of label vectors in which labels may be missing (NaN)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.distributions.label_vector import (
    are_independent,
    check_num_labels,
    in_order,
    label_groups,
    missing_labels,
    num_classes_of,
    observed_log_prob,
)
from ccvae_pyro.distributions.nested_categorical import Size

MAX_VALUES = 64  # of a label vector that is enumerated: the decoder runs once for each


def sample_labels(p_y: TorchDistribution, y: Tensor | None) -> Tensor:
    """The sample site ``"y"`` of a model; labels that are not missing are observed.

    :param p_y: :math:`p(y)`, the distribution of a label vector for each image.
    :param y: the labels, NaN where missing; None if all are missing.
    """
    if y is not None and not y.isnan().any():
        return pyro.sample("y", p_y, obs=y)
    y = missing_labels(p_y) if y is None else y
    return pyro.sample("y", PartiallyObserved(p_y, y, count_observed=True))


def infer_labels(q_y: TorchDistribution, y: Tensor | None) -> Tensor:
    """The sample site ``"y"`` of a guide; missing labels are enumerated, or sampled.

    :param q_y: :math:`q(y)`, the distribution of a label vector for each image.
    :param y: the labels, NaN where missing; None if all are missing.
    """
    if y is not None and not y.isnan().any():
        return pyro.sample("y", q_y, obs=y, infer={"is_auxiliary": True})
    y = missing_labels(q_y) if y is None else y
    labels = PartiallyObserved(q_y, y, count_observed=False)
    infer: Any = {"enumerate": "parallel"} if labels.has_enumerate_support else {}
    return pyro.sample("y", labels, infer=infer)


class ObservedLabels(TorchDistribution):
    """A label vector whose log-probability is that of its observed labels alone.

    :param labels: the distribution of a label vector.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 1)

    def __init__(self, labels: TorchDistribution) -> None:
        self.labels = labels
        super().__init__(labels.batch_shape, labels.event_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of the labels that are not NaN, summed over these."""
        return observed_log_prob(self.labels, value)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        return self.labels.sample(torch.Size(sample_shape))

    def expand(self, batch_shape: Size, _instance: Any = None) -> ObservedLabels:
        return ObservedLabels(self.labels.expand(torch.Size(batch_shape)))


class PartiallyObserved(TorchDistribution):
    r"""A label vector whose observed labels are fixed; missing ones follow a distribution.

    If a label vector has at most 64 values, Pyro can enumerate them (``infer={"enumerate":
    "parallel"}``), and the sum over the missing labels is exact. An image with observed labels has
    each value of its missing labels several times in this sum; ``log_prob`` is reduced by the
    logarithm of that number. If a label vector has more values, missing labels are sampled with a
    pathwise gradient. For a binary label it is the straight-through estimator (Bengio et al.,
    2013), which is exact for functions that are linear in the label.

    :param labels: the distribution of a label vector.
    :param y: the labels, NaN where missing, shape ``(batch, num_labels)``.
    :param count_observed: whether ``log_prob`` includes the observed labels: True in a model,
        False in a guide.
    :raises ValueError: if a label vector has more than 64 values and a label is categorical, or
        ``y`` has another number of labels.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 1)

    def __init__(self, labels: TorchDistribution, y: Tensor, *, count_observed: bool) -> None:
        check_num_labels(y, labels.event_shape[0])
        self.labels, self.y, self.count_observed = labels, y, count_observed
        groups = label_groups(labels)
        fns = [(group.distribution, group.distribution.batch_shape[-1]) for group in groups]
        num_values = in_order(groups, [[num_classes_of(fn)] * num for fn, num in fns])
        self.num_values = y.new_tensor(num_values)
        self.has_enumerate_support = 0 < math.prod(num_values) <= MAX_VALUES
        self.has_rsample = not self.has_enumerate_support
        if self.has_rsample and any(num > 2 for num in num_values):
            raise ValueError(
                f"labels are enumerated if they have at most {MAX_VALUES} values together, and "
                f"sampled if each is binary or continuous, got {num_values} values"
            )
        super().__init__(y.shape[:-1], y.shape[-1:], validate_args=False)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of the missing labels, shape ``(num_values, batch, num_labels)``."""
        ranges = [torch.arange(num) for num in self.num_values.long().tolist()]
        values = torch.cartesian_prod(*ranges).view(-1, 1, len(ranges)).to(self.y)
        return torch.where(self.y.isnan(), values, self.y)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """The observed labels, and samples of the missing ones."""
        if not are_independent(self.labels):
            y = self.y.expand(*sample_shape, *self.y.shape)
            filled: Tensor = self.labels.fill_missing(y)
            return filled
        return self._fill_missing(lambda fn: fn.sample(torch.Size(sample_shape)))

    def rsample(self, sample_shape: Size = ()) -> Tensor:
        """As :meth:`sample`, with a pathwise gradient for binary and continuous labels."""
        return self._fill_missing(lambda fn: _pathwise_sample(fn, torch.Size(sample_shape)))

    def _fill_missing(self, sample: Callable[[Any], Tensor]) -> Tensor:
        groups = label_groups(self.labels)
        samples = in_order(groups, [sample(group.distribution).unbind(-1) for group in groups])
        columns = torch.stack(samples, dim=-1).to(self.y)
        return torch.where(self.y.isnan(), columns, self.y)

    def log_prob(self, value: Tensor) -> Tensor:
        is_observed = ~self.y.isnan()
        counted = value if self.count_observed else value.masked_fill(is_observed, math.nan)
        log_prob = observed_log_prob(self.labels, counted)
        if self.has_enumerate_support:
            log_prob = log_prob - (is_observed * self.num_values.log()).sum(-1)
        return log_prob

    def expand(self, batch_shape: Size, _instance: Any = None) -> PartiallyObserved:
        y = self.y.expand(*batch_shape, -1)
        # Expanded too, so that each has a sample of its own.
        labels = self.labels.expand(torch.Size(batch_shape))
        return PartiallyObserved(labels, y, count_observed=self.count_observed)


def _pathwise_sample(fn: Any, sample_shape: torch.Size) -> Tensor:
    sample: Tensor
    if isinstance(fn, Normal):
        sample = fn.rsample(sample_shape)
    else:  # the straight-through estimator
        sample = fn.probs + (fn.sample(sample_shape) - fn.probs).detach()
    return sample
