"""The cells of a text file, with line numbers."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

from ccvae_pyro.data.archives import ZipMember

MAX_COLUMNS = 10_000  # a table that is wider has its rows and columns exchanged, or is none
_DELIMITERS = ",;\t"  # Excel writes semicolons where a comma is the decimal mark
# The encodings of files that start with a byte order mark.
_ENCODINGS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16"}
_ENCODINGS |= {codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written, so that another one can be written alike.

    :param delimiter: a comma, a semicolon or a tab.
    :param line_end: ``"\\n"`` or ``"\\r\\n"``.
    :param encoding: ``"utf-8"``, or ``"utf-8-sig"`` if there is a byte order mark, by which Excel
        recognizes UTF-8; or ``"utf-16"``, which Excel calls Unicode text.
    """

    delimiter: str = ","
    line_end: str = "\n"
    encoding: str = "utf-8"


def read_cells(path: Path | ZipMember, *, is_csv: bool) -> pd.DataFrame:
    """Reads the cells of a CSV, or the words of each line of a text file.

    Lines without a cell that is not blank are left out, and so are blank cells at the end of a
    line, beyond the first line's. Lines may have different numbers of cells, which
    ``cells.count(axis=1)`` counts: those that a line does not have are missing values.

    :returns: the stripped cells as text; the index holds the line numbers.
    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: if the file is not text, or has fewer than two lines.
    """
    return read_csv(path)[0] if is_csv else _to_cells(path, _words(_read_text(path)[0]))


def read_csv(path: Path | ZipMember) -> tuple[pd.DataFrame, Dialect]:
    """Reads the cells of a CSV as :func:`read_cells` does, and the dialect it is written in."""
    text, encoding = _read_text(path)
    dialect = Dialect(
        _find_delimiter(text),
        "\r\n" if text.partition("\n")[0].endswith("\r") else "\n",
        encoding,
    )
    return _to_cells(path, _rows(path, text, dialect.delimiter)), dialect


def _read_text(path: Path | ZipMember) -> tuple[str, str]:
    """Reads a file as text in UTF-8, or in UTF-16 with a byte order mark.

    :returns: the text, without a byte order mark, and the encoding.
    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: if it is no regular file, a web page, or not text; names the line.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not path.is_file():  # to open a named pipe would wait for a writer, for ever
        raise ValueError(f"{path} is not a regular file")
    content = path.read_bytes()
    encoding = next(
        (name for mark, name in _ENCODINGS.items() if content.startswith(mark)), "utf-8"
    )
    name = encoding.removesuffix("-sig").upper()
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line} cannot be read as text in {name} (byte 0x"
            f"{content[error.start]:02X}): save it in UTF-8, which Excel calls 'CSV UTF-8'"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(
            f"{path}, line {line} cannot be read as text in {name}: it has a NUL byte"
        )
    start = text.lstrip()[:9].lower()
    if start.startswith(("<!doctype", "<html", "<?xml")):
        raise ValueError(f"{path}, line 1: this is a web page, not a table: download it again")
    return text, encoding


def shown(text: str, max_length: int = 60) -> str:
    """Text from a file as one short line of an error message."""
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= max_length else f"{text[: max_length - 3]}..."


def _words(text: str) -> Iterator[tuple[int, list[str]]]:
    """The words of each line."""
    lines = text.splitlines()
    return ((number, line.split()) for number, line in enumerate(lines, start=1))


def _rows(path: Path | ZipMember, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The stripped cells of each record of a CSV, and the line that it ends in."""
    # Not pandas.read_csv, which gives no line numbers and fills short lines with empty cells.
    reader = _reader(text, delimiter, strict=True)
    line = 0
    try:
        for row in reader:
            line = reader.line_num
            yield line, [cell.strip() for cell in row]
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {line + 1} cannot be read as CSV ({shown(str(error))}): check its "
            "quotation marks, which are doubled within a quoted cell"
        ) from error


def _find_delimiter(text: str) -> str:
    """The delimiter by which the first two lines have as many cells as each other, and most."""

    def score(delimiter: str) -> tuple[bool, bool, int]:
        rows = (row for row in _reader(text, delimiter) if any(cell.strip() for cell in row))
        try:
            widths = [len(row) for row in islice(rows, 2)]
        except csv.Error:
            return False, False, 0
        return max(widths[:1], default=0) > 1, len(set(widths)) == 1, max(widths, default=0)

    return max(_DELIMITERS, key=score)


def _reader(text: str, delimiter: str, strict: bool = False) -> Any:
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=delimiter, strict=strict, skipinitialspace=True)


def _to_cells(path: Path | ZipMember, lines: Iterator[tuple[int, Sequence[str]]]) -> pd.DataFrame:
    import pandas as pd

    numbered = [(number, cells) for number, cells in lines if any(cells)]
    if len(numbered) < 2:
        raise ValueError(f"{path} lists no images")
    width = max(place for place, cell in enumerate(numbered[0][1], start=1) if cell)
    rows = [cells if any(cells[width:]) else cells[:width] for _, cells in numbered]
    if (widest := max(map(len, rows))) > MAX_COLUMNS:
        line = numbered[[len(cells) for cells in rows].index(widest)][0]
        raise ValueError(f"{path}, line {line}: {widest} columns, wanted at most {MAX_COLUMNS}")
    columns = dict(enumerate(zip_longest(*rows)))
    return pd.DataFrame(columns, index=[number for number, _ in numbered], dtype=object)
