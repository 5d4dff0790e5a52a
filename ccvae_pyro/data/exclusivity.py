"""Labels that exclude one another, as far as images show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ccvae_pyro.labels import Binary, Label

# So many images with both of two labels chance has to promise, before none tells of more than it:
# where labels have nothing to do with one another, that happens once in exp(10) times.
LEAST_EXPECTED = 10.0


def exclusive_pairs(values: np.ndarray) -> np.ndarray:
    """Which labels are never true together, though by chance some images would have both.

    :param values: labels that are 0 or 1, NaN where missing, shape ``(num_images, num_labels)``.
    :returns: booleans, shape ``(num_labels, num_labels)``.

    Example:

        >>> bald, red_hair = np.repeat([[1, 0, 0], [0, 1, 0]], 50, axis=1)
        >>> exclusive_pairs(np.stack([bald, red_hair], axis=1)).tolist()
        [[False, True], [True, False]]
    """
    is_true, is_known = (values == 1).astype(np.float64), (~np.isnan(values)).astype(np.float64)
    together, of_one = is_true.T @ is_true, is_true.T @ is_known
    expected = of_one * of_one.T / np.maximum(is_known.T @ is_known, 1)
    return (together == 0) & (expected >= LEAST_EXPECTED)


def with_exclusions(kinds: Sequence[Label], values: np.ndarray) -> tuple[Label, ...]:
    """Binary labels that know which others are never true beside them.

    :param values: the labels of some images, a column for each of ``kinds``.
    """
    binary = [column for column, kind in enumerate(kinds) if isinstance(kind, Binary)]
    names = np.array([kinds[column].name for column in binary])
    excludes = {
        column: tuple(names[is_excluded].tolist())
        for column, is_excluded in zip(binary, exclusive_pairs(values[:, binary]), strict=True)
    }
    return tuple(
        replace(kind, excludes=excludes[column]) if isinstance(kind, Binary) else kind
        for column, kind in enumerate(kinds)
    )
