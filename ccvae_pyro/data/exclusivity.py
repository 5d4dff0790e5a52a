"""Binary labels that exclude one another, found from their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ccvae_pyro.labels import Binary, Label

# Two independent labels that are expected together in 10 images occur together in none of them
# with probability exp(-10), so that their absence is evidence of exclusion.
MIN_EXPECTED = 10.0


def exclusive_pairs(values: np.ndarray) -> np.ndarray:
    """Finds pairs of labels that never occur together, although independent labels would.

    :param values: labels that are 0 or 1, NaN where missing, shape ``(num_images, num_labels)``.
    :returns: booleans, shape ``(num_labels, num_labels)``.

    Example:

        >>> bald, red_hair = np.repeat([[1, 0, 0], [0, 1, 0]], 50, axis=1)
        >>> exclusive_pairs(np.stack([bald, red_hair], axis=1)).tolist()
        [[False, True], [True, False]]
    """
    is_true, is_known = (values == 1).astype(np.float64), (~np.isnan(values)).astype(np.float64)
    num_together, num_true = is_true.T @ is_true, is_true.T @ is_known
    expected = num_true * num_true.T / np.maximum(is_known.T @ is_known, 1)
    return np.asarray((num_together == 0) & (expected >= MIN_EXPECTED))


def with_exclusions(labels: Sequence[Label], values: np.ndarray) -> tuple[Label, ...]:
    """Fills in ``excludes`` of each binary label.

    :param values: the values of the labels, one column per label.
    """
    binary = [column for column, label in enumerate(labels) if isinstance(label, Binary)]
    names = np.array([labels[column].name for column in binary])
    excludes = {
        column: tuple(names[is_excluded].tolist())
        for column, is_excluded in zip(binary, exclusive_pairs(values[:, binary]), strict=True)
    }
    return tuple(
        replace(label, excludes=excludes[column]) if isinstance(label, Binary) else label
        for column, label in enumerate(labels)
    )
