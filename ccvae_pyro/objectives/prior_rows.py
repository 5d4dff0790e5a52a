"""Rows of labels that meet every value of each, and what a prior makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pyro.infer.util import is_validation_enabled
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.distributions.label_vector import LabelPart, missing_labels, parts_of
from ccvae_pyro.distributions.reading import num_classes_of
from ccvae_pyro.objectives.row_messenger import without_copies


def values_to_try(fn: Any, y: Tensor | None = None) -> Tensor:
    """Rows of labels in which each class is met, and numbers enough to tell a line.

    :param fn: the label prior.
    :param y: what the labels that are numbers are in each row; by default their prior's mean in
        the first row, and one more deviation in each that follows.
    :returns: shape ``(num_rows, ..., num_labels)``. Classes are tried alike in all of a batch, and
        stand there once; numbers may not be.
    """
    parts = parts_of(fn)
    kinds = [num_classes_of(part.distribution) for part in parts]
    like = missing_labels(fn) if y is None else y
    if all(kinds):
        like = like[(slice(1),) * (like.dim() - 1)]
    rows = like.repeat(max(num_classes or 3 for num_classes in kinds), *[1] * like.dim())
    count = torch.arange(len(rows), dtype=rows.dtype, device=rows.device)
    count = count.view(-1, *[1] * like.dim())
    for part, num_classes in zip(parts, kinds, strict=True):
        columns = slice(None) if part.columns is None else part.columns
        if num_classes:
            rows[..., columns] = count.clamp(max=num_classes - 1)
        elif y is None:
            rows[..., columns] = part.distribution.mean + count * part.distribution.stddev
    return rows


class _FirstRows:
    """The first rows of a distribution whose leftmost batch dimension is rows."""

    def __init__(self, base: Any, num_rows: int) -> None:
        self.base, self.num_rows = base, num_rows

    def __repr__(self) -> str:
        return repr(self.base)

    def log_prob(self, value: Tensor) -> Tensor:
        shape = self.base.batch_shape
        value = value.expand(torch.broadcast_shapes(value.shape, (self.num_rows, *shape[1:])))
        axis = value.dim() - len(shape)
        others = [value.narrow(axis, 0, 1)] * (shape[0] - self.num_rows)
        return self.base.log_prob(torch.cat([value, *others], axis)).narrow(axis, 0, self.num_rows)


def with_mixtures(rows: Tensor) -> Tensor:
    """Rows of values and, where Pyro validates, some more for :func:`of_values` to check by.

    In these, any two labels differ somewhere: of each, it is the first value or the second.
    """
    if not is_validation_enabled():
        return rows
    bits = _bits(rows).view(-1, *[1] * (rows.dim() - 2), rows.shape[-1])
    return torch.cat([rows, torch.where(bits, rows[1], rows[0])])


def of_values(fn: Any, values: Tensor, parts: Sequence[LabelPart]) -> Any:
    """The prior of each row of values, of that of rows that :func:`with_mixtures` made of them.

    :returns: None, if the characteristics of a label are not what its own value makes of them.
    """
    num_rows, num_entries = len(values), fn.batch_shape[-1]
    if isinstance(fn, Normal):
        fn = _normal(without_copies(fn.loc), without_copies(fn.scale))
    if fn.batch_shape[0] == num_rows:
        return fn
    dtype, device = values.dtype, values.device
    log_p = fn.log_prob(torch.linspace(-1.3, 2.1, num_entries, dtype=dtype, device=device))
    bits = is_second = _bits(values)
    if parts[0].latents is not None:
        is_second = bits.new_zeros(len(bits), num_entries)
        for part in parts:
            is_second[:, part.latents] = bits[:, part.columns, None]
    is_second = is_second.view(-1, *[1] * (log_p.dim() - 2), num_entries)
    expected = torch.where(is_second, log_p[1], log_p[0])
    if not torch.allclose(log_p[num_rows:], expected, 1e-3, 1e-3, equal_nan=True):
        return None
    if isinstance(fn, Normal):
        return _normal(fn.loc[:num_rows], fn.scale[:num_rows])
    return _FirstRows(fn, num_rows)


def _bits(rows: Tensor) -> Tensor:
    """The columns' numbers as binary digits, shape ``(num_digits, num_columns)``."""
    columns = torch.arange(rows.shape[-1], device=rows.device)
    digits = torch.arange(max(0, len(columns) - 1).bit_length(), device=rows.device)
    return (columns >> digits[:, None]) % 2 == 1


def prior_of_part(normal: Any, part: LabelPart) -> Normal:
    """The prior of some labels' characteristics, of that of all of them in every row."""
    rows = slice(num_classes_of(part.distribution) or None)
    return _normal(*(part.characteristics(array[rows]) for array in (normal.loc, normal.scale)))


def _normal(loc: Tensor, scale: Tensor) -> Normal:
    return Normal(loc, scale, validate_args=False)
