"""A CSV of labels: its cells, and the lines that they are in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ccvae_pyro.data.tables._cells import read_cells
from ccvae_pyro.data.tables.celeba_lists import SPLIT_OF_CELL, WANTED_SPLIT, read_partition
from ccvae_pyro.labels import index_of


@dataclass(frozen=True)
class LabelTable:
    """The cells of a CSV of labels as text.

    :param path: the CSV.
    :param cells: one row per image. The first column holds the names of the image files, each
        other column the values of a label, empty where missing. The index holds line numbers.
    """

    path: Path
    cells: pd.DataFrame

    @property
    def files(self) -> list[str]:
        """The names of the image files."""
        return self.cells.iloc[:, 0].tolist()

    @property
    def names(self) -> list[str]:
        """The names of the columns, without that of the files."""
        return self.cells.columns[1:].tolist()

    def find(self, name: str) -> str:
        """The name of a column that is given by its name or its number.

        :raises ValueError: if there is no such column; suggests the nearest names.
        """
        return self.names[index_of(name, self.names, f"column of {self.path}")]

    def error(self, line: int, name: str, reason: str) -> ValueError:
        """An error that quotes the cell of column ``name`` in a line."""
        cell = self.cells.at[line, name]
        return ValueError(f"{self.path}, line {line}: {name} is {cell!r}, {reason}")


def read_table(path: Path) -> LabelTable:
    """Reads a CSV whose first column holds file names. Empty cells and NaN are missing values.

    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: if two columns have the same name, a line has too few or too many cells, or
        a file has two rows; names the column or line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the CSV of labels, {path}, does not exist")
    cells = read_cells(path, is_csv=True)
    header = cells.iloc[0].dropna().tolist()
    _check_header(path, header)
    cells = cells.iloc[1:]
    num_cells = cells.count(axis=1)
    if len(wrong := cells.index[num_cells != len(header)]):
        line = wrong[0]
        raise ValueError(
            f"{path}, line {line}: {num_cells[line]} cells, where the header has {len(header)}"
        )
    files = cells[0]
    if files.duplicated().any():
        file = files[files.duplicated()].iloc[0]
        first, second, *_ = files.index[files == file]
        raise ValueError(f"{path}: {file} has two rows, lines {first} and {second}")
    labels = cells.iloc[:, 1 : len(header)]
    is_nan = labels.apply(lambda column: column.str.lower() == "nan")
    cells = pd.concat([files, labels.mask(is_nan, "")], axis="columns")
    return LabelTable(path, cells.set_axis(header, axis="columns"))


def find_partition(table: LabelTable, partition: str | Path) -> tuple[list[str], str | None]:
    """The split of each file, from a column of the table or from another file.

    :param partition: the name of a column, or a path.
    :returns: the splits, and the name of the column if it is one.
    :raises FileNotFoundError: if it looks like a path and there is no such file.
    :raises ValueError: if there is no such column, or a cell does not name a split.
    """
    path = Path(partition)
    if partition not in table.names and path.is_file():
        return read_partition(path, table.files), None
    if partition not in table.names and (path.suffix or len(path.parts) > 1):
        raise FileNotFoundError(f"the partition, {path}, does not exist")
    name = table.find(str(partition))
    splits = table.cells[name].str.lower().map(SPLIT_OF_CELL)
    if len(wrong := splits.index[splits.isna()]):
        raise table.error(wrong[0], name, f"which is not a split: wanted {WANTED_SPLIT}")
    return splits.tolist(), name


def _check_header(path: Path, header: list[str]) -> None:
    if len(header) < 2:
        raise ValueError(
            f"{path} has no label: wanted a file name and then labels, separated by commas, "
            f"got the header {','.join(header)!r}"
        )
    for number, name in enumerate(header):
        if not name and number:
            raise ValueError(f"{path}: column {number + 1} has no name in the header")
        if name in header[:number]:
            first = header.index(name) + 1
            raise ValueError(f"{path}: columns {first} and {number + 1} are both called {name!r}")
