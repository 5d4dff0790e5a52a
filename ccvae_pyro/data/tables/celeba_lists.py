"""CelebA's lists: the attributes of the images and their partition, as text or as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ccvae_pyro.data.splits import SPLIT_NAMES
from ccvae_pyro.data.tables._cells import read_cells

_LABELS = {"-1": 0.0, "0": 0.0, "1": 1.0, "": np.nan}

# The split that a cell of a partition names.
SPLIT_OF_CELL = {str(number): name for number, name in enumerate(SPLIT_NAMES)}
SPLIT_OF_CELL |= {name: name for name in SPLIT_NAMES}
WANTED_SPLIT = "0, 1 or 2 (or train, valid or test)"


def find_list(root: Path, stem: str) -> Path | None:
    """The list ``stem.txt`` or ``stem.csv`` in ``root``, or None if there is neither."""
    candidates = (root / f"{stem}{suffix}" for suffix in (".txt", ".csv"))
    return next((path for path in candidates if path.is_file()), None)


def read_attributes(path: Path) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    """Reads an attribute list.

    :returns: the names of the attributes; the names of the image files; labels of shape
        ``(num_images, num_attributes)``, 0 or 1, NaN where a cell is empty.
    :raises ValueError: if a line has too few or too many labels, or a value that is not a label;
        names the line.
    """
    is_csv = path.suffix == ".csv"
    cells = read_cells(path, is_csv=is_csv)
    # A CSV starts with a header; a text file with the number of images and a header without a
    # column for the files.
    header = cells.iloc[0].dropna().tolist()[1:] if is_csv else cells.iloc[1].dropna().tolist()
    cells = cells.iloc[1:] if is_csv else cells.iloc[2:]
    num_labels = cells.count(axis=1) - 1
    if len(wrong := cells.index[num_labels != len(header)]):
        line = wrong[0]
        raise ValueError(
            f"{path}, line {line}: {num_labels[line]} labels, where the header names {len(header)}"
        )
    labels = cells.iloc[:, 1 : len(header) + 1]
    if len(invalid := np.argwhere(~labels.isin(list(_LABELS)).to_numpy())):
        row, column = invalid[0]
        raise ValueError(
            f"{path}, line {cells.index[row]}: {header[column]} is {labels.iat[row, column]!r}, "
            "which is not a label (-1 or 0 is no, 1 is yes, an empty cell is unknown)"
        )
    values = labels.apply(lambda column: column.map(_LABELS)).to_numpy(dtype=np.float32)
    return tuple(header), cells[0].tolist(), values


def read_partition(path: Path, files: Sequence[str]) -> list[str]:
    """Reads the split, ``"train"``, ``"valid"`` or ``"test"``, of each file. A header is skipped.

    :raises ValueError: if a line does not consist of a file and a split, which names the line, or
        if a file is in no split.
    """
    cells = read_cells(path, is_csv=path.suffix.lower() == ".csv")
    splits = cells.ffill(axis=1).iloc[:, -1].str.lower().map(SPLIT_OF_CELL)  # of the last cell
    if cells.iat[0, 0] not in set(files) and pd.isna(splits.iloc[0]):
        cells, splits = cells.iloc[1:], splits.iloc[1:]
    if len(wrong := cells.index[(cells.count(axis=1) != 2) | splits.isna()]):
        line = wrong[0]
        raise ValueError(
            f"{path}, line {line}: wanted a file name and {WANTED_SPLIT}, "
            f"got {' '.join(cells.loc[line].dropna())!r}"
        )
    split_of_file = dict(zip(cells[0], splits, strict=True))
    if missing := [file for file in files if file not in split_of_file]:
        raise ValueError(f"{path} does not say which split {missing[0]} belongs to")
    return [split_of_file[file] for file in files]
