"""A CSV of labels whose empty cells are filled in, and the confidence in each of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.tables.label_table import read_table
from ccvae_pyro.labels import Continuous, Label


def write_imputed(
    labels: Path | str,
    out: Path | str,
    data: LabeledImages,
    values: np.ndarray,
    confidence: np.ndarray,
) -> int:
    """Writes ``imputed.csv`` and ``confidence.csv`` into a folder.

    The first is the CSV of labels with its empty cells filled in, spelled like the other cells of
    the column. The second has numbers in the same cells and is empty elsewhere: the probability of
    the predicted class, or the standard deviation of a continuous label. Rows without a readable
    image are not filled in.

    :param labels: the CSV that ``data`` was loaded from.
    :param out: the folder.
    :param values: predicted labels from :func:`~ccvae_pyro.predict`, shape ``(num_images,
        num_labels)``.
    :param confidence: the confidence in each of them, of the same shape.
    :returns: the number of cells that were filled in.
    :raises ValueError: if the CSV has another number of rows than ``data``.
    """
    table, out = read_table(Path(labels)), Path(out)
    filled = table.cells
    if len(filled) != len(values):
        raise ValueError(f"{table.path} has {len(filled)} rows now, but had {len(values)}")
    is_readable = np.zeros(len(values), dtype=bool)
    is_readable[np.concatenate(list(data.splits.values()))] = True
    is_filled = (filled == "") & is_readable[:, None]
    is_filled.loc[:, ~filled.columns.isin(data.label_names)] = False
    numbers = pd.DataFrame("", index=filled.index, columns=filled.columns)
    numbers.iloc[:, 0] = filled.iloc[:, 0]
    for column, (name, label) in enumerate(zip(data.label_names, data.label_types, strict=True)):
        rows = is_filled[name].to_numpy()
        spelling = _spelling(filled[name], label, data.labels[:, column])
        predicted = [float(value) for value in values[rows, column]]
        filled.loc[rows, name] = [spelling.get(value, f"{value:.6g}") for value in predicted]
        numbers.loc[rows, name] = [f"{value:.4g}" for value in confidence[rows, column]]
    for name, cells in (("imputed.csv", filled), ("confidence.csv", numbers)):
        with atomic_write(out / name) as temporary:
            cells.to_csv(temporary, index=False)
    return int(is_filled.to_numpy().sum())


def _spelling(cells: pd.Series[str], label: Label, values: np.ndarray) -> dict[float, str]:
    """How the CSV spells each value of a label with classes."""
    if isinstance(label, Continuous):
        return {}
    given = {float(value): cell for value, cell in zip(values, cells, strict=True) if cell}
    return {float(index): name for index, name in enumerate(label.classes)} | given
