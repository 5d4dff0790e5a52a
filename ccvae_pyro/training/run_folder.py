"""The folder of a run: one process at a time, and no run in place of another by mistake.

A run that is overwritten stays whole, with its results, until the new one has a checkpoint.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.errors import RunError
from ccvae_pyro.io.checkpoint import BEST, CHECKPOINT

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

HISTORY, LOCK = "history.csv", "run.lock"
SETTINGS = "config.json"
# What a run and its evaluation leave in their folder, the checkpoint first.
OF_RUN: tuple[str, ...] = (
    CHECKPOINT,
    BEST,
    HISTORY,
    SETTINGS,
    "metrics.json",
    "report.html",
    "imputed.csv",
)
OF_RUN += ("confidence.csv", "figures/*.png", "tensorboard/events.*")
FIRST_CHECKPOINT = ".checkpoint.first.pt"  # of a run that overwrites another
ASIDE = ".overwritten"  # where the other run is while the first checkpoint takes its place
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
        _settle(out)
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


def replace_run(out: Path) -> None:
    """Puts the run whose first checkpoint is written in the place of the one that it overwrites.

    The other one is moved aside, its checkpoint first. From then on the folder has a checkpoint
    only when the new one is in place: by that, a process that was killed in between is found out,
    and :func:`lock_folder` puts the other run back, its checkpoint last. The folder never has
    files of both.
    """
    try:
        _move(OF_RUN, out, out / ASIDE)
        (out / FIRST_CHECKPOINT).replace(out / CHECKPOINT)
    finally:
        _settle(out)


def _settle(out: Path) -> None:
    """Removes the run that was moved aside if the new one has a checkpoint, else puts it back."""
    aside = out / ASIDE
    if aside.exists() and not (out / CHECKPOINT).exists():
        _move(OF_RUN[::-1], aside, out)
    shutil.rmtree(aside, ignore_errors=True)


def _move(patterns: Sequence[str], source: Path, target: Path) -> None:
    for pattern in patterns:
        for path in sorted(source.glob(pattern)):
            moved = target / path.relative_to(source)
            moved.parent.mkdir(parents=True, exist_ok=True)
            path.rename(moved)


def write_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Writes the settings of a run, for people to read: those in its checkpoint count."""
    with atomic_write(out / SETTINGS) as part:
        part.write_text(json.dumps(settings, indent=2, default=str) + "\n", encoding="utf-8")


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
