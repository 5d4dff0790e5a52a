"""Files that are written atomically."""

import fcntl
import os
import subprocess
import sys

import pytest

from ccvae_pyro.data import atomic_write, files
from ccvae_pyro.data.files import resumable_write


def test_an_error_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail():
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_parent_folders_are_created_and_the_file_replaced(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("first", "second"):
        with atomic_write(path) as temporary:
            temporary.write_text(text)
    assert path.read_text() == "second"


WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from ccvae_pyro.data.files import atomic_write
with atomic_write(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""
WRITE = """
import sys
from pathlib import Path
from ccvae_pyro.data.files import atomic_write
with atomic_write(Path(sys.argv[1])) as temporary:
    temporary.write_text("whole")
"""


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "a.txt"
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for writer in writers:
            assert writer.stdout.readline() == "writing\n"
        left = set(tmp_path.iterdir())
        writers[0].kill()
        writers[0].wait()
        subprocess.run([sys.executable, "-c", WRITE, str(path)], check=True)
        now = set(tmp_path.iterdir())
        assert path.read_text() == "whole"
        assert len(left) == 2
        assert len(now & left) == 1  # of the second writer
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def test_a_link_at_the_temporary_path_is_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    monkeypatch.setattr(files, "token_hex", lambda size: "0" * 2 * size)
    (tmp_path / ".a.part-00000000.txt").symlink_to(victim)
    with pytest.raises(FileExistsError), files.atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert victim.read_text() == "precious"


def test_the_handle_that_is_synchronized_can_write(tmp_path, monkeypatch):
    # Windows refuses to synchronize a file through a handle that can only read.
    modes = []
    monkeypatch.setattr(files.os, "fsync", lambda fd: modes.append(fcntl.fcntl(fd, fcntl.F_GETFL)))
    with files.atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert [mode & os.O_ACCMODE for mode in modes] == [os.O_WRONLY]


def test_a_file_has_the_permissions_of_a_new_one(tmp_path):
    (tmp_path / "plain.txt").write_text("")
    with files.atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


def test_two_processes_do_not_write_to_one_begun_file(tmp_path):
    """The second makes a file of its own; the last to end wins, and nothing is left."""
    path = tmp_path / "numbers"
    with resumable_write(path) as first:
        first.write(b"first")
        with resumable_write(path) as second:
            assert second.read() == b""
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["numbers"]


def test_a_file_that_was_begun_is_removed_by_an_error(tmp_path):
    def stop():
        with resumable_write(tmp_path / "numbers") as file:
            file.write(b"123")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert [each.name for each in tmp_path.iterdir()] == [".numbers.partial"]

    def fail():
        with resumable_write(tmp_path / "numbers") as file:
            assert file.read() == b"123"
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_link_in_place_of_a_begun_file_is_not_followed(tmp_path):
    (tmp_path / "other").write_text("of somebody")
    (tmp_path / ".numbers.partial").symlink_to(tmp_path / "other")
    with resumable_write(tmp_path / "numbers") as file:
        file.write(b"123")
    assert (tmp_path / "other").read_text() == "of somebody"
    assert (tmp_path / "numbers").read_bytes() == b"123"
