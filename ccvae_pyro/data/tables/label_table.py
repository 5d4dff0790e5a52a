"""A CSV of labels: its cells, and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ccvae_pyro.data.tables.lists import PARTS, WANTED_PART, read_partition, read_rows
from ccvae_pyro.labels import index_of


@dataclass(frozen=True)
class Column:
    """The cells of one column, of which those without a value are empty.

    :param path: the CSV.
    :param name: what its header calls the column.
    :param lines: the line of each cell.
    :param cells: what is written there.
    """

    path: Path
    name: str
    lines: Sequence[int]
    cells: Sequence[str]

    def error(self, row: int, why: str) -> ValueError:
        """An error that quotes a cell and says where it is."""
        where = f"{self.path}, line {self.lines[row]}"
        return ValueError(f"{where}: {self.name} is {self.cells[row]!r}, {why}")


@dataclass(frozen=True)
class LabelTable:
    """Files, and a column for each of the other things that a CSV says about them."""

    path: Path
    header: list[str]
    files: list[str]
    lines: list[int]
    columns: tuple[Column, ...]

    def find(self, name: str | int) -> Column:
        """A column, given by its name or its number.

        :raises ValueError: if there is no such column; the nearest names are offered.
        """
        names = [column.name for column in self.columns]
        return self.columns[index_of(name, names, f"column of {self.path}")]


def read_table(path: Path) -> LabelTable:
    """Reads a CSV whose first column is a file name; an empty cell, or NaN, has no value.

    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: naming a header that is given twice, a row with too few or too many cells,
        or a file that has two rows.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the CSV of labels, {path}, is not there")
    (_, header), *rows = read_rows(path, is_csv=True)
    _check_header(path, header)
    line_of: dict[str, int] = {}
    for line, cells in rows:
        if len(cells) != len(header):
            raise ValueError(
                f"{path}, line {line}: {len(cells)} cells, where the header has {len(header)}"
            )
        if (first := line_of.setdefault(cells[0], line)) != line:
            raise ValueError(f"{path}: {cells[0]} has two rows, lines {first} and {line}")
    lines = list(line_of.values())
    columns = []
    for number, name in enumerate(header[1:], start=1):
        cells = ["" if row[number].lower() == "nan" else row[number] for _, row in rows]
        columns.append(Column(path, name, lines, cells))
    return LabelTable(path, header, list(line_of), lines, tuple(columns))


def find_parts(table: LabelTable, partition: str | Path) -> tuple[list[str], str | None]:
    """Which split each file is in, as a column of the table says, or else a file.

    :returns: the splits, and the column's name if it was a column.
    :raises FileNotFoundError: if it looks like a file and is not there.
    :raises ValueError: if there is no such column, or one of its cells names no split.
    """
    names = [column.name for column in table.columns]
    path = Path(partition)
    if partition not in names and path.is_file():
        return read_partition(path, table.files), None
    if partition not in names and (path.suffix or len(path.parts) > 1):
        raise FileNotFoundError(f"the partition, {path}, is not there")
    column = table.find(str(partition))
    for row, cell in enumerate(column.cells):
        if cell.lower() not in PARTS:
            raise column.error(row, f"which is no split: wanted {WANTED_PART}")
    return [PARTS[cell.lower()] for cell in column.cells], column.name


def _check_header(path: Path, header: list[str]) -> None:
    if len(header) < 2:
        raise ValueError(
            f"{path} has no label: wanted a file name and then labels, parted by commas, "
            f"got the header {','.join(header)!r}"
        )
    for number, name in enumerate(header):
        if not name and number:
            raise ValueError(f"{path}: column {number + 1} has no name in the header")
        if name in header[:number]:
            first = header.index(name) + 1
            raise ValueError(f"{path}: columns {first} and {number + 1} are both called {name!r}")
