"""A CSV of labels: its cells, and the lines that they are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ccvae_pyro.data.tables._cells import Dialect, read_csv, shown
from ccvae_pyro.data.tables._decimals import with_points
from ccvae_pyro.data.tables._file_names import check_distinct, file_name
from ccvae_pyro.data.tables.celeba_lists import SPLIT_OF_CELL, WANTED_SPLIT, read_partition
from ccvae_pyro.data.tables.missing_values import missing_spellings
from ccvae_pyro.labels import index_of

if TYPE_CHECKING:
    import pandas as pd

NUM_CHECKED = 1000  # rows in which the column of the files is looked for


@dataclass(frozen=True)
class LabelTable:
    """The cells of a CSV of labels as text.

    :param path: the CSV.
    :param cells: one row per image. The first column holds the names of the image files, in one
        spelling (``a/b.png`` for ``./a//b.png``), each other column the values of a label, with a
        point as decimal mark, empty where missing. The index holds line numbers.
    :param written: all cells as they are in the file, in the order of its columns.
    :param dialect: how the file is written.
    :param decimal: the decimal mark of its numbers, a point or a comma.
    :param unit: what errors call a row.
    """

    path: Path
    cells: pd.DataFrame
    written: pd.DataFrame
    dialect: Dialect
    decimal: str
    unit: str = "line"

    @property
    def file_column(self) -> str:
        """The name of the column of the files."""
        return str(self.cells.columns[0])

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
        is_number = name.isdecimal() and name not in self.names  # as a command line has it
        what = f"column of {self.path}"
        return self.names[index_of(int(name) if is_number else name, self.names, what)]

    def missing(self, names: Iterable[str]) -> Counter[str]:
        """How often each spelling of a missing value occurs in some columns, blank cells aside."""
        counts: Counter[str] = Counter()
        for name in names:
            counts.update(self.written[name][self.cells[name] == ""].tolist())
        del counts[""]
        return counts

    def error(self, line: int | str, name: str, reason: str) -> ValueError:
        """An error that quotes the cell of column ``name`` in a line."""
        cell = shown(str(self.written.at[line, name]))
        where = f"{self.path}, {self.unit} {line}"
        return ValueError(f"{where}: {shown(name)} is '{cell}', {reason}")


def read_table(
    path: Path,
    *,
    file_column: str | None = None,
    is_file: Callable[[str], bool] | None = None,
    columns: Container[str] | None = None,
    missing_values: Iterable[str] = (),
    keep_values: Iterable[str] = (),
) -> LabelTable:
    """Reads a CSV of which one column holds file names, and each other column a label.

    Its delimiter is a comma, a semicolon or a tab. Numbers may have a decimal comma, unless that
    is the delimiter. A first column without a name that has no files is left out: it numbers rows.

    :param file_column: the column that holds file names. By default it is the first, unless none
        of its cells names a file: then it is the column with the most that do.
    :param is_file: whether there is a file of a name; by default the first column is taken.
    :param columns: the columns that are labels, by default all others. Decimal marks are looked
        for in these.
    :param missing_values: cells that are missing values, besides blank ones and those in
        :data:`~ccvae_pyro.data.tables.missing_values.MISSING_VALUES`.
    :param keep_values: cells that are not, although they are in that list.
    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: if there is no header, two columns have the same name, a line has too few
        or too many cells, a file has two rows, or there is no such file column; names the column
        or line.
    """
    spellings = missing_spellings(missing_values, keep_values)
    if not path.exists():
        raise FileNotFoundError(f"the CSV of labels, {path}, does not exist")
    written, dialect = read_csv(path)
    header = [" ".join(cell.split()) for cell in written.iloc[0].dropna()]
    written = written.iloc[1:]
    place = _find_files(path, header, written, file_column, is_file)
    files = written.iloc[:, place].map(file_name, na_action="ignore").fillna("")
    _check_header(path, header, place, files)
    num_cells = written.count(axis=1)
    if len(wrong := written.index[num_cells != len(header)]):
        line = wrong[0]
        raise ValueError(
            f"{path}, line {line}: {num_cells[line]} cells, where the header has {len(header)}"
        )
    written = written.iloc[:, : len(header)].set_axis(header, axis="columns")
    if (files == "").any():
        line = files.index[files == ""][0]
        raise ValueError(f"{path}, line {line}: the name of the file is empty")
    check_distinct(path, files, files.index.tolist())
    labels = written[[name for i, name in enumerate(header) if i != place and name]]
    labels = labels.mask(labels.isin(spellings), "")
    decimal = "."
    if dialect.delimiter != ",":
        numbers = [name for name in labels.columns if columns is None or name in columns]
        converted, decimal = with_points(path, labels[numbers])
        labels[numbers] = converted
    import pandas as pd

    cells = pd.concat([files.rename(header[place]), labels], axis="columns")
    return LabelTable(path, cells, written, dialect, decimal)


def _find_files(
    path: Path,
    header: Sequence[str],
    written: pd.DataFrame,
    file_column: str | None,
    is_file: Callable[[str], bool] | None,
) -> int:
    """The number of the column that holds file names."""
    if file_column is not None:
        return index_of(file_column, header, f"column of {path}")
    if is_file is None:
        return 0

    def num_files(place: int) -> int:
        cells = written.iloc[:NUM_CHECKED, place].dropna()
        return sum(bool(cell) and is_file(file_name(cell)) for cell in cells)

    counts = [num_files(0)]
    if not counts[0]:
        counts += map(num_files, range(1, min(len(header), written.shape[1])))
    return counts.index(max(counts))


def find_partition(table: LabelTable, partition: str | Path) -> tuple[list[str], str | None]:
    """The split of each file, from a column of the table or from another file.

    :param partition: the name of a column, or a path.
    :returns: the splits, and the name of the column if it is one.
    :raises FileNotFoundError: if it looks like a path and there is no such file.
    :raises ValueError: if there is no such column, or a cell does not name a split.
    """
    path = Path(partition)
    if partition not in table.names and path.exists() and not path.is_dir():
        return read_partition(path, table.files), None
    if partition not in table.names and (path.suffix or len(path.parts) > 1):
        raise FileNotFoundError(f"the partition, {path}, does not exist")
    name = table.find(str(partition))
    splits = table.cells[name].str.lower().map(SPLIT_OF_CELL)
    if len(wrong := splits.index[splits.isna()]):
        raise table.error(wrong[0], name, f"which is not a split: wanted {WANTED_SPLIT}")
    return splits.tolist(), name


def _check_header(path: Path, header: list[str], place: int, files: Iterable[str]) -> None:
    suffix = PurePath(file_name(header[place])).suffix.lower()
    if suffix and suffix in {PurePath(file).suffix.lower() for file in files}:
        raise ValueError(
            f"{path} has no header: wanted names of columns in its first line, "
            f"got the file '{shown(header[place])}'"
        )
    if not any(name for i, name in enumerate(header) if i != place):
        raise ValueError(
            f"{path} has no label: wanted a file name and then labels, separated by commas, "
            f"semicolons or tabs, got the header '{shown(','.join(header))}'"
        )
    number_of_name: dict[str, int] = {}
    for number, name in enumerate(header, start=1):
        if not name and number not in (1, place + 1):
            raise ValueError(f"{path}: column {number} has no name in the header")
        first = number_of_name.setdefault(name, number)
        if first < number:
            raise ValueError(
                f"{path}: columns {first} and {number} are both called '{shown(name)}'"
            )
