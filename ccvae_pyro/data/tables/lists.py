"""Lists of images, a line for each, as text or as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from ccvae_pyro.data.splits import NAMES

PARTS = {str(number): name for number, name in enumerate(NAMES)} | {name: name for name in NAMES}
WANTED_PART = "0, 1 or 2 (or train, valid or test)"


def read_rows(path: Path, *, is_csv: bool) -> list[tuple[int, list[str]]]:
    """The lines that are not blank, split into cells, each with its number.

    :param is_csv: whether cells are parted by commas, or else by white space.

    :raises ValueError: if the file is no text, or has a header at most.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            if is_csv:
                reader = csv.reader(file)
                rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
            else:
                rows = [(number, line.split()) for number, line in enumerate(file, start=1)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as text in UTF-8 ({error})") from error
    rows = [(number, cells) for number, cells in rows if cells]
    if len(rows) < 2:
        raise ValueError(f"{path} lists no images")
    return rows


def read_partition(path: Path, files: list[str]) -> list[str]:
    """Reads which of the three splits each of ``files`` is in; a header is passed over.

    :raises ValueError: naming the line that is amiss, or an image that is in no split.
    """
    rows = read_rows(path, is_csv=path.suffix.lower() == ".csv")
    part_of, known = {}, set(files)
    if rows[0][1][0] not in known and rows[0][1][-1].lower() not in PARTS:
        rows.pop(0)
    for line, cells in rows:
        if len(cells) != 2 or cells[1].lower() not in PARTS:
            raise ValueError(
                f"{path}, line {line}: wanted a file name and {WANTED_PART}, "
                f"got {' '.join(cells)!r}"
            )
        part_of[cells[0]] = PARTS[cells[1].lower()]
    if missing := [file for file in files if file not in part_of]:
        raise ValueError(f"{path} does not say which split {missing[0]} belongs to")
    return [part_of[file] for file in files]
