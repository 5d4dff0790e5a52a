"""Distributions of label vectors in which labels may be missing (NaN)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro.distributions import TorchDistribution, constraints
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import Categorical, Normal

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.label_vector import (
    are_independent,
    check_num_labels,
    join_groups,
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
    if _are_all_known(y):
        return pyro.sample("y", p_y, obs=y)
    y = missing_labels(p_y) if y is None else y
    return pyro.sample("y", PartiallyObserved(p_y, y, count_observed=True))


def infer_labels(q_y: TorchDistribution, y: Tensor | None) -> Tensor:
    """The sample site ``"y"`` of a guide; missing labels are enumerated, or sampled.

    :param q_y: :math:`q(y)`, the distribution of a label vector for each image.
    :param y: the labels, NaN where missing; None if all are missing.
    """
    if _are_all_known(y):
        return pyro.sample("y", q_y, obs=y, infer={"is_auxiliary": True})
    y = missing_labels(q_y) if y is None else y
    labels = PartiallyObserved(q_y, y, count_observed=False)
    infer: Any = {"enumerate": "parallel"} if labels.has_enumerate_support else {}
    return pyro.sample("y", labels, infer=infer)


def _are_all_known(y: Tensor | None) -> bool:
    """Whether no label is missing, as far as is known without waiting for an accelerator."""
    return y is not None and is_free_to_read(y) and not y.isnan().any()


class ObserveAll(Messenger):
    """Observes all labels of a model or guide that takes them for partially observed.

    It tells what the host cannot see without waiting for an accelerator: that none is missing.
    """

    def _pyro_sample(self, msg: Any) -> None:
        if isinstance(msg["fn"], PartiallyObserved):
            msg["fn"], msg["value"] = msg["fn"].labels, msg["fn"].y
            msg["is_observed"], msg["infer"] = True, {"is_auxiliary": True}


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
        fns = [group.distribution for group in label_groups(labels)]
        sizes = [(num_classes_of(fn), fn.batch_shape[-1]) for fn in fns]
        num_values = [num for num, size in sizes for _ in range(size)]
        self.num_vectors = math.prod(num_values)
        self.has_enumerate_support = 0 < self.num_vectors <= MAX_VALUES
        self.has_rsample = not self.has_enumerate_support
        if self.has_rsample and any(num > 2 for num in num_values):
            raise ValueError(
                f"labels are enumerated if they have at most {MAX_VALUES} values together, and "
                f"sampled if each is binary or continuous, got {num_values} values"
            )
        super().__init__(y.shape[:-1], y.shape[-1:], validate_args=False)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of the missing labels, shape ``(num_values, batch, num_labels)``."""
        num_values = self.num_values
        num_of_later = num_values.flip(-1).cumprod(-1).flip(-1) / num_values
        index = torch.arange(self.num_vectors, dtype=self.y.dtype, device=self.y.device)
        values = index[:, None, None] // num_of_later % num_values
        return torch.where(self.y.isnan(), values, self.y)

    @property
    def num_values(self) -> Tensor:
        """The number of values of each label, shape ``(num_labels,)``."""
        fns = [group.distribution for group in label_groups(self.labels)]
        sizes = [self.y.new_full(fn.batch_shape[-1:], num_classes_of(fn)) for fn in fns]
        return join_groups(label_groups(self.labels), sizes)

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
        samples = join_groups(groups, [sample(g.distribution).to(self.y) for g in groups])
        return torch.where(self.y.isnan(), samples, self.y)

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
    else:  # the straight-through estimator, of two classes too
        probs = fn.probs[..., 1] if isinstance(fn, Categorical) else fn.probs
        sample = probs + (fn.sample(sample_shape) - probs).detach()
    return sample
