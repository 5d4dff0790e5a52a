"""Rows of labels some of which are known: scored, summed out or drawn."""

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
    in_order,
    label_groups,
    missing_labels,
    num_classes_of,
    observed_log_probs,
)
from ccvae_pyro.distributions.nested_categorical import Size

MAX_VALUES = 64  # that are summed over: as many passes of a decoder


def sample_labels(row: TorchDistribution, y: Tensor | None) -> Tensor:
    """The model's site ``"y"``: labels that are known are observed.

    :param row: :math:`p(y)` for each image.
    :param y: labels, NaN where missing; or None, if all are.
    """
    if y is not None and not y.isnan().any():
        return pyro.sample("y", row, obs=y)
    y = missing_labels(row) if y is None else y
    return pyro.sample("y", PartlyKnown(row, y, count_known=True))


def infer_labels(row: TorchDistribution, y: Tensor | None) -> Tensor:
    """The guide's site ``"y"``: labels that are not known are summed out, or drawn if too many.

    :param row: what the guide makes of them.
    :param y: as in :func:`sample_labels`.
    """
    if y is not None and not y.isnan().any():
        return pyro.sample("y", row, obs=y, infer={"is_auxiliary": True})
    labels = PartlyKnown(row, missing_labels(row) if y is None else y, count_known=False)
    how: Any = {"enumerate": "parallel"} if labels.has_enumerate_support else {}
    return pyro.sample("y", labels, infer=how)


class KnownLabels(TorchDistribution):
    """A row of labels, scored where they are known.

    :param row: the distribution of a row of labels.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 1)

    def __init__(self, row: TorchDistribution) -> None:
        self.row = row
        super().__init__(row.batch_shape, row.event_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Of the labels that are not NaN, together."""
        return observed_log_probs(self.row, value).sum(-1)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        return self.row.sample(torch.Size(sample_shape))

    def expand(self, batch_shape: Size, _instance: Any = None) -> KnownLabels:
        return KnownLabels(self.row.expand(torch.Size(batch_shape)))


class PartlyKnown(TorchDistribution):
    r"""A row of labels, of which those that are not known follow a distribution.

    Where labels have few values together, Pyro enumerates these (``infer={"enumerate":
    "parallel"}``), and the sum over those that are missing is exact: an image of which some labels
    are known meets each value of the others several times, and each time counts that much less.
    Where they have many, they are drawn, with a pathwise gradient: of a binary label the
    straight-through one (Bengio et al., 2013), exact for what is linear in the label.

    :param row: the distribution of a row of labels.
    :param y: labels, NaN where missing, shape ``(batch, num_labels)``.
    :param count_known: whether known labels count in ``log_prob``: a model's do, a guide's
        do not.
    :raises ValueError: if labels have more than 64 values together, and some have classes.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 1)

    def __init__(self, row: TorchDistribution, y: Tensor, *, count_known: bool) -> None:
        self.row, self.y, self.count_known = row, y, count_known
        groups = label_groups(row)
        fns = [(group.distribution, group.distribution.batch_shape[-1]) for group in groups]
        num_values = in_order(groups, [[num_classes_of(fn)] * num for fn, num in fns])
        self.num_values = y.new_tensor(num_values)
        self.has_enumerate_support = 0 < math.prod(num_values) <= MAX_VALUES
        self.has_rsample = not self.has_enumerate_support
        if self.has_rsample and any(num > 2 for num in num_values):
            raise ValueError(
                f"labels are summed out if they have at most {MAX_VALUES} values together, and "
                f"drawn if each is binary or a number, got {num_values} values"
            )
        super().__init__(y.shape[:-1], y.shape[-1:], validate_args=False)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of the labels that are missing, shape ``(num, batch, num_labels)``."""
        ranges = [torch.arange(num) for num in self.num_values.long().tolist()]
        values = torch.cartesian_prod(*ranges).view(-1, 1, len(ranges)).to(self.y)
        return torch.where(self.y.isnan(), values, self.y)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws of the labels that are missing, beside those that are known."""
        return self._beside_known(lambda fn: fn.sample(torch.Size(sample_shape)))

    def rsample(self, sample_shape: Size = ()) -> Tensor:
        """The same with a gradient, where labels are binary or numbers."""
        return self._beside_known(lambda fn: _pathwise(fn, torch.Size(sample_shape)))

    def _beside_known(self, draw: Callable[[Any], Tensor]) -> Tensor:
        groups = label_groups(self.row)
        drawn = in_order(groups, [draw(group.distribution).unbind(-1) for group in groups])
        columns = torch.stack(drawn, dim=-1).to(self.y)
        return torch.where(self.y.isnan(), columns, self.y)

    def log_prob(self, value: Tensor) -> Tensor:
        known = ~self.y.isnan()
        counted = value if self.count_known else value.masked_fill(known, math.nan)
        log_prob = observed_log_probs(self.row, counted).sum(-1)
        if self.has_enumerate_support:
            log_prob = log_prob - (known * self.num_values.log()).sum(-1)
        return log_prob

    def expand(self, batch_shape: Size, _instance: Any = None) -> PartlyKnown:
        y = self.y.expand(*batch_shape, -1)
        return PartlyKnown(self.row, y, count_known=self.count_known)


def _pathwise(fn: Any, sample_shape: torch.Size) -> Tensor:
    """A draw with a gradient."""
    if isinstance(fn, Normal):
        return fn.rsample(sample_shape)
    pathwise: Tensor = fn.probs + (fn.sample(sample_shape) - fn.probs).detach()
    return pathwise
