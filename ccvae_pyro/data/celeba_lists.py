"""CelebA's two lists, attributes and partition, as text or as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

_LABELS = {"-1": 0.0, "0": 0.0, "1": 1.0, "": np.nan}
_SPLITS = {"0": "train", "1": "valid", "2": "test"}


def find_list(root: Path, stem: str) -> Path | None:
    """The list of that name in ``root``, be it text or CSV, or None where there is neither."""
    candidates = (root / f"{stem}{suffix}" for suffix in (".txt", ".csv"))
    return next((path for path in candidates if path.is_file()), None)


def read_attributes(path: Path) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    """Reads the attribute list.

    :returns: the attributes' names; the images' file names; labels of shape
        ``(num_images, num_attributes)``, 0 or 1, NaN where a cell is empty.
    :raises ValueError: naming the line that has too few columns or a value that is no label.
    """
    rows = _read_rows(path)
    if path.suffix == ".csv":
        header = rows.pop(0)[1][1:]
    else:
        rows.pop(0)  # how many images there are
        header = rows.pop(0)[1]
    labels = np.empty((len(rows), len(header)), dtype=np.float32)
    for row, (line, (_, *cells)) in enumerate(rows):
        if len(cells) != len(header):
            raise ValueError(
                f"{path}, line {line}: {len(cells)} labels, where the header names {len(header)}"
            )
        for column, cell in enumerate(cells):
            if cell not in _LABELS:
                raise ValueError(
                    f"{path}, line {line}: {header[column]} is {cell!r}, which is no label "
                    "(-1 or 0 is no, 1 is yes, an empty cell is unknown)"
                )
            labels[row, column] = _LABELS[cell]
    return tuple(header), [cells[0] for _, cells in rows], labels


def read_partition(path: Path | None, files: list[str]) -> list[str] | None:
    """Reads the split of each of ``files``, or returns None where there is no list.

    :raises ValueError: naming the line that is amiss, or an image that is in no split.
    """
    if path is None:
        return None
    rows = _read_rows(path)
    split_of = {}
    for line, cells in rows[1:] if path.suffix == ".csv" else rows:
        if len(cells) != 2 or cells[1] not in _SPLITS:
            raise ValueError(
                f"{path}, line {line}: wanted a file name and 0, 1 or 2, got {' '.join(cells)!r}"
            )
        split_of[cells[0]] = _SPLITS[cells[1]]
    if missing := [file for file in files if file not in split_of]:
        raise ValueError(f"{path} does not say which split {missing[0]} belongs to")
    return [split_of[file] for file in files]


def _read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The lines that are not blank, split into cells, each with its number."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        if path.suffix == ".csv":
            reader = csv.reader(file)
            rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
        else:
            rows = [(number, line.split()) for number, line in enumerate(file, start=1)]
    rows = [(number, cells) for number, cells in rows if cells]
    if len(rows) < 2:
        raise ValueError(f"{path} lists no images")
    return rows
