"""Values that are read from an accelerator, or without waiting for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor


def is_free_to_read(value: Any) -> bool:
    """Whether a value can be read without waiting for work queued on an accelerator."""
    return not isinstance(value, Tensor) or value.device.type == "cpu"


def to_float64(values: Tensor) -> np.ndarray:
    """The values as an array in double precision, which Apple's GPUs do not have: made here."""
    return values.detach().cpu().double().numpy()
