"""Moving batches to a device: from a copy of all images there, or prefetched by a thread.

On CUDA the copies are asynchronous: tensors are pinned (page-locked) and sent without blocking, so
that the host never waits for the device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
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

Item = TypeVar("Item")


class Gather(ABC):
    """Gathers the images and labels of the rows of each batch on a device.

    It does so in two parts: what the host sends, and what the device computes from that. The
    latter is always the same operations, so that a captured step may contain them.

    Example:

        >>> images, labels = np.zeros((9, 8, 8, 3), np.uint8), np.ones((9, 2), np.float32)
        >>> gather = make_gather(images, labels, np.arange(9), torch.device("cpu"), resident=True)
        >>> [[x.shape, y.shape] for x, y in gather([np.array([5, 2])])]
        [[torch.Size([2, 3, 8, 8]), torch.Size([2, 2])]]
    """

    #: How many tensors the host sends for a batch.
    num_sent: int

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, batches: Iterable[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields images as floats in [0, 1], and labels, for the rows of each batch."""
        for sent in self.sent(batches):
            yield self.received(*(to_device(tensor, self.device) for tensor in sent))

    @abstractmethod
    def sent(self, batches: Iterable[np.ndarray]) -> Iterator[tuple[Tensor, ...]]:
        """Yields what the host sends for the rows of each batch: tensors from :func:`pin`."""

    @abstractmethod
    def received(self, *sent: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels from what was sent, once it is on the device."""


def make_gather(
    images: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    device: torch.device,
    resident: bool | None,
) -> Gather:
    """Makes what gathers images and labels on a device, from a copy there or from the host.

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
        return _Resident(images, labels, rows, device)
    return _Prefetched(images, labels, device)


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
    is_on_host = tensor.device.type == "cpu"
    return tensor.pin_memory() if device.type == "cuda" and is_on_host else tensor


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


class _Resident(Gather):
    """Keeps images and labels on the device; only the positions of rows are sent."""

    num_sent = 1

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray, device: torch.device
    ) -> None:
        super().__init__(device)
        self.rows = rows
        self.images, self.labels = (upload(array, rows, device) for array in (images, labels))

    def sent(self, batches: Iterable[np.ndarray]) -> Iterator[tuple[Tensor, ...]]:
        for rows in batches:
            yield (pin(np.searchsorted(self.rows, rows), self.device),)

    def received(self, *sent: Tensor) -> tuple[Tensor, Tensor]:
        (index,) = sent
        return as_floats(self.images.index_select(0, index)), self.labels.index_select(0, index)


class _Prefetched(Gather):
    """Prefetches batches on the host, where the images may be a memory map.

    Bytes are sent and then converted: floats are four times as large.
    """

    num_sent = 2

    def __init__(self, images: np.ndarray, labels: np.ndarray, device: torch.device) -> None:
        super().__init__(device)
        self.images, self.labels = images, labels

    def sent(self, batches: Iterable[np.ndarray]) -> Iterator[tuple[Tensor, ...]]:
        images, labels, device = self.images, self.labels, self.device
        yield from prefetch(
            lambda rows: (pin(images[rows], device), pin(labels[rows], device)), batches
        )

    def received(self, *sent: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = sent
        return as_floats(images), labels
