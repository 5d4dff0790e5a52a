"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a path to write to; afterwards the file is at ``path``, or, on an error, nowhere.

    Example:

        >>> folder = Path(getfixture("tmp_path"))
        >>> with atomic_write(folder / "hello.txt") as part:
        ...     _ = part.write_text("hello")
        >>> (folder / "hello.txt").read_text()
        'hello'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # or a power cut could leave the new name on old blocks
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
