"""The names of files in a table."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from ccvae_pyro.data.tables._cells import shown


def file_name(cell: str) -> str:
    """The name of a file in one spelling.

    Example:

        >>> [file_name(cell) for cell in ("./a.png", "a//b.png", r"a\\b.png", "a/../a.png")]
        ['a.png', 'a/b.png', 'a/b.png', 'a.png']
    """
    return posixpath.normpath(cell.replace("\\", "/")) if cell else ""


def check_distinct(path: object, files: Iterable[str], lines: Iterable[int]) -> None:
    """Raises an error if a file has two lines."""
    line_of_file: dict[str, int] = {}
    for line, file in zip(lines, files, strict=True):
        first = line_of_file.setdefault(file, line)
        if first < line:
            raise ValueError(f"{path}: {shown(file)} has two rows, lines {first} and {line}")
