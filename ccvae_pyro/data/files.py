"""Files: written atomically, and opened only if they are regular files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path, and moves the file there to ``path`` at the end of the block.

    If the block raises an error, the temporary file is removed and ``path`` is left as it was.
    Missing parent folders are created.

    Example:

        >>> folder = Path(getfixture("tmp_path"))
        >>> with atomic_write(folder / "hello.txt") as temporary:
        ...     _ = temporary.write_text("hello")
        >>> (folder / "hello.txt").read_text()
        'hello'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())  # otherwise a power cut could leave a truncated file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file for reading, and refuses anything else at once.

    A pipe would be waited for, and a device may never end.

    :raises ValueError: if the path is that of a pipe, a socket, a device or a folder.
    :raises OSError: if the file does not exist or may not be read.
    """
    _check_regular(path.stat().st_mode)  # a device is not even opened
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        _check_regular(os.fstat(descriptor).st_mode)  # another file may have taken its place
    except ValueError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _check_regular(mode: int) -> None:
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    if not stat.S_ISREG(mode):
        raise ValueError(f"it is {kinds.get(stat.S_IFMT(mode), 'a device')}, not a regular file")
