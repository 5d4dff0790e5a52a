"""CelebA's lists, as text or as CSV: where they are, and the attributes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ccvae_pyro.data.tables.lists import read_rows

_LABELS = {"-1": 0.0, "0": 0.0, "1": 1.0, "": np.nan}


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
    is_csv = path.suffix == ".csv"
    rows = read_rows(path, is_csv=is_csv)
    if is_csv:
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
