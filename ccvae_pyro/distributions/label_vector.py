"""Distributions of a row of labels of any kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal

from ccvae_pyro.distributions.nested_categorical import Size


class LabelPart(NamedTuple):
    """Labels of one kind among a row of labels.

    :param distribution: of these, of any batch's shape and then ``(num,)``: Bernoulli,
        Categorical or Normal.
    :param columns: which columns of ``y`` they are, or None for all.
    :param latents: which entries of ``z_c`` are theirs, shape ``(num, dim)``, those that a
        classifier reads first; or None, if ``z_c`` has one for each label.
    """

    distribution: Any
    columns: Tensor | None = None
    latents: Tensor | None = None

    def labels(self, y: Tensor) -> Tensor:
        """Of a row of labels, these."""
        return y if self.columns is None else y[..., self.columns]

    def characteristics(self, z_c: Tensor) -> Tensor:
        """Of a row of characteristics, those of these labels, shape ``(..., num, dim)``."""
        return z_c[..., None] if self.latents is None else z_c[..., self.latents]

    def with_labels(self, y: Tensor, values: Tensor) -> Tensor:
        """A row of labels, these set to other values."""
        if self.columns is None:
            return values
        y = y.clone()
        y[..., self.columns] = values
        return y


class LabelVector(TorchDistribution):
    """A row of independent labels of several kinds, a column each, all floats.

    :param parts: the labels, grouped by their kind. Their columns are all those of ``y``.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 1)
    has_rsample = False

    def __init__(self, parts: Sequence[LabelPart], validate_args: bool | None = None) -> None:
        self.parts = tuple(parts)
        shapes = [part.distribution.batch_shape for part in parts]
        batch_shape = torch.broadcast_shapes(*(shape[:-1] for shape in shapes))
        event_shape = torch.Size([sum(shape[-1] for shape in shapes)])
        super().__init__(batch_shape, event_shape, validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        """Of all labels together, shape ``batch_shape``."""
        log_probs = [part.distribution.log_prob(part.labels(value)).sum(-1) for part in self.parts]
        return sum(log_probs[1:], start=log_probs[0])

    def sample(self, sample_shape: Size = ()) -> Tensor:
        draws = [part.distribution.sample(torch.Size(sample_shape)) for part in self.parts]
        leading = torch.Size(sample_shape) + self.batch_shape
        row = torch.empty(*leading, *self.event_shape).to(self.parts[0].distribution.mean)
        for part, draw in zip(self.parts, draws, strict=True):
            row[..., part.columns] = draw.to(row)
        return row

    def expand(self, batch_shape: Size, _instance: Any = None) -> LabelVector:
        parts = [
            part._replace(
                distribution=part.distribution.expand(
                    torch.Size((*batch_shape, part.distribution.batch_shape[-1]))
                )
            )
            for part in self.parts
        ]
        return LabelVector(parts, validate_args=self._validate_args)


def parts_of(fn: Any) -> tuple[LabelPart, ...]:
    """The parts of a row of labels: of several kinds, or of Bernoullis alone.

    :returns: none, if it is neither.
    """
    if isinstance(fn, LabelVector):
        return fn.parts
    return (LabelPart(fn.base_dist),) if is_row_of(fn, Bernoulli) else ()


def parts_to_read(fn: Any) -> tuple[LabelPart, ...]:
    """The parts of a row of labels, of which single labels are to be read.

    :raises ValueError: if it is no row of labels.
    """
    if not (parts := parts_of(fn)):
        raise ValueError(
            "labels are read off a row of them: wanted LabelVector or Bernoulli(...).to_event(1) "
            f"of the classifier, got {fn}"
        )
    return parts


def missing_labels(fn: Any) -> Tensor:
    """A row of labels none of which is known: all are NaN."""
    first = parts_of(fn)[0].distribution
    like = first.loc if isinstance(first, Normal) else first.logits
    shape = fn.batch_shape + fn.event_shape
    return torch.full(shape, torch.nan, dtype=like.dtype, device=like.device)


def row_of(fn: Any, row: int) -> Any:
    """One row of a row of labels whose leftmost batch dimension is rows."""
    if isinstance(fn, LabelVector):
        parts = [p._replace(distribution=_row_of_part(p.distribution, row)) for p in fn.parts]
        return LabelVector(parts, validate_args=False)
    return Independent(_row_of_part(fn.base_dist, row), 1, validate_args=False)


def _row_of_part(fn: Any, row: int) -> Any:
    if isinstance(fn, Bernoulli):
        return dist.Bernoulli(logits=fn.logits[row], validate_args=False)
    if isinstance(fn, Normal):
        return dist.Normal(fn.loc[row], fn.scale[row], validate_args=False)
    return dist.Categorical(logits=fn.logits[row], validate_args=False)


def is_row_of(fn: Any, kind: type) -> bool:
    """Whether a distribution is a row of independent ones of this kind."""
    if not isinstance(fn, Independent) or fn.reinterpreted_batch_ndims != 1:
        return False
    base: Any = fn.base_dist
    return isinstance(base, kind) and base.event_shape == torch.Size()  # type: ignore[attr-defined]
