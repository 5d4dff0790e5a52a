"""Zip archives: their members are read where they are, without unpacking."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

from ccvae_pyro.data.files import open_regular

MAX_BYTES = 2**28  # of a member: a small archive may say that it holds terabytes


@dataclass(frozen=True)
class ZipMember:
    """A file in a zip archive, which is read as a :class:`~pathlib.Path` is.

    :param path: of the archive.
    :param name: of the member.
    :param archive: the open archive.
    """

    path: Path
    name: str
    archive: ZipFile = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.path}/{self.name}"

    @property
    def suffix(self) -> str:
        """The suffix of its name."""
        return PurePosixPath(self.name).suffix

    @property
    def stamp(self) -> tuple[int, int]:
        """Its size in bytes and its checksum; -1 if there is no such member."""
        info = self.archive.NameToInfo.get(self.name)
        return (-1, -1) if info is None else (info.file_size, info.CRC)

    def exists(self) -> bool:
        """Whether the archive has it."""
        return self.name in self.archive.NameToInfo

    def is_file(self) -> bool:
        """Whether the archive has it, as a file."""
        return self.exists() and not self.name.endswith("/")

    def open(self) -> BinaryIO:
        """Opens it for reading."""
        return io.BytesIO(self.read_bytes())

    def read_bytes(self) -> bytes:
        """Its contents.

        :raises FileNotFoundError: if the archive does not have it.
        :raises ValueError: if it is damaged, encrypted, or too large.
        """
        if not self.is_file():
            raise FileNotFoundError(f"{self} does not exist")
        size, _ = self.stamp
        if size > MAX_BYTES:
            raise ValueError(f"{self} has {size} bytes unpacked, wanted at most {MAX_BYTES}")
        try:
            return self.archive.read(self.name)
        except (BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
            raise ValueError(f"{self} cannot be unpacked ({error})") from error


@contextmanager
def open_zip(path: Path) -> Iterator[ZipFile]:
    """Opens a zip archive for reading.

    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: if it is no zip archive, or not a whole one.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    with open_regular(path) as file:
        try:
            archive = ZipFile(file)
        except (BadZipFile, OSError, ValueError) as error:
            raise ValueError(
                f"{path} is not a whole zip archive ({error}): download it again"
            ) from error
        with archive:
            yield archive
