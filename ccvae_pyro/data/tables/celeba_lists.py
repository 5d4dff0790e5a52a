"""CelebA's lists: the attributes of the images and their partition, as text or as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ccvae_pyro.data.archives import ZipMember
from ccvae_pyro.data.splits import SPLIT_NAMES
from ccvae_pyro.data.tables._cells import read_cells, shown
from ccvae_pyro.data.tables._file_names import check_distinct, file_name
from ccvae_pyro.data.tables.missing_values import MISSING_VALUES

if TYPE_CHECKING:
    import pandas as pd

_LABELS = {"-1": 0.0, "0": 0.0, "1": 1.0, "-1.0": 0.0, "0.0": 0.0, "1.0": 1.0}
_LABELS |= dict.fromkeys(MISSING_VALUES, np.nan)

# The split that a cell of a partition names.
SPLIT_OF_CELL = {str(number): name for number, name in enumerate(SPLIT_NAMES)}
SPLIT_OF_CELL |= {name: name for name in SPLIT_NAMES}
WANTED_SPLIT = "0, 1 or 2 (or train, valid or test)"


def find_list(root: Path, stem: str) -> Path | None:
    """The list ``stem.txt`` or ``stem.csv`` in ``root``, or None if there is neither."""
    candidates = (root / f"{stem}{suffix}" for suffix in (".txt", ".csv"))
    return next((path for path in candidates if path.is_file()), None)


def read_attributes(
    path: Path | ZipMember,
) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    """Reads an attribute list.

    :returns: the names of the attributes; the names of the image files; labels of shape
        ``(num_images, num_attributes)``, 0 or 1, NaN where a cell is empty, ``NA`` or the like.
    :raises ValueError: if a line has too few or too many labels, or a value that is not a label,
        or the file of another line, or if the number of lines is not the one in the first line;
        names the line.
    """
    is_csv = path.suffix == ".csv"
    cells = read_cells(path, is_csv=is_csv)
    # A CSV starts with a header; a text file with the number of images and a header without a
    # column for the files.
    header = cells.iloc[0].dropna().tolist()[1:] if is_csv else cells.iloc[1].dropna().tolist()
    count = None if is_csv else " ".join(cells.iloc[0].dropna())
    cells = cells.iloc[1:] if is_csv else cells.iloc[2:]
    if len(set(header)) < len(header):
        name = next(name for name in header if header.count(name) > 1)
        raise ValueError(f"{path}: two attributes are called '{shown(name)}'")
    if count is not None and not count.isdecimal():
        raise ValueError(
            f"{path}, line 1: wanted the number of images, got '{shown(count)}': "
            "this is not CelebA's list"
        )
    if cells.empty:
        raise ValueError(f"{path} lists no images")
    num_labels = cells.count(axis=1) - 1
    if len(wrong := cells.index[num_labels != len(header)]):
        line = wrong[0]
        raise ValueError(
            f"{path}, line {line}: {num_labels[line]} labels, where the header names {len(header)}"
        )
    if count is not None and int(count) != len(cells):
        raise ValueError(
            f"{path}, line 1: {shown(count)} images, but {len(cells)} follow to line "
            f"{cells.index[-1]}: is the list complete?"
        )
    files = [file_name(file) for file in cells[0]]
    check_distinct(path, files, cells.index.tolist())
    labels = cells.iloc[:, 1 : len(header) + 1]
    if len(invalid := np.argwhere(~labels.isin(list(_LABELS)).to_numpy())):
        row, column = invalid[0]
        raise ValueError(
            f"{path}, line {cells.index[row]}: {shown(header[column])} is "
            f"'{shown(str(labels.iat[row, column]))}', "
            "which is not a label (-1 or 0 is no, 1 is yes, an empty cell is unknown)"
        )
    _check_noes(path, labels)
    values = labels.apply(lambda column: column.map(_LABELS)).to_numpy(dtype=np.float32)
    return tuple(header), files, values


def read_partition(path: Path | ZipMember, files: Sequence[str]) -> list[str]:
    """Reads the split, ``"train"``, ``"valid"`` or ``"test"``, of each file. A header is skipped.

    :raises ValueError: if a line does not consist of a file and a split, or two lines have one
        file, which names the line, or if a file is in no split.
    """
    split_of_file = read_splits(path, files)
    if missing := [file for file in files if file not in split_of_file]:
        raise ValueError(f"{path} does not say which split {missing[0]} belongs to")
    return [split_of_file[file] for file in files]


def read_splits(path: Path | ZipMember, files: Sequence[str]) -> dict[str, str]:
    """The split of each file that a partition lists.

    :param files: files that it lists, by which its first line is told from a header.
    :raises ValueError: as :func:`read_partition`, but for files that are in no split.
    """
    cells = read_cells(path, is_csv=path.suffix.lower() == ".csv")
    splits = cells.ffill(axis=1).iloc[:, -1].str.lower().map(SPLIT_OF_CELL)  # of the last cell
    if file_name(str(cells.iat[0, 0])) not in set(files) and splits.isna().iloc[0]:
        cells, splits = cells.iloc[1:], splits.iloc[1:]
    if len(wrong := cells.index[(cells.count(axis=1) != 2) | splits.isna()]):
        line = wrong[0]
        raise ValueError(
            f"{path}, line {line}: wanted a file name and {WANTED_SPLIT}, "
            f"got '{shown(' '.join(cells.loc[line].dropna()))}'"
        )
    names = [file_name(name) for name in cells[0]]
    check_distinct(path, names, cells.index.tolist())
    return dict(zip(names, splits, strict=True))


def _check_noes(path: Path | ZipMember, labels: pd.DataFrame) -> None:
    """Raises an error if a list has both -1 and 0: is 0 unknown there?"""
    lines = [
        labels.index[labels.isin(cells).any(axis=1)] for cells in (["-1", "-1.0"], ["0", "0.0"])
    ]
    if all(map(len, lines)):
        raise ValueError(
            f"{path}: line {lines[0][0]} has -1 and line {lines[1][0]} has 0, which both are no: "
            "is one of them unknown? If so, leave its cells empty in a CSV; if not, write one"
        )
