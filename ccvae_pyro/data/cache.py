"""The cache: images decoded once, into one uint8 array that is memory-mapped afterwards."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from tqdm import tqdm

from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.labels import binaries

FOLDER = "ccvae_cache"  # in the folder of the images
WORTH_PROCESSES = 1_000  # images: to start processes, each of which imports torch, takes seconds


def write_images(
    path: Path, images: Generator[np.ndarray, None, None], shape: tuple[int, ...]
) -> None:
    """Writes uint8 images, one after the other, to an array file of a shape known beforehand."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    # Not through a memory map: on a full disk that would end the process with a bus error.
    with closing(images), atomic_write(path) as part, part.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for image in images:
            file.write(image.tobytes())


def write_arrays(path: Path, **arrays: Any) -> None:
    """Writes what belongs to the images at ``path`` beside them: with it the cache is complete."""
    with atomic_write(path.with_suffix(".npz")) as part:
        np.savez(part, **arrays)


def read_arrays(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]] | None:
    """Images as a memory map, and what belongs to them, or None where the cache is incomplete."""
    if not (path.exists() and path.with_suffix(".npz").exists()):
        return None
    with np.load(path.with_suffix(".npz")) as arrays:
        return np.load(path, mmap_mode="r"), dict(arrays)


def write_labels(
    path: Path, labels: np.ndarray, label_names: Sequence[str], splits: dict[str, np.ndarray]
) -> None:
    """Writes binary labels and splits beside the images at ``path``."""
    write_arrays(path, labels=labels, label_names=label_names, **splits)


def read(path: Path) -> LabeledImages | None:
    """Images with binary labels and splits, or None where the cache is incomplete."""
    if (cached := read_arrays(path)) is None:
        return None
    images, arrays = cached
    splits = {name: arrays[name] for name in ("train", "valid", "test")}
    kinds = binaries([str(name) for name in arrays["label_names"]])
    return LabeledImages(images, arrays["labels"].astype(np.float32), kinds, splits)


@contextmanager
def in_parallel(
    function: Callable, items: Sequence, description: str, prefer: str = "threads"
) -> Iterator[Iterable[Any]]:
    """Gives the results of a function for all items, in order, on all cores if it is worth it.

    A progress bar shows how far they have been taken.

    :param prefer: ``"threads"``, or ``"processes"`` where the function holds Python's lock.
    """
    alone = prefer == "processes" and len(items) < WORTH_PROCESSES
    num_workers = 1 if alone else cpu_count()
    # Small images take less time than handing them over one by one would.
    workers = Parallel(n_jobs=num_workers, prefer=prefer, return_as="generator", batch_size=16)
    results = workers(delayed(function)(item) for item in items)
    try:
        with tqdm(results, desc=description, total=len(items), unit="image") as bar:
            yield bar
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of results that nobody takes after an error
            results.close()
