"""Training, validation and test splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SPLIT_NAMES = ("train", "valid", "test")


def random_splits(rows: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Splits rows at random: 10/12 for training, 1/12 for validation, 1/12 for testing."""
    shuffled = np.random.default_rng(seed).permutation(rows)
    num_held_out = _num_held_out(len(rows))
    valid, test, train = np.split(shuffled, [num_held_out, 2 * num_held_out])
    return {"train": np.sort(train), "valid": np.sort(valid), "test": np.sort(test)}


def complete_splits(splits: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Takes validation and test images, where there are none, from the training images at random.

    Each of the two is 1/12 of the training images; if both are lacking, they are those of
    :func:`random_splits`.

    :param splits: the rows of ``"train"``, and maybe of ``"valid"`` and ``"test"``.
    """
    parts = random_splits(splits["train"], seed)
    taken = [name for name in SPLIT_NAMES[1:] if not len(splits.get(name, ()))]
    held_out = {name: parts[name] for name in taken}
    given = {name: splits[name] for name in SPLIT_NAMES[1:] if name not in taken}
    kept = [parts["train"], *(parts[name] for name in given)]
    return {"train": np.sort(np.concatenate(kept)), **given, **held_out}


def stratified_splits(rows: np.ndarray, values: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Splits rows at random, with the same proportions in each class.

    Rows whose class is missing count as one more class. The sizes are those of
    :func:`random_splits`. The training split gets at least one row of each class.

    :param values: the class of each row, NaN where it is missing.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    order = order[np.argsort(values[order], kind="stable")]  # class by class, NaN at the end
    is_first = np.diff(np.nan_to_num(values[order], nan=-1), prepend=np.nan) != 0
    candidates = rows[order][~is_first]
    num_held_out = min(_num_held_out(len(rows)), len(candidates) // 2)
    # Evenly spaced positions visit each class in proportion to its size.
    positions = np.linspace(0, len(candidates), 2 * num_held_out, endpoint=False)
    held_out = candidates[(positions + len(candidates) / (4 * num_held_out or 1)).astype(int)]
    valid, test = held_out[::2], held_out[1::2]
    train = np.setdiff1d(rows, held_out)
    return {"train": train, "valid": np.sort(valid), "test": np.sort(test)}


def partition_splits(rows: np.ndarray, partition: Sequence[str]) -> dict[str, np.ndarray]:
    """Splits rows by a given partition.

    :param partition: ``"train"``, ``"valid"`` or ``"test"`` for every image, including those that
        are not in ``rows``.
    """
    split_of_row = np.array(partition)[rows]
    return {name: rows[split_of_row == name] for name in SPLIT_NAMES}


def _num_held_out(num_rows: int) -> int:
    return num_rows // 12 or int(num_rows > 2)  # at least one, unless there are too few rows
