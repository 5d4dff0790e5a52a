"""How batches reach a device: out of a copy of the images there, or from a thread ahead of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.data.labeled_images import LabeledImages, as_floats
from ccvae_pyro.data.transfer import free_memory, sent, staged, uploaded

NUM_AHEAD = 2  # batches that are gathered while the device is at another
Feed = Callable[[Iterable[np.ndarray]], Iterator[tuple[Tensor, Tensor]]]
Item = TypeVar("Item")


def make_feed(data: LabeledImages, device: torch.device, resident: bool | None) -> Feed:
    """A function from rows, an array for each batch, to images and labels on the device.

    :param resident: keep the images of all splits on the device, as bytes. By default they are if
        it is an accelerator and they take half of its free memory at most.
    """
    rows = np.unique(np.concatenate(list(data.splits.values()))).astype(np.int64)
    if resident is None:
        num_bytes = len(rows) * (data.images[:1].nbytes + data.labels[:1].nbytes)
        resident = device.type != "cpu" and num_bytes <= free_memory(device) // 2
    return _resident(data, rows, device) if resident else _from_host(data, device)


def ahead(function: Callable[[np.ndarray], Item], batches: Iterable[np.ndarray]) -> Iterator[Item]:
    """What a function makes of each batch's rows, in a thread that is two batches ahead.

    An error there is raised here, at the batch it belongs to. Where the results are not taken to
    the end, the thread ends after the batch that it is at.

    >>> list(ahead(len, [np.array([5, 2]), np.array([3]), np.array([4])]))
    [2, 1, 1]
    """
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
    waiting: deque[Future[Item]] = deque()
    try:
        for rows in batches:
            waiting.append(thread.submit(function, rows))
            if len(waiting) > NUM_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # Without waiting: a garbage collection may close this iterator in the very thread.
        thread.shutdown(wait=False, cancel_futures=True)


def _resident(data: LabeledImages, rows: np.ndarray, device: torch.device) -> Feed:
    """Gathers on the device, to which only the rows' numbers go."""
    images, labels = (uploaded(array, rows, device) for array in (data.images, data.labels))

    def feed(batches: Iterable[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        for wanted in batches:
            places = sent(staged(np.searchsorted(rows, wanted), device), device)
            yield as_floats(images.index_select(0, places)), labels.index_select(0, places)

    return feed


def _from_host(data: LabeledImages, device: torch.device) -> Feed:
    """Gathers ahead of time on the host, where the images may be a memory map."""

    def gather(rows: np.ndarray) -> tuple[Tensor, Tensor]:
        return staged(data.images[rows], device), staged(data.labels[rows], device)

    def feed(batches: Iterable[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in ahead(gather, batches):
            # As bytes to the device: floats would be four times as many.
            yield as_floats(sent(images, device)), sent(labels, device)

    return feed
