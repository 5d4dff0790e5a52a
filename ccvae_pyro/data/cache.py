"""The cache: images are decoded once into one uint8 array, which is then memory-mapped.

A cache consists of two files: ``NAME.npy`` holds the images, and ``NAME.npz`` the arrays that
belong to them. It is complete once the second is written.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, cpu_count, delayed
from tqdm import tqdm

from ccvae_pyro.data.decoding import decode_image, is_grey
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.splits import SPLIT_NAMES
from ccvae_pyro.labels import binaries

CACHE_FOLDER = "ccvae_cache"  # in the folder of the images
MIN_ITEMS_FOR_PROCESSES = 1_000  # each process imports torch first, which takes seconds

Item = TypeVar("Item")
Result = TypeVar("Result")


def is_complete(path: Path) -> bool:
    """Whether both files of a cache are there.

    :param path: of the images, ``NAME.npy``.
    """
    return path.exists() and path.with_suffix(".npz").exists()


def write_images(
    path: Path, images: Generator[np.ndarray, None, None], shape: tuple[int, ...]
) -> None:
    """Writes uint8 images one after the other.

    :param shape: of the whole array, ``(num_images, height, width, channels)``.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    # Not through a memory map: on a full disk that would end the process with a bus error.
    with closing(images), atomic_write(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for image in images:
            file.write(image.tobytes())


def write_arrays(path: Path, **arrays: Any) -> None:
    """Writes the arrays that belong to the images at ``path``, which completes the cache."""
    with atomic_write(path.with_suffix(".npz")) as temporary:
        np.savez(temporary, **arrays)


def read_arrays(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Reads a complete cache: the images as a memory map, and the arrays that belong to them."""
    with np.load(path.with_suffix(".npz")) as arrays:
        return np.load(path, mmap_mode="r"), dict(arrays)


def write_binary_labels(
    path: Path, labels: np.ndarray, label_names: Sequence[str], splits: dict[str, np.ndarray]
) -> None:
    """Writes binary labels and splits of the images at ``path``, which completes the cache."""
    write_arrays(path, labels=labels, label_names=label_names, **splits)


def read_labeled_images(path: Path) -> LabeledImages:
    """Reads a complete cache of images with binary labels and splits."""
    images, arrays = read_arrays(path)
    splits = {name: arrays[name] for name in SPLIT_NAMES}
    label_types = binaries([str(name) for name in arrays["label_names"]])
    return LabeledImages(images, arrays["labels"].astype(np.float32), label_types, splits)


def folder_cache_path(
    root: Path, files: Sequence[str], size: int, channels: int | None, skip_unreadable: bool
) -> Path:
    """Where the images of a folder are cached: the name depends on the files and all options."""
    settings = [list(files), size, channels, skip_unreadable]
    digest = hashlib.sha256(repr(settings).encode()).hexdigest()[:12]
    return root / CACHE_FOLDER / f"images-{size}px-{digest}.npy"


def load_images(
    path: Path, files: Sequence[Path], size: int, channels: int | None, skip_unreadable: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Reads images from the cache at ``path``, and decodes them into it on first use.

    :param files: the image files.
    :param channels: 1 for grey, 3 for color; by default grey if all files are.
    :returns: the images, and whether each could be read.
    :raises ValueError: if ``channels`` is not 1, 3 or None, or an image cannot be read.
    """
    if channels not in (1, 3, None):
        raise ValueError(f"channels must be 1 (grey), 3 (color) or None, got {channels}")
    if not is_complete(path):
        channels = channels or (1 if all(map(is_grey, files)) else 3)
        decode = partial(decode_image, size=size, channels=channels)
        is_readable = decode_images(path, files, decode, (size, size, channels), skip_unreadable)
        write_arrays(path, is_readable=is_readable)
    images, arrays = read_arrays(path)
    return images, arrays["is_readable"]


def decode_images(
    path: Path,
    files: Sequence[Path],
    decode: Callable[[Path], np.ndarray | Exception],
    shape: tuple[int, int, int],
    skip_unreadable: bool,
) -> np.ndarray:
    """Decodes image files of one shape into the cache at ``path``.

    :param decode: returns an image, or an error if the file cannot be read.
    :param skip_unreadable: store a black image where a file cannot be read, rather than raise.
    :returns: whether each file could be read.
    """
    is_readable = np.ones(len(files), dtype=bool)
    blank = np.zeros(shape, dtype=np.uint8)

    def images() -> Generator[np.ndarray, None, None]:
        with parallel_map(decode, files, "decoding images") as decoded:
            for row, image in enumerate(decoded):
                if isinstance(image, Exception):
                    if not skip_unreadable:
                        raise image
                    is_readable[row], image = False, blank
                yield image
        if not is_readable.any():
            raise ValueError(f"none of {len(files)} images can be read, such as {files[0]}")

    write_images(path, images(), (len(files), *shape))
    if not is_readable.all():
        print(f"left out {(~is_readable).sum()} of {len(files)} images that cannot be read")
    return is_readable


@contextmanager
def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    description: str,
    prefer: str = "threads",
) -> Iterator[Iterable[Result]]:
    """Applies a function to all items on all cores, and yields the results in order.

    :param description: of the progress bar.
    :param prefer: ``"threads"``, or ``"processes"`` if the function holds Python's global lock.
        Few items are not worth starting processes and are handled in this one.
    """
    is_small = prefer == "processes" and len(items) < MIN_ITEMS_FOR_PROCESSES
    num_workers = 1 if is_small else cpu_count()
    # Small images take less time than handing them to a worker one by one.
    workers = Parallel(n_jobs=num_workers, prefer=prefer, return_as="generator", batch_size=16)
    results = workers(delayed(function)(item) for item in items)
    try:
        with tqdm(results, desc=description, total=len(items), unit="image") as progress:
            yield progress
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib warns of results that an error leaves unread
            results.close()
