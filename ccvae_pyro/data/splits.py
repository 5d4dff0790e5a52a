"""Which images are for training, validation and test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NAMES = ("train", "valid", "test")


def random_splits(rows: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Splits rows at random: ten parts of twelve to train, one to validate, one to test."""
    shuffled = np.random.default_rng(seed).permutation(rows)
    num_held_out = _num_held_out(len(rows))
    valid, test, train = np.split(shuffled, [num_held_out, 2 * num_held_out])
    return {"train": np.sort(train), "valid": np.sort(valid), "test": np.sort(test)}


def stratified_splits(rows: np.ndarray, values: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Splits rows at random, but each class alike, and those whose class is missing too.

    The sizes are those of :func:`random_splits`; of each class at least one row is to train.

    :param values: the class of each of the rows, NaN where it is missing.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    order = order[np.argsort(values[order], kind="stable")]  # class by class, NaN at the end
    is_first = np.diff(np.nan_to_num(values[order], nan=-1), prepend=np.nan) != 0
    candidates = rows[order][~is_first]
    num_held_out = min(_num_held_out(len(rows)), len(candidates) // 2)
    # Evenly spaced among the classes, and to validate and to test by turns.
    spaced = np.linspace(0, len(candidates), 2 * num_held_out, endpoint=False)
    held_out = candidates[(spaced + len(candidates) / (4 * num_held_out or 1)).astype(int)]
    valid, test = held_out[::2], held_out[1::2]
    train = np.setdiff1d(rows, held_out)
    return {"train": train, "valid": np.sort(valid), "test": np.sort(test)}


def partition_splits(rows: np.ndarray, parts: Sequence[str]) -> dict[str, np.ndarray]:
    """Splits rows as somebody else did.

    :param parts: ``"train"``, ``"valid"`` or ``"test"`` for each image, be it in ``rows`` or not.
    """
    of_row = np.array(parts)[rows]
    return {name: rows[of_row == name] for name in NAMES}


def _num_held_out(num_rows: int) -> int:
    return num_rows // 12 or int(num_rows > 2)  # of a handful, one
