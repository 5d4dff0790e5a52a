"""Batches of images and labels, in a new random order in each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.data.augmentation import (
    apply_transforms,
    flip_images,
    prepare_transforms,
    sample_transforms,
)
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.prefetch import Gather, make_gather, pin, to_device
from ccvae_pyro.labels import Continuous


class Batches:
    """Batches ``(x, y)`` of training images and their labels, NaN where a label is missing.

    If no training image has a label, a batch is ``(x,)``. If only few have one, labeled images are
    mixed into every batch: an epoch shows each unlabeled image once, and repeats labeled images as
    often as needed for ``min_labeled_fraction`` of each batch.

    The order of an epoch depends only on ``seed`` and the epoch's number, so that a run that is
    resumed in the middle of an epoch continues with exactly the remaining batches.

    In distributed training each process takes the images ``rank``, ``rank + world_size``, ... of
    every batch. Sizes, lengths and counts refer to the batches of all processes together.

    Example:

        >>> from ccvae_pyro.data import LabeledImages
        >>> from ccvae_pyro.labels import binaries
        >>> images, labels = np.zeros((10, 8, 8, 3), np.uint8), np.ones((10, 1), np.float32)
        >>> data = LabeledImages(images, labels, binaries(["Hat"]), {"train": np.arange(10)})
        >>> [len(x) for x, y in Batches(data, 4).epoch(1)]
        [4, 4, 2]
        >>> [[len(x) for x, y in Batches(data, 4, rank=i, world_size=3).epoch(1)]
        ...  for i in range(3)]
        [[2, 2, 1], [1, 1, 1], [1, 1, 0]]

    :param data: images, labels and splits.
    :param batch_size: the number of images in a batch, over all processes. The last batch of an
        epoch may be smaller, so that a process may get none of it.
    :param min_labeled_fraction: the smallest fraction of labeled images in a batch, if any image
        is labeled.
    :param shift: training images are shifted at random by up to this many pixels along each axis.
    :param warp: training images are rotated, scaled and sheared at random by up to this fraction
        of their size.
    :param flip: whether a random half of the training images is mirrored from left to right. See
        :func:`~ccvae_pyro.data.why_not_flip` for when that is wrong.
    :param balance: whether images with rare values of labels are drawn more often, and others
        less: see :func:`balanced_weights`. An epoch then draws as many images, with repetitions.
    :param seed: of the order and of the flips, shifts and warps.
    :param device: where the tensors are moved to.
    :param resident: whether to keep the images of all splits on the device, as bytes, and gather
        batches there. By default they are if the device is an accelerator and they take at most
        half of its free memory. Otherwise a thread prefetches two batches on the host.
    :param rank: the rank of this process, from 0.
    :param world_size: the number of processes that share each batch.
    :raises ValueError: if ``batch_size`` is larger than the number of training images or smaller
        than ``world_size``, or another argument is out of its range.
    """

    def __init__(
        self,
        data: LabeledImages,
        batch_size: int = 200,
        *,
        min_labeled_fraction: float = 0.25,
        shift: int = 0,
        warp: float = 0.0,
        flip: bool = False,
        balance: bool = False,
        seed: int = 0,
        device: torch.device | str = "cpu",
        resident: bool | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        rows = data.splits["train"]
        if not 1 <= batch_size <= len(rows):
            raise ValueError(
                f"the batch size must be between 1 and the number of training images, "
                f"{len(rows)}, got {batch_size}"
            )
        if not 0 <= min_labeled_fraction < 1:
            raise ValueError(
                f"min_labeled_fraction must be at least 0 and below 1, got {min_labeled_fraction}"
            )
        _check_augmentation(shift, warp, data.images.shape[1:3])
        _check_rank(rank, world_size, batch_size)
        self.data, self.batch_size, self.seed, self.device = data, batch_size, seed, device
        self.shift, self.warp, self.flip, self.resident = shift, warp, flip, resident
        self.rank, self.world_size = rank, world_size
        # Strided, so that each process gets its part of the labeled images, which come first.
        self._part = slice(rank, None, world_size)
        is_labeled = ~np.isnan(data.labels[rows]).all(axis=1)
        self.labeled, self.unlabeled = rows[is_labeled], rows[~is_labeled]
        self._weights = balanced_weights(data) if balance else None
        # The number of labeled images in each batch; 0 if a random order has enough of them.
        self._num_labeled = 0
        if 0 < len(self.labeled) < min_labeled_fraction * len(rows):
            self._num_labeled = max(1, round(min_labeled_fraction * batch_size))

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Yields the batches of an epoch, from batch ``start`` on."""
        device = torch.device(self.device)
        for sent in self.sent(number, start):
            yield self.received(*(to_device(tensor, device) for tensor in sent))

    def sent(self, number: int, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """Yields what the host sends to the device for each batch of an epoch.

        These are the positions of its rows if the images are resident, or else images as bytes,
        and labels; then the transforms and flips of its images, if there are any.
        """
        rng = np.random.default_rng((self.seed, number))
        if self._num_labeled:
            batches = self._mixed(rng)
        else:
            batches = _chunks(self._drawn(self.data.splits["train"], rng), self.batch_size)
        parts = self._gather.sent(rows[self._part] for rows in batches[start:])
        for index, sent in enumerate(parts, start):
            yield *sent, *self._augmentation(len(batches[index]), (self.seed, number, index))

    def received(self, *sent: Tensor) -> tuple[Tensor, ...]:
        """The batch from what was sent, once it is on the device.

        The operations are the same for each batch and do not need the host, so that they can be a
        part of a captured step.
        """
        num_sent = self._gather.num_sent
        x, y = self._gather.received(*sent[:num_sent])
        augmentation = list(sent[num_sent:])
        if self.shift or self.warp:
            x = apply_transforms(x, augmentation.pop(0))
        if self.flip:
            x = flip_images(x, augmentation.pop(0))
        return (x, y) if len(self.labeled) else (x,)

    def held_out(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the images of ``"valid"`` or ``"test"`` in their own order, with all labels.

        Every process gets all of them.
        """
        yield from self._gather(_chunks(self.data.splits[split], self.batch_size))

    def _augmentation(self, num_images: int, seed: tuple[int, ...]) -> Iterator[Tensor]:
        """The transforms and flips of this process's images of a batch."""
        if not (self.shift or self.warp or self.flip):
            return
        rng, device = np.random.default_rng(seed), torch.device(self.device)
        # Sampled for the whole batch, so that they do not depend on the world size.
        if self.shift or self.warp:
            transforms = sample_transforms(num_images, self.shift, self.warp, rng)[self._part]
            yield pin(prepare_transforms(transforms, self.data.images.shape[1:3]), device)
        if self.flip:
            is_flipped = rng.random(num_images)[self._part] < 0.5
            yield pin(np.ascontiguousarray(is_flipped), device)

    @property
    def num_images(self) -> int:
        """The number of images in an epoch, with repetitions."""
        if self._num_labeled:
            return len(self.unlabeled) + len(self) * self._num_labeled
        return len(self.data.splits["train"])

    @property
    def label_fraction(self) -> float:
        """The fraction of labels that are known in the batches of an epoch."""
        known = 1 - np.isnan(self.data.labels[self.labeled]).mean() if len(self.labeled) else 0.0
        num_labeled = len(self) * self._num_labeled or len(self.labeled)
        return float(known * num_labeled / self.num_images)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        if self._num_labeled:
            return -(-len(self.unlabeled) // (self.batch_size - self._num_labeled))
        return -(-len(self.data.splits["train"]) // self.batch_size)

    @cached_property
    def _gather(self) -> Gather:
        # Made with the first batch: by then the model has taken its share of the device's memory.
        return make_gather(
            self.data.images,
            self.data.labels,
            np.concatenate(list(self.data.splits.values())),
            torch.device(self.device),
            self.resident,
        )

    def _mixed(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Batches of unlabeled images, each with the same number of labeled ones in front."""
        unlabeled = _chunks(rng.permutation(self.unlabeled), self.batch_size - self._num_labeled)
        num_labeled = len(unlabeled) * self._num_labeled
        num_rounds = -(-num_labeled // len(self.labeled))
        repeated = np.concatenate([self._drawn(self.labeled, rng) for _ in range(num_rounds)])
        labeled = _chunks(repeated[:num_labeled], self._num_labeled)
        return [np.concatenate(rows) for rows in zip(labeled, unlabeled, strict=True)]

    def _drawn(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """As many of these rows: each once, or drawn by their weights."""
        if self._weights is None:
            return rng.permutation(rows)
        weights = self._weights[rows]
        drawn: np.ndarray = rng.choice(rows, len(rows), p=weights / weights.sum())
        return drawn


def balanced_weights(data: LabeledImages) -> np.ndarray:
    """How often each image is drawn so that rare values of labels are not as rare in batches.

    The weight of an image is the mean over its known labels of the inverse frequency of their
    values among the training images, in units of its mean. So the two values of a single label are
    drawn equally often. A continuous label, or a missing one, has the weight 1.

    :returns: weights of mean 1 over the training images, shape ``(num_images,)``.
    """
    train, weights = data.splits["train"], np.ones_like(data.labels, dtype=np.float64)
    for label, column, of_label in zip(data.label_types, data.labels.T, weights.T, strict=True):
        known = train[~np.isnan(column[train])]
        if isinstance(label, Continuous) or not len(known):
            continue
        values, counts = np.unique(column[known], return_counts=True)
        places = np.searchsorted(values, column[known])
        of_label[known] = len(known) / (len(values) * counts[places])
    mean: np.ndarray = weights.mean(axis=1) / weights[train].mean()
    return mean


def _chunks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _check_augmentation(shift: int, warp: float, size: tuple[int, ...]) -> None:
    if not 0 <= shift < min(size):
        raise ValueError(
            f"shift must be at least 0 and below the size of an image, {min(size)}, got {shift}"
        )
    if not 0 <= warp < 1:
        raise ValueError(f"warp must be at least 0 and below 1, got {warp}")


def _check_rank(rank: int, world_size: int, batch_size: int) -> None:
    if not 0 <= rank < world_size:
        raise ValueError(f"rank must be at least 0 and below world_size, {world_size}, got {rank}")
    if batch_size < world_size:
        raise ValueError(
            f"the batch size must be at least the world size, {world_size}, got {batch_size}"
        )
