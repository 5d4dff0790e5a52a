"""Files that are written atomically."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any

try:
    import fcntl
except ImportError:  # Windows, which keeps files that are open from being removed
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\..*\.part-[0-9a-f]{8}(\.[^.]*)?")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path, and moves the file there to ``path`` at the end of the block.

    If the block raises an error, the temporary file is removed and ``path`` is left as it was.
    What a killed process left is removed by the next process that writes to the same folder.
    Missing parent folders are created.

    Example:

        >>> folder = Path(getfixture("tmp_path"))
        >>> with atomic_write(folder / "hello.txt") as temporary:
        ...     _ = temporary.write_text("hello")
        >>> (folder / "hello.txt").read_text()
        'hello'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent.resolve())
    temporary = path.with_name(f".{path.stem}.part-{token_hex(4)}{path.suffix}")
    try:
        # "x": a new file, which follows no link. It is open, and so locked, until it is whole.
        with temporary.open("xb") as file:
            with suppress(OSError):  # file systems without locks
                _lock(file)
            yield temporary
            os.fsync(file.fileno())  # otherwise a power cut could leave a truncated file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@cache
def _remove_abandoned(folder: Path) -> None:
    """Removes the temporary files that no process writes to; once for each folder."""
    with suppress(OSError):  # a folder that cannot be listed
        for entry in os.scandir(folder):
            is_file = entry.is_file(follow_symlinks=False)
            if is_file and _TEMPORARY.fullmatch(entry.name) and _is_abandoned(entry.path):
                Path(entry.path).unlink(missing_ok=True)


def _is_abandoned(path: str) -> bool:
    """Whether no process has locked a file."""
    try:
        with Path(path).open("rb+") as file:
            _lock(file)
    except OSError:
        return False
    return True


def _lock(file: Any) -> None:
    """Locks a file until it is closed, or its process ends.

    :raises OSError: if another process has locked it, or the file system has no locks.
    """
    if fcntl:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
