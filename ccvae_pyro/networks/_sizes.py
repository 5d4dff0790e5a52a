"""Checks of numbers that networks and distributions are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ccvae_pyro.labels._plain_values import plain_int

MIN_SIDE = 8  # of an image, in pixels


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


def halvings(image_shape: Sequence[int]) -> list[tuple[int, int]]:
    """Height and width of an image, and after each halving of both, rounded up.

    They are halved until the shorter side has at most 4 pixels.

    :param image_shape: ``(channels, height, width)``.
    :raises ValueError: if it is no shape of an image, or a side has fewer than 8 pixels.
    """
    if len(image_shape) != 3:
        raise ValueError(f"wanted an image shape (channels, height, width), got {image_shape}")
    channels, height, width = image_shape
    check_sizes(channels=channels)
    check_sizes(MIN_SIDE, **{"the height of an image": height, "the width of an image": width})
    sides = [(height, width)]
    while min(sides[-1]) > MIN_SIDE // 2:
        height, width = (-(-side // 2) for side in sides[-1])
        sides.append((height, width))
    return sides


def check_positive(**numbers: Any) -> None:
    """Makes sure that numbers are positive and finite.

    :param numbers: the numbers by what to call them.
    :raises ValueError: if one is not.
    """
    for name, number in numbers.items():
        if not 0 < float(number) < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {number}")
