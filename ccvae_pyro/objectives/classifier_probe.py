"""What a guide's classifier makes of characteristics, read off one run of the guide."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from pyro.infer.util import is_validation_enabled
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from ccvae_pyro.distributions.label_vector import LabelPart, is_row_of, missing_labels, row_of
from ccvae_pyro.distributions.nested_categorical import NestedCategorical
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.objectives._posterior import Line
from ccvae_pyro.objectives.row_messenger import (
    RowMessenger,
    add_rows,
    labels_of,
    num_characteristics,
    without_copies,
)


class ClassifierProbe(RowMessenger):
    r"""Reads what a guide's classifier makes of characteristics: :math:`a_j z_c^j + b_j` each.

    That is the logit of a binary label or of a decision between classes, or the mean of a number.
    What is sampled before the site ``"y"`` reaches the rest of the guide as three rows: zeros,
    ones, and numbers that show whether these are lines in ``z_c`` alone. A missing label is NaN in
    the trace.

    After the run ``name`` is the site of ``z_c``, ``parts`` are the labels by their kind, and
    ``lines`` has slopes and offsets for each part.

    :param max_plate_nesting: the rows go to the left of this many dimensions.
    :raises NotFactorizedError: if ``"y"`` is no row of such labels, or not one Normal of the size
        that they ask for comes before it, or something depends on it.
    """

    def __enter__(self) -> ClassifierProbe:
        self._distributions: dict[str, TorchDistribution] = {}
        self._probes: dict[str, Tensor] = {}
        return super().__enter__()

    def _pyro_sample(self, msg: Any) -> None:
        if site_is_subsample(msg):
            return
        fn = msg["fn"]
        if msg["name"] == "y":
            self._read_lines(fn)
            has_rows = len(fn.batch_shape) > self.max_plate_nesting
            y = missing_labels(row_of(fn, 0) if has_rows else fn)
            y = msg["value"] if msg["is_observed"] else y
            msg["fn"], msg["value"], msg["done"] = dist.Delta(y, event_dim=1), y, True
            self._rows, self._is_before_y = add_rows([y] * 3, self.max_plate_nesting), False
        elif len(fn.batch_shape) > self.max_plate_nesting:
            raise NotFactorizedError(f"{msg['name']!r} of the guide depends on z_c or on a label")
        elif self._is_before_y and not msg["is_observed"]:
            msg["value"], msg["done"] = fn(), True
            self._distributions[msg["name"]] = fn
            self._rows = self._probes[msg["name"]] = self._probe(fn, like=msg["value"])

    def _probe(self, fn: TorchDistribution, like: Tensor) -> Tensor:
        """Rows that are the same in all of a batch, and stand there once."""
        num = fn.event_shape.numel()
        pattern = torch.linspace(-2, 3, num, dtype=like.dtype, device=like.device)
        pattern = pattern.view(fn.event_shape)
        rows = [torch.zeros_like(pattern), torch.ones_like(pattern), pattern]
        once = [1] * len(fn.batch_shape)
        return add_rows([row.view(*once, *row.shape) for row in rows], self.max_plate_nesting)

    def _read_lines(self, fn: TorchDistribution) -> None:
        self.parts = labels_of(fn, "guide")
        self.name = self._find_characteristics(torch.Size([num_characteristics(self.parts, fn)]))
        self.lines = [self._read_line(part, fn) for part in self.parts]

    def _read_line(self, part: LabelPart, fn: TorchDistribution) -> Line:
        values = _read_off(part)  # (3, ..., num, num_decisions)
        if len(fn.batch_shape) <= self.max_plate_nesting:  # it does not depend on any latent
            return Line(torch.zeros_like(values), values)
        values = without_copies(values)
        offset, slope = values[0], values[1] - values[0]
        read = part.characteristics(self._probes[self.name][2])[..., : values.shape[-1]]
        line = offset + slope * read
        if is_validation_enabled() and not torch.allclose(values[2], line, rtol=1e-3, atol=1e-3):
            raise NotFactorizedError("a label's logit in the guide is no line in its own z_c")
        return Line(slope, offset)

    def _find_characteristics(self, shape: torch.Size) -> str:
        names = [name for name, rows in self._probes.items() if rows.shape[-1:] == shape]
        if len(names) != 1:
            raise NotFactorizedError(
                f"of the guide, one latent of the size of 'y', {tuple(shape)}, has to come before "
                f"it, got {' and '.join(names) or 'none'}"
            )
        fn = self._distributions[names[0]]
        if not is_row_of(fn, Normal):
            raise NotFactorizedError(f"{names[0]!r} of the guide is {fn}, not a row of Normals")
        return names[0]


def _read_off(part: LabelPart) -> Tensor:
    """What a line in the characteristics has to give, shape ``(..., num, num_decisions)``."""
    fn = part.distribution
    if isinstance(fn, NestedCategorical):
        return fn.decisions
    if isinstance(fn, Bernoulli):
        return fn.logits[..., None]
    if isinstance(fn, Normal):
        return fn.loc[..., None]
    raise NotFactorizedError(f"a part of 'y' of the guide is {fn}, which no line decides")
