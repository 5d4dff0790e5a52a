"""Plain Python values, from the scalars of numpy, pandas and torch.

Descriptions of labels and the arguments of presets are kept in checkpoints, which hold plain
values and tensors only. A scalar of numpy would be code there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Set
from numbers import Integral, Real
from typing import Any

import numpy as np
from torch import Tensor


def to_plain_scalar(value: Any) -> Any:
    """A scalar of numpy, or an array or tensor without dimensions, as Python's own scalar.

    Any other value is returned as it is.

    Example:

        >>> to_plain_scalar(np.float64(0.5)), to_plain_scalar("text")
        (0.5, 'text')
    """
    is_scalar = isinstance(value, np.generic | np.ndarray | Tensor) and value.ndim == 0
    return value.item() if is_scalar else value


def plain_float(value: Any, what: str) -> float:
    """A finite number as a float.

    :param what: what to call it in an error message.
    :raises ValueError: if it is no finite number.
    """
    number = to_plain_scalar(value)
    if isinstance(number, Real) and not isinstance(number, bool) and math.isfinite(number):
        return float(number)
    raise ValueError(f"{what} must be a finite number, got {shown(value)}")


def plain_floats(values: Any, what: str) -> tuple[float, ...]:
    """A sequence of finite numbers as a tuple.

    :param what: what to call one of them in an error message.
    :raises ValueError: if it is none.
    """
    if isinstance(values, Set) or not isinstance(values, Iterable):
        raise ValueError(f"wanted a sequence with each {what}, got {shown(values)}")
    return tuple(plain_float(value, f"each {what}") for value in values)


def plain_int(value: Any, what: str, minimum: int) -> int:
    """A whole number of at least ``minimum`` as an int.

    :param what: what to call it in an error message.
    :raises ValueError: if it is no such number.
    """
    number = to_plain_scalar(value)
    is_int = isinstance(number, Integral) and not isinstance(number, bool)
    if is_int and int(number) >= minimum:
        return int(number)
    raise ValueError(f"{what} must be a whole number of at least {minimum}, got {shown(value)}")


def plain_text(value: Any, what: str) -> str:
    """Text as a str.

    :param what: what to call it in an error message.
    :raises ValueError: if it is no text.
    """
    if isinstance(text := to_plain_scalar(value), str):
        return text
    raise ValueError(f"{what} must be text (str), got {shown(value)}")


def plain_texts(values: Any, what: str) -> tuple[str, ...]:
    """A sequence of different texts as a tuple.

    :param what: what to call one of them in an error message.
    :raises ValueError: if it is none; a single text and a set, which has no order, are none.
    """
    if isinstance(values, str | Set) or not isinstance(values, Iterable):
        raise ValueError(f"wanted a sequence with each {what}, got {shown(values)}")
    texts = tuple(plain_text(value, what) for value in values)
    if len(set(texts)) < len(texts):
        repeated = next(text for text in texts if texts.count(text) > 1)
        raise ValueError(f"each {what} must differ from the others, got {repeated!r} twice")
    return texts


def shown(value: Any) -> str:
    """A value in one short line."""
    line = " ".join(repr(value).split())
    return line if len(line) <= 80 else f"{line[:80]}..."
