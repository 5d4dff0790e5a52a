"""The folder of a run: one process at a time, and no run in place of another by mistake."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from ccvae_pyro.errors import RunError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

CHECKPOINT, BEST = "checkpoint.pt", "best.pt"
HISTORY, LOCK = "history.csv", "run.lock"
_REFUSED = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_held: set[Path] = set()  # the folders that this process has locked


def check_folder(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Checks that a run in this folder would not destroy another.

    :raises RunError: if the folder holds a run that is neither to be resumed nor overwritten, or
        a history or a best model without the checkpoint that could be resumed.
    :raises ValueError: if the run is both to be resumed and overwritten.
    """
    if resume and overwrite:
        raise ValueError("a run is either resumed or overwritten, got both")
    has_checkpoint, has_history, has_best = (
        (out / name).exists() for name in (CHECKPOINT, HISTORY, BEST)
    )
    if overwrite or not (has_checkpoint or has_history or has_best):
        return
    if not resume:
        raise RunError(
            f"{out} holds a run: resume it (--resume, resume=True), overwrite it (--overwrite, "
            "overwrite=True), or choose another folder"
        )
    if not has_checkpoint:
        raise RunError(
            f"{out} holds the {'history' if has_history else 'best model'} of a run without its "
            "checkpoint: overwrite it (--overwrite, "
            "overwrite=True), or choose another folder"
        )


@contextmanager
def lock_folder(out: Path) -> Iterator[None]:
    """Keeps other processes from training in a folder; it is created if need be.

    The operating system releases the lock when the process ends, however it ends. Within the block
    the folder may be locked again. A folder that is left empty is removed.

    :raises RunError: if another process has the lock; names that process.
    """
    path = out.resolve() / LOCK
    if path in _held:
        yield
        return
    out.mkdir(parents=True, exist_ok=True)
    file = _open_locked(path, out)
    _held.add(path)
    try:
        _remove_unfinished(out)
        yield
    finally:
        _held.remove(path)
        if sys.platform == "win32":  # which does not remove a file that is open
            file.close()
        with suppress(OSError):
            path.unlink()
        file.close()
        with suppress(OSError):
            out.rmdir()


def _remove_unfinished(out: Path) -> None:
    """Removes what a killed process had not written to its end: nobody else writes now."""
    for name in (CHECKPOINT, BEST, HISTORY):
        stem, _, suffix = name.partition(".")
        for path in out.glob(f".{stem}.*.{suffix}"):
            path.unlink(missing_ok=True)


def _open_locked(path: Path, out: Path) -> TextIO:
    while True:
        file = path.open("a+", encoding="utf-8")
        if not _try_to_lock(file):
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise RunError(
                f"{holder} trains in {out}: wait until it is done, or choose another folder"
            )
        if _is_at(file, path):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            return file
        file.close()  # the process that had the lock removed the file in the meantime


def _try_to_lock(file: TextIO) -> bool:
    """Locks a file unless another process has; a file system without locks cannot tell."""
    try:
        if sys.platform == "win32":
            # Others cannot read what is locked on Windows: a byte far behind the text.
            file.seek(2**20)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _REFUSED
    return True


def _is_at(file: TextIO, path: Path) -> bool:
    """Whether an open file is still the one at this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
