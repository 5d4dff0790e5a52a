"""The cache: images are decoded once into one uint8 array, which is then memory-mapped.

A cache consists of two files: ``NAME.npy`` holds the images, and ``NAME.npz`` the arrays that
belong to them. It is complete once the second is written. The name holds a digest of the settings,
and one of the size and the time of each image file: where an image is replaced, all are decoded
again. Decoding that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np
from tqdm.auto import tqdm

from ccvae_pyro.data.archives import ZipMember
from ccvae_pyro.data.decoding import (
    decode_image,
    find_white,
    image_size,
    inspect_image,
    without_warnings,
)
from ccvae_pyro.data.files import Packed, atomic_write, partial_path, resumable_write
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.data.splits import SPLIT_NAMES
from ccvae_pyro.labels import binaries

CACHE_FOLDER = "ccvae_cache"  # in the folder of the images
VERSION = 1  # part of the cache's name: increase it if images are decoded in another way
MIN_ITEMS_FOR_PROCESSES = 1_000  # each process imports torch first, which takes seconds

Item = TypeVar("Item")
Result = TypeVar("Result")


class CachedImages(NamedTuple):
    """The decoded images of a set.

    :param images: uint8, shape ``(num_files, size, size, channels)``; black where a file could not
        be read.
    :param is_readable: whether each file could be read, shape ``(num_files,)``.
    :param preprocessing: how they were prepared, with the number of channels and white.
    """

    images: np.ndarray
    is_readable: np.ndarray
    preprocessing: Preprocessing

    def left_out(self, files: Sequence[Item]) -> list[Item]:
        """Those of the files that could not be read."""
        return [file for file, is_read in zip(files, self.is_readable, strict=True) if not is_read]


def load_images(
    root: Path,
    files: Sequence[Path | ZipMember],
    preprocessing: Preprocessing,
    *,
    skip_unreadable: bool = False,
    num_required: int | None = None,
    are_aligned: bool = False,
    cache: Path | str | None = None,
) -> CachedImages:
    """Reads images from their cache, and decodes them into it first where that is needed.

    Prints how many images are left out.

    :param root: the folder of the images, whose cache is ``root/ccvae_cache`` if it can be
        written: see :func:`find_cache_folder`.
    :param files: the image files, all below ``root``, or in an archive there.
    :param skip_unreadable: store a black image where a file cannot be read, rather than raise.
    :param num_required: that many files, the first, must be readable unless ``skip_unreadable``;
        by default all.
    :param are_aligned: whether all images must have the same size.
    :param cache: another folder for the cache.
    :raises FileNotFoundError: if a file does not exist.
    :raises ValueError: if an image cannot be read; names its path.
    """
    names = [_name_in(root, file) for file in files]
    required = 0 if skip_unreadable else len(files) if num_required is None else num_required
    settings = [VERSION, names, asdict(preprocessing), skip_unreadable, are_aligned]
    settings += [required] * (num_required is not None)  # as it was before this was a setting
    name = f"images-{preprocessing.size}px-{digest(repr(settings).encode())}"
    folder = find_cache_folder(root, f"{name}-*.npy", cache)
    path = folder / f"{name}-{digest(_stamps(files))}.npy"
    found = read_images(path, preprocessing, len(files))
    is_repaired = found is not None and _has_repaired(found, files, are_aligned)
    if found is None or is_repaired:
        outdated = find_outdated(folder, name, path)
        if outdated or is_repaired:
            say(f"images in {root} have changed since they were cached: they are decoded again")
        _decode_images(path, files, preprocessing, required, are_aligned)
        for file in outdated:
            with suppress(OSError):  # Windows keeps a file that is mapped
                file.unlink()
        found = read_images(path, preprocessing, len(files))
    if found is None:
        raise OSError(f"the cache {path} was damaged as soon as it was written")
    describe_images(found, preprocessing, files)
    return found


def find_outdated(folder: Path, name: str, path: Path) -> set[Path]:
    """The caches ``name-*`` that are not the one at ``path``: of images as they were before."""
    found = {*folder.glob(f"{name}-*.np[yz]"), *folder.glob(f".{name}-*.partial")}
    return found - {path, path.with_suffix(".npz"), partial_path(path)}


def describe_images(
    found: CachedImages, preprocessing: Preprocessing, files: Sequence[object]
) -> None:
    """Prints how many images were left out, and what white is taken to be in deep files."""
    if left_out := found.left_out(files):
        say(
            f"left out {len(left_out)} of {len(files)} images that cannot be read, such as "
            f"{left_out[0]}"
        )
    if preprocessing.white is None and found.preprocessing.white is not None:
        say(
            "some images have more than 8 bits: white is taken to be "
            f"{found.preprocessing.white:g} in them"
        )


def find_cache_folder(root: Path, pattern: str = "", cache: Path | str | None = None) -> Path:
    """The folder for the cache of the images in a folder.

    It is ``root/ccvae_cache``, or a folder for this ``root`` in the cache folder of the user
    (``$XDG_CACHE_HOME/ccvae_pyro`` or ``~/.cache/ccvae_pyro``) if ``root`` cannot be written.

    :param pattern: a pattern for file names: ``root/ccvae_cache`` is taken if it has such a file,
        even if it cannot be written.
    :param cache: a folder in place of that of the user, for any ``root``.
    :raises OSError: if no folder can be written.
    """
    own = root / CACHE_FOLDER
    if cache is None and (is_writable(own) or any(own.glob(pattern or "*.npy"))):
        return own
    base = user_cache_folder() if cache is None else Path(cache)
    absolute = root.resolve()
    folder = base / f"{absolute.name}-{digest(os.fsencode(absolute))}"
    if not is_writable(folder):
        others = "" if cache is not None else f", nor can {root}"
        raise OSError(
            f"decoded images cannot be written to {folder}{others}: pass another folder as cache"
        )
    return folder


def user_cache_folder() -> Path:
    """The cache folder of the user: ``$XDG_CACHE_HOME`` or ``~/.cache``, then ``ccvae_pyro``.

    :raises OSError: if there is no home folder.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "ccvae_pyro"
    except RuntimeError as error:
        raise OSError(
            f"there is no cache folder of the user ({error}): set XDG_CACHE_HOME"
        ) from error


