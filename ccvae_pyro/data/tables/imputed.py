"""A CSV of labels with its empty cells filled in, and how sure each of these is."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.tables.label_table import Column, read_table
from ccvae_pyro.labels import Continuous, Label


def write_imputed(
    labels: Path | str,
    out: Path | str,
    data: LabeledImages,
    values: np.ndarray,
    certainty: np.ndarray,
) -> int:
    """Writes ``imputed.csv`` and ``certainty.csv`` into a folder; returns how many were filled.

    The first is the CSV with its empty cells filled in, in the words of the others. The second has
    numbers in those cells and nothing in the others: the probability of what was filled in, or the
    deviation of a number. Rows without a readable image stay as they are.

    :param labels: the CSV that ``data`` was loaded from.
    :param values: what :func:`~ccvae_pyro.predict` makes of each image, shape ``(num_images,
        num_labels)``.
    :param certainty: how sure it is, of the same shape.
    :raises ValueError: if the CSV has changed since.
    """
    table, out = read_table(Path(labels)), Path(out)
    if len(table.files) != len(values):
        raise ValueError(f"{table.path} has {len(table.files)} rows by now, and had {len(values)}")
    readable = np.zeros(len(values), dtype=bool)
    readable[np.concatenate(list(data.splits.values()))] = True
    filled, sure, num_filled = [], [], 0
    for column in table.columns:
        cells, numbers = list(column.cells), [""] * len(column.cells)
        if column.name in data.label_names:
            place = data.label_names.index(column.name)
            words = _words(column, data.kinds[place], data.labels[:, place])
            empty = [row for row, cell in enumerate(cells) if not cell and readable[row]]
            for row in empty:
                value = float(values[row, place])
                cells[row] = words.get(value, f"{value:.6g}")
                numbers[row] = f"{certainty[row, place]:.4g}"
            num_filled += len(empty)
        filled.append(cells)
        sure.append(numbers)
    _write(out / "imputed.csv", table.header, table.files, filled)
    _write(out / "certainty.csv", table.header, table.files, sure)
    return num_filled


def _words(column: Column, label: Label, values: np.ndarray) -> dict[float, str]:
    """How the CSV writes each value of a label with classes."""
    if isinstance(label, Continuous):
        return {}
    words = {float(value): cell for value, cell in zip(values, column.cells, strict=True) if cell}
    return dict(enumerate(label.classes)) | words


def _write(path: Path, header: list[str], files: list[str], columns: list[list[str]]) -> None:
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(zip(files, *columns, strict=True))
