"""Values that are read without waiting for an accelerator."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def is_free_to_read(value: Any) -> bool:
    """Whether a value can be read without waiting for work queued on an accelerator."""
    return not isinstance(value, Tensor) or value.device.type == "cpu"