def is_writable(folder: Path) -> bool:
    """Whether files can be written to a folder, or the folder be made."""
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with TemporaryFile(dir=existing):  # permissions alone do not tell of read-only disks
            return True
    except OSError:
        return False


def say(message: str) -> None:
    """Prints a line, under ``torchrun`` in the process of rank 0 only."""
    if os.environ.get("RANK", "0") == "0":
        print(message)


def write_images(
    path: Path, images: Generator[np.ndarray, None, None], shape: tuple[int, ...]
) -> None:
    """Writes uint8 images one after the other; the cache is incomplete until arrays follow.

    :param shape: of the whole array, ``(num_images, height, width, channels)``.
    """
    # Not through a memory map: on a full disk that would end the process with a bus error.
    with closing(images), atomic_write(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, _header_of(shape))
        for image in images:
            file.write(image.tobytes())
        path.with_suffix(".npz").unlink(missing_ok=True)  # it belongs to the images before


def write_arrays(path: Path, **arrays: Any) -> None:
    """Writes the arrays that belong to the images at ``path``, which completes the cache."""
    with atomic_write(path.with_suffix(".npz")) as temporary:
        np.savez(temporary, **arrays)


def read_arrays(
    path: Path, shape: tuple[int, int, int, int | None], names: Iterable[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """Reads a cache: the images as a memory map, and the arrays that belong to them.

    :param shape: of the images; None where any size will do.
    :param names: the names of the arrays.
    :returns: None if the cache is not complete, or damaged, which is then printed.
    """
    arrays_path = path.with_suffix(".npz")
    if not (path.exists() and arrays_path.exists()):
        return None
    try:
        with arrays_path.open("rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in names}
        images = np.load(path, mmap_mode="r")
        sizes = zip(images.shape, shape, strict=True)
        if images.dtype != np.uint8 or any(size not in (got, None) for got, size in sizes):
            raise ValueError(f"it has {images.dtype} of shape {images.shape}")
    except Exception as error:  # NumPy and zipfile raise many types for a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0]
        say(f"the cache {path} is damaged and made anew ({reason})")
        return None
    return images, arrays


def write_binary_labels(
    path: Path, labels: np.ndarray, label_names: Sequence[str], splits: dict[str, np.ndarray]
) -> None:
    """Writes binary labels and splits of the images at ``path``, which completes the cache."""
    write_arrays(path, labels=labels, label_names=label_names, **splits)


def read_labeled_images(
    path: Path, num_images: int, preprocessing: Preprocessing
) -> LabeledImages | None:
    """Reads a cache of images with binary labels and splits, None if there is no complete one."""
    shape = (num_images, preprocessing.size, preprocessing.size, preprocessing.channels)
    found = read_arrays(path, shape, ("labels", "label_names", *SPLIT_NAMES))
    if found is None:
        return None
    images, arrays = found
    splits = {name: arrays[name] for name in SPLIT_NAMES}
    label_types = binaries([str(name) for name in arrays["label_names"]])
    labels = arrays["labels"].astype(np.float32)
    return LabeledImages(images, labels, label_types, splits, preprocessing)


def read_images(path: Path, preprocessing: Preprocessing, num_images: int) -> CachedImages | None:
    """Reads the images of :func:`decode_into`, None if there is no complete cache of them."""
    shape = (num_images, preprocessing.size, preprocessing.size, preprocessing.channels)
    found = read_arrays(path, shape, ("is_readable", "preprocessing"))
    if found is None:
        return None
    images, arrays = found
    found_preprocessing = Preprocessing(**json.loads(str(arrays["preprocessing"])))
    return CachedImages(images, arrays["is_readable"], found_preprocessing)


def decode_into(
    path: Path,
    read: Callable[[np.ndarray], Iterable[Item]],
    decode: Callable[[Item], np.ndarray | Exception],
    num_images: int,
    preprocessing: Preprocessing,
    *,
    num_required: int,
) -> None:
    """Decodes images into the cache at ``path``, from where an earlier process was stopped.

    :param read: gives what ``decode`` takes, for some rows in ascending order.
    :param decode: gives an image, or the error: a ``ValueError`` or ``FileNotFoundError`` if it
        cannot be read, and another one where nothing can be read any more.
    :param preprocessing: with a number of channels.
    :param num_required: that many images, the first, must be readable.
    """
    shape = (num_images, preprocessing.size, preprocessing.size, preprocessing.channels or 3)
    is_readable, blank = np.ones(num_images, dtype=bool), np.zeros(shape[1:], dtype=np.uint8)
    error: Exception | None = None
    with resumable_write(path) as file:
        begun = _BegunArray(file, shape)
        rows = begun.missing()
        if len(rows) < num_images:
            say(f"decoding goes on after {num_images - len(rows)} of {num_images} images")
        decoding = parallel_map(decode, read(rows), "decoding images", num_items=len(rows))
        with decoding as decoded:
            for row, image in zip(rows.tolist(), decoded, strict=True):
                if isinstance(image, Exception):
                    error = image
                    is_local = isinstance(error, ValueError | FileNotFoundError)
                    if row < num_required or not is_local:
                        raise error
                    is_readable[row], image = False, blank
                begun.write(row, image)
        if not is_readable.any():
            raise ValueError(f"none of {num_images} images can be read: {error}")
        path.with_suffix(".npz").unlink(missing_ok=True)  # it belongs to the images before
    described = json.dumps(asdict(preprocessing))
    write_arrays(path, is_readable=is_readable, preprocessing=described)


class _BegunArray:
    """A uint8 array that is being written to a file of NumPy's format, row by row.

    :param file: open for reading and writing; what it holds of the array is kept.
    :param shape: of the whole array.
    """

    def __init__(self, file: BinaryIO, shape: tuple[int, ...]) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, _header_of(shape))
        self._file, self._start = file, len(header.getvalue())
        self._row_size, self._num_rows = int(np.prod(shape[1:])), shape[0]
        file.seek(0)
        if file.read(self._start) != header.getvalue():
            file.seek(0)
            file.truncate()
            file.write(header.getvalue())

    def missing(self) -> np.ndarray:
        """The rows that are not written, and those that are black.

        An image that could not be read is black, and so is what a power cut has taken.
        """
        num_written = (self._file.seek(0, os.SEEK_END) - self._start) // self._row_size
        self._file.seek(self._start)
        black = bytes(self._row_size)
        rows = [row for row in range(num_written) if self._file.read(self._row_size) == black]
        return np.array([*rows, *range(num_written, self._num_rows)], dtype=np.int64)

    def write(self, row: int, image: np.ndarray) -> None:
        """Writes one row."""
        self._file.seek(self._start + row * self._row_size)
        self._file.write(image.tobytes())


def _header_of(shape: tuple[int, ...]) -> dict[str, Any]:
    return {"descr": "|u1", "fortran_order": False, "shape": shape}


def _decode_images(
    path: Path,
    files: Sequence[Path | ZipMember],
    preprocessing: Preprocessing,
    num_required: int,
    are_aligned: bool,
) -> None:
    """Decodes image files into the cache at ``path``; the first must be readable."""
    with without_warnings():
        expected_size = _common_size(files) if are_aligned else None
        preprocessing = resolve(preprocessing, files)
        decode_into(
            path,
            lambda rows: (files[row] for row in rows),
            partial(try_decode, preprocessing=preprocessing, expected_size=expected_size),
            len(files),
            preprocessing,
            num_required=num_required,
        )


def resolve(preprocessing: Preprocessing, files: Sequence[Path | Packed]) -> Preprocessing:
    """A preprocessing with the number of channels and the white that the files have."""
    if preprocessing.channels is not None and preprocessing.white is not None:
        return preprocessing
    with parallel_map(
        inspect_image, files, "inspecting images", num_items=len(files)
    ) as inspected:
        infos = list(inspected)
    channels = preprocessing.channels or (1 if all(info.is_grey for info in infos) else 3)
    peaks = ((info.peak, file) for info, file in zip(infos, files, strict=True))
    white = preprocessing.white or find_white(peaks)
    return replace(preprocessing, channels=channels, white=white)


def try_decode(
    path: Path | Packed,
    preprocessing: Preprocessing,
    expected_size: tuple[int, int] | None = None,
) -> np.ndarray | Exception:
    """Decodes an image, or returns the error (rather than raising it in a thread)."""
    try:
        return decode_image(path, preprocessing, expected_size)
    except FileNotFoundError:
        return FileNotFoundError(f"the list names {path}, which does not exist")
    except ValueError as error:
        return ValueError(f"{error}; skip-unreadable leaves such images out")


def _has_repaired(
    found: CachedImages, files: Sequence[Path | ZipMember], are_aligned: bool
) -> bool:
    """Whether an image that was left out can be read by now, such as after a ``chmod``."""
    left_out = found.left_out(files)
    with without_warnings():
        size = _common_size(files) if are_aligned and left_out else None
        decoded = (try_decode(file, found.preprocessing, size) for file in left_out)
        return any(isinstance(image, np.ndarray) for image in decoded)


def _common_size(files: Sequence[Path | Packed]) -> tuple[int, int] | None:
    """The size of the first image that can be read, which aligned images all have."""
    return next(filter(None, map(image_size, files)), None)


def _name_in(root: Path, file: Path | ZipMember) -> str:
    """The name of a file below a folder; a member of an archive is named with the archive."""
    if isinstance(file, Path):
        return str(file.relative_to(root))
    return f"{file.path.relative_to(root)}/{file.name}"


def _stamps(files: Sequence[Path | ZipMember]) -> bytes:
    """The size and the time of the last change of each file, as bytes."""
    stamps = np.full((len(files), 2), -1, dtype=np.int64)
    for row, file in enumerate(files):
        if isinstance(file, ZipMember):
            stamps[row] = file.stamp
            continue
        with suppress(OSError, ValueError):
            status = os.stat(file)  # noqa: PTH116  half the time of Path.stat
            stamps[row] = status.st_size, status.st_mtime_ns
    return stamps.tobytes()


def digest(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()[:12]


@contextmanager
def parallel_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    description: str,
    prefer: str = "threads",
    *,
    num_items: int,
) -> Iterator[Iterable[Result]]:
    """Applies a function to all items on all cores, and yields the results in order.

    :param items: must not raise an error: joblib would wait for the next one.
    :param description: of the progress bar.
    :param prefer: ``"threads"``, or ``"processes"`` if the function holds Python's global lock.
        Few items are not worth starting processes and are handled in this one.
    :param num_items: how many there are.
    """
    from joblib import Parallel, cpu_count, delayed

    is_small = prefer == "processes" and num_items < MIN_ITEMS_FOR_PROCESSES
    num_workers = 1 if is_small else cpu_count()
    # Small images take less time than handing them to a worker one by one.
    workers = Parallel(n_jobs=num_workers, prefer=prefer, return_as="generator", batch_size=16)
    results = workers(delayed(function)(item) for item in items)
    try:
        with tqdm(results, desc=description, total=num_items, unit="image") as progress:
            yield progress
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib warns of results that an error leaves unread
            results.close()
