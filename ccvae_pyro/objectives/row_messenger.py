"""What the probes share: rows of values, handed to a function in place of one."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ccvae_pyro.distributions.label_vector import LabelPart, parts_of
from ccvae_pyro.errors import NotFactorizedError


class RowMessenger(Messenger):
    """Hands a function rows of values where a trace outside records one.

    :param max_plate_nesting: the rows go to the left of this many dimensions.
    """

    def __init__(self, max_plate_nesting: int) -> None:
        super().__init__()
        self.max_plate_nesting = max_plate_nesting

    def __enter__(self) -> Any:
        self._rows: Tensor | None = None
        self._is_before_y = True
        return super().__enter__()

    def _pyro_post_sample(self, msg: Any) -> None:
        """Hands out all rows, after the trace has recorded one value."""
        if self._rows is not None:
            msg["value"], self._rows = self._rows, None


def labels_of(fn: TorchDistribution, whose: str) -> tuple[LabelPart, ...]:
    """The parts of the labels' distribution.

    :param whose: the model's or the guide's, for the message.
    :raises NotFactorizedError: if it is no row of labels.
    """
    if not (parts := parts_of(fn)):
        raise NotFactorizedError(f"'y' of the {whose} is {fn}, not a row of labels")
    return parts


def num_characteristics(parts: tuple[LabelPart, ...], fn: TorchDistribution) -> int:
    """How many characteristics labels have together."""
    if parts[0].latents is None:
        return fn.event_shape.numel()
    return sum(part.latents.numel() for part in parts if part.latents is not None)


def add_rows(rows: list[Tensor], max_plate_nesting: int) -> Tensor:
    """Stacks tensors whose last dimension is an event's, to the left of all plates."""
    stacked = torch.stack(rows)
    missing = [1] * (max_plate_nesting + 2 - stacked.dim())
    return stacked.view(len(rows), *missing, *stacked.shape[1:])


def without_copies(rows: Tensor) -> Tensor:
    """Of rows that were expanded to a batch, the first of each, whose dimensions stay.

    What is computed of them is computed once, and not for every image.
    """
    dims = range(1, rows.dim() - 1)
    return rows[(slice(None), *(slice(None if rows.stride(dim) else 1) for dim in dims))]
