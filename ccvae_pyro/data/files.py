"""Files: written atomically, opened only if they are regular files, and named by slugs."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

SLUG_LENGTH = 40
# Names that Windows keeps for devices, whatever their suffix.
RESERVED = {"con", "prn", "aux", "nul"}
RESERVED |= {f"{device}{number}" for device in ("com", "lpt") for number in range(10)}


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


def slugs(names: Iterable[str]) -> list[str]:
    """A file name, without a suffix, for each name that a user chose.

    Each is 1 to 40 ASCII letters, digits, underscores and hyphens, so it can neither leave its
    folder nor be refused by a file system. No two are equal, also where the file system ignores
    case: repeated ones are numbered.

    Example:

        >>> slugs(["hair", "Hair", "../../etc/passwd", "Größe in cm", "年齢", "CON"])
        ['hair', 'Hair-2', 'etc-passwd', 'Groe-in-cm', 'unnamed', 'CON-2']
    """
    taken, unique = set(RESERVED), []
    for name in names:
        ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9_]+", "-", ascii_name).strip("-")[:SLUG_LENGTH] or "unnamed"
        slug, count = base, 1
        while slug.lower() in taken:
            count += 1
            slug = f"{base[: SLUG_LENGTH - len(str(count)) - 1]}-{count}"
        taken.add(slug.lower())
        unique.append(slug)
    return unique


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
