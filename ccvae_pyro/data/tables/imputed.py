"""A CSV of labels whose missing cells are filled in, and the confidence in each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.tables._cells import Dialect, shown
from ccvae_pyro.data.tables.label_table import LabelTable, read_table
from ccvae_pyro.data.tables.label_types import cell_reader
from ccvae_pyro.labels import Continuous, Label

if TYPE_CHECKING:
    import pandas as pd


def write_imputed(
    labels: Path | str | None,
    out: Path | str,
    data: LabeledImages,
    values: np.ndarray,
    confidence: np.ndarray,
    *,
    missing_values: Iterable[str] = (),
    keep_values: Iterable[str] = (),
    at_least: float = 0.0,
) -> int:
    """Writes ``imputed.csv`` and ``confidence.csv`` into a folder.

    The first is the CSV of labels with its missing cells filled in, spelled like the other cells
    of the column, with the same delimiter, line ends and decimal mark. The second has numbers in
    the same cells and is empty elsewhere: the probability of the predicted class, or the
    standard deviation of a continuous label. Rows without a readable image are not filled in.

    Rows are found by the names of their files. Images that the CSV does not list have rows of
    their own below, with predictions in all labels and no other cell. If the CSV has other rows or
    columns than when ``data`` was loaded, what both have is filled in, and a line is printed. If
    it cannot be read any more, the labels as they were loaded are filled in.

    :param labels: the CSV that ``data`` was loaded from; None fills in the labels as they were
        loaded, such as those of a Hugging Face data set.
    :param out: the folder.
    :param values: predicted labels from :func:`~ccvae_pyro.predict`, shape ``(num_images,
        num_labels)``.
    :param confidence: the confidence in each of them, of the same shape.
    :param missing_values: what :func:`~ccvae_pyro.data.load_image_csv` was given.
    :param keep_values: what it was given.
    :param at_least: the least probability of a class that is filled in. A cell of a lower one
        stays empty, and ``confidence.csv`` has it all the same.
    :returns: the number of cells that were filled in.
    :raises ValueError: if ``data`` has no names of files, or ``values`` another shape.
    """
    if not data.files:
        raise ValueError("data has no names of files, by which the rows of a CSV are found")
    if not values.shape == confidence.shape == data.labels.shape:
        raise ValueError(
            f"wanted values and confidence of shape {data.labels.shape}, "
            f"got {values.shape} and {confidence.shape}"
        )
    import pandas as pd

    table = _table_of(data)
    if labels is not None:
        try:
            table = read_table(
                Path(labels),
                is_file=set(data.files).__contains__,
                columns=data.label_names,
                missing_values=missing_values,
                keep_values=keep_values,
            )
        except (OSError, ValueError) as error:
            print(f"{error}; imputed.csv has the labels as they were loaded")
    is_readable = np.zeros(len(values) + 1, dtype=bool)  # with a place for -1
    is_readable[np.concatenate(list(data.splits.values()))] = True
    table = _with_unlisted(table, data, is_readable)
    _print_changes(table, data)
    filled = table.written.copy()
    numbers = filled.copy()
    numbers.loc[:, filled.columns != table.file_column] = ""
    rows = pd.Index(data.files).get_indexer(pd.Index(table.files))  # -1 where a row is new
    num_filled = 0
    for column, (name, label) in enumerate(zip(data.label_names, data.label_types, strict=True)):
        if name not in table.names:
            continue
        is_missing = ((table.cells[name] == "") & is_readable[rows]).to_numpy()
        numbers.loc[is_missing, name] = [
            f"{each:.4g}".replace(".", table.decimal)
            for each in confidence[rows[is_missing], column]
        ]
        is_sure = confidence[rows, column] >= at_least
        is_filled = is_missing & (is_sure | isinstance(label, Continuous))
        spell = _spelling(table, label, data.labels[:, column])
        filled.loc[is_filled, name] = [
            spell(float(each)) for each in values[rows[is_filled], column]
        ]
        num_filled += int(is_filled.sum())
    _write(Path(out) / "imputed.csv", filled, table.dialect)
    _write(Path(out) / "confidence.csv", numbers, table.dialect)
    return num_filled


def _table_of(data: LabeledImages) -> LabelTable:
    """The labels of images as a table."""
    import pandas as pd

    columns: dict[str, list[str]] = {"file": list(data.files)}
    for label, values in zip(data.label_types, data.labels.T, strict=True):
        names = dict(enumerate(label.classes))
        columns[label.name] = [
            "" if math.isnan(value) else names.get(value, f"{value:.7g}") for value in values
        ]
    cells = pd.DataFrame(columns, dtype=object)
    return LabelTable(Path("labels"), cells, cells, Dialect(), ".")


def _with_unlisted(table: LabelTable, data: LabeledImages, is_readable: np.ndarray) -> LabelTable:
    """The table with a row for each image that it does not list: those have no label at all."""
    is_added = is_readable[:-1] & np.isnan(data.labels).all(axis=1)
    listed = set(table.files)
    files = [data.files[row] for row in np.flatnonzero(is_added) if data.files[row] not in listed]
    if not files:
        return table
    import pandas as pd

    start = int(table.cells.index[-1]) + 1
    cells, written = (
        pd.DataFrame("", range(start, start + len(files)), each.columns, dtype=object)
        for each in (table.cells, table.written)
    )
    cells[table.file_column], written[table.file_column] = files, files
    return replace(
        table,
        cells=pd.concat([table.cells, cells]),
        written=pd.concat([table.written, written]),
    )


def _print_changes(table: LabelTable, data: LabeledImages) -> None:
    """Prints a line if the CSV has changed since the images were loaded."""
    is_gone = [name for name in data.label_names if name not in table.names]
    num_new = len(set(table.files) - set(data.files))
    num_gone = len(set(data.files) - set(table.files))
    if is_gone or num_new or num_gone:
        columns = f", and so is column {shown(is_gone[0])}" if is_gone else ""
        print(
            f"{table.path} has changed since it was loaded: {num_new} rows are new and not filled "
            f"in, {num_gone} are gone{columns}"
        )


def _spelling(table: LabelTable, label: Label, values: np.ndarray) -> Callable[[float], str]:
    """How the CSV spells a value: as most of its cells do, or with as many digits as tell."""
    if isinstance(label, Continuous):
        num_decimals = _num_decimals(values)
        return lambda value: _rounded(value, num_decimals).replace(".", table.decimal)
    read, _ = cell_reader(label)
    value_of = {
        written: read(cell)
        for written, cell in zip(table.written[label.name], table.cells[label.name], strict=True)
        if cell
    }
    spelling = {float(index): name for index, name in enumerate(label.classes)}
    for written in reversed(table.written[label.name].value_counts().index):  # most frequent last
        if (value := value_of.get(written)) is not None:
            spelling[value] = written
    return lambda value: spelling[value]


def _rounded(value: float, num_decimals: int) -> str:
    text = f"{round(value, num_decimals) + 0.0:.{num_decimals}f}"  # which is never -0
    return text.rstrip("0").rstrip(".") if "." in text else text


def _num_decimals(values: np.ndarray) -> int:
    """Decimals down to a thousandth of the standard deviation."""
    known = values[~np.isnan(values)].astype(np.float64)
    spread = float(known.std()) if len(known) else 0.0
    return min(max(3 - math.floor(math.log10(spread)), 0), 40) if spread else 3


def _write(path: Path, cells: pd.DataFrame, dialect: Dialect) -> None:
    with atomic_write(path) as temporary:
        cells.to_csv(
            temporary,
            index=False,
            sep=dialect.delimiter,
            lineterminator=dialect.line_end,
            encoding=dialect.encoding,
        )
