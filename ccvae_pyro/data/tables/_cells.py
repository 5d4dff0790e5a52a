"""The cells of a text file, with line numbers."""

from __future__ import annotations

import csv
from itertools import zip_longest
from pathlib import Path

import pandas as pd


def read_cells(path: Path, *, is_csv: bool) -> pd.DataFrame:
    """Reads the cells of a CSV, or the words of each line of a text file.

    Blank lines are left out. Lines may have different numbers of cells, which
    ``cells.count(axis=1)`` counts: those that a line does not have are missing values.

    :returns: the stripped cells as text; the index holds the line numbers.
    :raises ValueError: if the file is not text, or has fewer than two lines.
    """
    # Not pandas.read_csv, which gives no line numbers and fills short lines with empty cells.
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            if is_csv:
                reader = csv.reader(file)
                lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
            else:
                lines = [(number, line.split()) for number, line in enumerate(file, start=1)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as text in UTF-8 ({error})") from error
    lines = [(number, cells) for number, cells in lines if len(cells) > 1 or any(cells)]
    if len(lines) < 2:
        raise ValueError(f"{path} lists no images")
    numbers, rows = zip(*lines, strict=True)
    columns = dict(enumerate(zip_longest(*rows)))
    return pd.DataFrame(columns, index=list(numbers), dtype=object)
