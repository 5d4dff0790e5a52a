"""Moving batches to a device: from a copy of all images there, or prefetched by a thread.

On CUDA the copies are asynchronous: tensors are pinned (page-locked) and sent without blocking, so
that the host never waits for the device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

NUM_PREFETCHED = 2  # batches gathered while the device is busy with another
CHUNK_BYTES = 2**24  # of an upload: pinned memory is scarce, and PyTorch keeps it
PROGRESS_BYTES = 2**28  # the size from which on an upload shows a progress bar

# From the rows of each batch to its images and labels on a device.
Gather = Callable[[Iterable[np.ndarray]], Iterator[tuple[Tensor, Tensor]]]
Item = TypeVar("Item")


def make_gather(
    images: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    device: torch.device,
    resident: bool | None,
) -> Gather:
    """Makes a function from the rows of each batch to images and labels on a device.

    :param images: uint8, shape ``(num_images, height, width, channels)``.
    :param labels: float32, shape ``(num_images, num_labels)``.
    :param rows: the rows that batches consist of.
    :param resident: whether to keep the images of these rows on the device, as bytes. By default
        they are if the device is an accelerator and they take at most half of its free memory.
    """
    rows = np.unique(rows).astype(np.int64)
    if resident is None:
        num_bytes = len(rows) * (images[:1].nbytes + labels[:1].nbytes)
        resident = device.type != "cpu" and num_bytes <= free_memory(device) // 2
    if resident:
        return _gather_on_device(images, labels, rows, device)
    return _gather_on_host(images, labels, device)


def prefetch(
    function: Callable[[np.ndarray], Item], batches: Iterable[np.ndarray]
) -> Iterator[Item]:
    """Applies a function to the rows of each batch, in a thread that is two batches ahead.

    An error in the thread is raised here, at the batch that it belongs to. If the iterator is
    closed early, the thread ends after its current batch.

    Example:

        >>> list(prefetch(len, [np.array([5, 2]), np.array([3]), np.array([4])]))
        [2, 1, 1]
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
    waiting: deque[Future[Item]] = deque()
    try:
        for rows in batches:
            waiting.append(thread.submit(function, rows))
            if len(waiting) > NUM_PREFETCHED:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # Do not wait: garbage collection may close this iterator in the very thread.
        thread.shutdown(wait=False, cancel_futures=True)


def as_floats(images: Tensor) -> Tensor:
    """Converts bytes to floats in [0, 1], laid out ``channels_last``.

    :param images: uint8, shape ``(batch, height, width, channels)``.
    :returns: shape ``(batch, channels, height, width)``.
    """
    return images.permute(0, 3, 1, 2).float() / 255


def pin(array: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """An array as a tensor on the host, in pinned memory if the device is a CUDA device."""
    tensor = torch.as_tensor(array)
    return tensor.pin_memory() if device.type == "cuda" else tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copies a tensor from :func:`pin` to its device, without blocking on CUDA."""
    # On other devices nothing keeps the memory alive until an asynchronous copy is done.
    return tensor.to(device, non_blocking=device.type == "cuda")


def upload(array: np.ndarray, rows: np.ndarray, device: torch.device) -> Tensor:
    """Copies rows of an array to a device in chunks: a memory map need not fit into memory."""
    dtype = torch.as_tensor(array[rows[:0]]).dtype
    on_device = torch.empty((len(rows), *array.shape[1:]), dtype=dtype, device=device)
    chunk_size = max(1, CHUNK_BYTES // array[:1].nbytes)
    is_short = on_device.nbytes < PROGRESS_BYTES
    with tqdm(
        desc=f"images to {device}", total=len(rows), unit="image", disable=is_short
    ) as progress:
        for start in range(0, len(rows), chunk_size):
            chunk = pin(array[rows[start : start + chunk_size]], device)
            on_device[start : start + chunk_size].copy_(chunk, non_blocking=device.type == "cuda")
            progress.update(len(chunk))
    return on_device


def free_memory(device: torch.device) -> int:
    """The free memory of a CUDA device in bytes; for any other device, a cautious guess."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 2**31


def _gather_on_device(
    images: np.ndarray, labels: np.ndarray, rows: np.ndarray, device: torch.device
) -> Gather:
    """Keeps images and labels on the device; only indices are copied for each batch."""
    device_images, device_labels = (upload(array, rows, device) for array in (images, labels))

    def gather(batches: Iterable[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        for batch_rows in batches:
            index = to_device(pin(np.searchsorted(rows, batch_rows), device), device)
            x, y = device_images.index_select(0, index), device_labels.index_select(0, index)
            yield as_floats(x), y

    return gather


def _gather_on_host(images: np.ndarray, labels: np.ndarray, device: torch.device) -> Gather:
    """Prefetches batches on the host, where the images may be a memory map."""

    def gather_rows(rows: np.ndarray) -> tuple[Tensor, Tensor]:
        return pin(images[rows], device), pin(labels[rows], device)

    def gather(batches: Iterable[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in prefetch(gather_rows, batches):
            # Bytes are copied and then converted: floats are four times as large.
            yield as_floats(to_device(x, device)), to_device(y, device)

    return gather
