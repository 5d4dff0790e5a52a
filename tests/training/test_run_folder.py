"""The lock of a run's folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ccvae_pyro.errors import RunError
from ccvae_pyro.training import run_folder
from ccvae_pyro.training.run_folder import FIRST_CHECKPOINT, lock_folder, replace_run

HOLD = """
import sys, time
from pathlib import Path
from ccvae_pyro.training.run_folder import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that has the lock of ``run``."""
    command = [sys.executable, "-c", HOLD, tmp_path / "run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_by_the_name_of_the_first(holder, tmp_path):
    with (
        pytest.raises(RunError, match=rf"process {holder.pid} on .* trains in .*run: wait"),
        lock_folder(tmp_path / "run"),
    ):
        pass


def test_a_killed_process_leaves_no_lock(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / "run.lock").exists()
    with lock_folder(tmp_path / "run"):
        assert f"process {os.getpid()} on " in (tmp_path / "run" / "run.lock").read_text()


def test_what_a_killed_writer_left_is_removed(tmp_path):
    kept = [tmp_path / name for name in ("checkpoint.pt", "history.csv", ".notes.pt", "aim")]
    for path in kept:
        path.touch()
    (tmp_path / ".checkpoint.123.pt").touch()
    (tmp_path / ".history.77.csv").symlink_to(tmp_path / "aim")
    with lock_folder(tmp_path):
        pass
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_process_may_lock_a_folder_again_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    with lock_folder(tmp_path / "kept"), lock_folder(tmp_path / "runs" / "run"):
        with lock_folder((tmp_path / "runs" / "run").relative_to(tmp_path)):
            pass
        assert (tmp_path / "runs" / "run" / "run.lock").exists()
    assert not (tmp_path / "runs" / "run").exists()
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["file"]


def test_a_lock_that_its_owner_removes_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    lock = tmp_path / "run.lock"
    tried, try_to_lock = [], run_folder._try_to_lock

    def after_removal(file):
        if not tried:
            lock.unlink()
        tried.append(file)
        return try_to_lock(file)

    monkeypatch.setattr(run_folder, "_try_to_lock", after_removal)
    with lock_folder(tmp_path):
        assert lock.exists()
    assert len(tried) == 2


OLD = ("checkpoint.pt", "history.csv", "config.json", "metrics.json", "figures/edits.png")
MINE = ("notes.txt", "figures/mine.svg")


def write_run(out, names=OLD):
    """A run's files, those of its user, and the first checkpoint of another run."""
    for name in (*names, *MINE):
        (out / name).parent.mkdir(exist_ok=True, parents=True)
        (out / name).write_text("old")
    (out / FIRST_CHECKPOINT).write_text("new")


def contents(out):
    """The contents of each file, but for the lock."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != "run.lock")
    return {str(path.relative_to(out)): path.read_text() for path in files}


class Kill(BaseException):
    """A process is killed: nothing in it runs after that, not even what has to."""


def kill_at(monkeypatch, number):
    """The given file operation is the last."""
    calls = []

    def wrap(function):
        def counted(*args, **kwargs):
            calls.append(function)
            if len(calls) >= number:
                raise Kill
            return function(*args, **kwargs)

        return counted

    for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "mkdir"), (os, "unlink")):
        monkeypatch.setattr(owner, name, wrap(getattr(owner, name)))


@pytest.mark.parametrize("is_put_back", [True, False], ids=["by itself", "after a kill"])
@pytest.mark.parametrize("names", [OLD, OLD[1:], OLD[:1], ()], ids=["run", "history", "pt", "no"])
def test_runs_are_never_mixed_wherever_the_process_is_killed(
    tmp_path, monkeypatch, names, is_put_back
):
    ends = set()
    for number in range(1, 100):
        out = tmp_path / str(number)
        write_run(out, names)
        with monkeypatch.context() as patch:
            kill_at(patch, number)
            try:
                replace_run(out)
            except Kill:
                assert number < 50
            else:
                break
        for again in range(1, 20 * (not is_put_back)):
            with monkeypatch.context() as patch:
                kill_at(patch, again)
                try:
                    run_folder._settle(out)
                except Kill:
                    continue
                break
        with lock_folder(out):
            left = contents(out)
        mine = dict.fromkeys(MINE, "old")
        assert left in (dict.fromkeys(names, "old") | mine, {"checkpoint.pt": "new"} | mine)
        assert not list(out.glob(".*"))
        ends.add(left.get("checkpoint.pt"))
    assert contents(out) == {"checkpoint.pt": "new"} | mine
    assert ends >= {"old" if "checkpoint.pt" in names else None}
