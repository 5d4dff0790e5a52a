"""Files: written atomically, and opened only if they are regular files."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, Protocol

try:
    import fcntl
except ImportError:  # Windows, which keeps files that are open from being removed
    fcntl = None  # type: ignore[assignment]


class Packed(Protocol):
    """A file within another: in an archive, or in a cell of a table. Its text says where it is."""

    def open(self) -> BinaryIO:
        """Opens it for reading."""
        ...


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


@contextmanager
def resumable_write(path: Path) -> Iterator[BinaryIO]:
    """Opens the file that will be ``path``, with what an interrupted process has written to it.

    It is moved to ``path`` at the end of the block. If the block raises an error, it is removed.
    If the process is stopped (Ctrl-C, SIGTERM) or killed, it is kept, and whoever writes ``path``
    next goes on with it. While another process does, and on Windows, the file is a new one.

    Example:

        >>> path = Path(getfixture("tmp_path")) / "numbers"
        >>> with resumable_write(path) as file:
        ...     _ = file.write(b"123")
        ...     raise SystemExit
        Traceback (most recent call last):
            ...
        SystemExit
        >>> with resumable_write(path) as file:
        ...     file.read(), file.write(b"456")
        (b'123', 3)
        >>> path.read_bytes()
        b'123456'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    file = _open_partial(partial)
    if file is None:
        with atomic_write(path) as temporary, temporary.open("r+b") as new:
            yield new
        return
    with file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            partial.replace(path)
        except Exception:
            partial.unlink(missing_ok=True)
            raise


def partial_path(path: Path) -> Path:
    """Where :func:`resumable_write` keeps a file that is not complete."""
    return path.with_name(f".{path.name}.partial")


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


def _open_partial(path: Path) -> BinaryIO | None:
    """Opens and locks the file, new or begun; None where another process or user has it."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError:
        return None
    file = os.fdopen(descriptor, "r+b")
    try:
        _lock(file)
        # The process that had it may just have moved it to its place.
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            return file
    except OSError:
        pass
    file.close()
    return None


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
