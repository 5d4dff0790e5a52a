"""Checks of numbers that networks and distributions are made of."""

from __future__ import annotations

import math
from typing import Any

from ccvae_pyro.labels._plain_values import plain_int


def check_sizes(least: int = 1, **sizes: Any) -> None:
    """Makes sure that sizes are whole numbers, none of them too small.

    :param least: the smallest size.
    :param sizes: the sizes by what to call them.
    :raises ValueError: if one is not.

    Example:

        >>> check_sizes(z_dim=0)
        Traceback (most recent call last):
            ...
        ValueError: z_dim must be a whole number of at least 1, got 0
    """
    for name, size in sizes.items():
        plain_int(size, name, least)


def check_positive(**numbers: Any) -> None:
    """Makes sure that numbers are positive and finite.

    :param numbers: the numbers by what to call them.
    :raises ValueError: if one is not.
    """
    for name, number in numbers.items():
        if not 0 < float(number) < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {number}")
