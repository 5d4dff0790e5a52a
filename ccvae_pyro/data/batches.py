"""Batches: tensors gathered from the cache by index, each epoch in an order of its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.data.augmentation import draw_moves, warped
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.prefetch import Feed, make_feed


class Batches:
    """The training images in batches ``(x, y)``, in which a label that is missing is NaN.

    Where no image has a label, a batch is ``(x,)``. Where few have, these are mixed into every
    batch: an epoch shows each image without labels once, and those with labels as often as it
    takes for ``labeled_share`` of each batch.

    The order of an epoch depends on ``seed`` and the epoch's number alone, so that a run which is
    resumed in the middle of an epoch goes on with the very batches that were left.

    Of processes that train together, each has its ``rank`` and takes its share of every batch: all
    shares together are the batches of one process. Sizes, lengths and counts are of these.

    >>> from ccvae_pyro.data import LabeledImages
    >>> from ccvae_pyro.labels import binaries
    >>> images, labels = np.zeros((10, 8, 8, 3), np.uint8), np.ones((10, 1), np.float32)
    >>> data = LabeledImages(images, labels, binaries(["Hat"]), {"train": np.arange(10)})
    >>> [len(x) for x, y in Batches(data, 4).epoch(1)]
    [4, 4, 2]
    >>> [[len(x) for x, y in Batches(data, 4, rank=i, num_ranks=3).epoch(1)] for i in range(3)]
    [[2, 2, 1], [1, 1, 1], [1, 1, 0]]

    :param data: images, labels and splits.
    :param batch_size: how many images a batch has, over all processes; an epoch's last one may
        have fewer, so that a share of it may be empty.
    :param labeled_share: the least share of a batch that has labels, if any image has.
    :param shift: training images are moved at random, by up to so many pixels along each axis.
    :param warp: and turned, stretched and slanted, by up to this share of their size.
    :param seed: for the order, and how images are moved and warped.
    :param device: where the tensors go.
    :param resident: keep the images of all splits there, as bytes, and gather them there. By
        default they are if it is an accelerator with twice the memory free. Otherwise a thread
        gathers them from where they are, two batches ahead.
    :param rank: which of the processes this is, from 0.
    :param num_ranks: how many processes share each batch.
    :raises ValueError: if there are fewer training images than a batch takes, fewer images in a
        batch than processes, ``labeled_share`` is no fraction, or there is no such rank.
    """

    def __init__(
        self,
        data: LabeledImages,
        batch_size: int = 200,
        *,
        labeled_share: float = 0.25,
        shift: int = 0,
        warp: float = 0.0,
        seed: int = 0,
        device: torch.device | str = "cpu",
        resident: bool | None = None,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        rows = data.splits["train"]
        if not 1 <= batch_size <= len(rows):
            raise ValueError(
                f"the batch size must be between 1 and the number of training images, "
                f"{len(rows)}, got {batch_size}"
            )
        if not 0 <= labeled_share < 1:
            raise ValueError(f"labeled_share must be at least 0 and below 1, got {labeled_share}")
        _check_moves(shift, warp, data.images.shape[1:3])
        _check_rank(rank, num_ranks, batch_size)
        self.data, self.batch_size, self.seed, self.device = data, batch_size, seed, device
        self.shift, self.warp, self.resident = shift, warp, resident
        self.rank, self.num_ranks = rank, num_ranks
        # Every so many rows: the labeled ones of a mixed batch come first, and each gets of them.
        self._share = slice(rank, None, num_ranks)
        is_labeled = ~np.isnan(data.labels[rows]).all(axis=1)
        self.labeled, self.unlabeled = rows[is_labeled], rows[~is_labeled]
        # The number of labeled images in each batch, where they would be too few by chance.
        self._num_labeled = 0
        if 0 < len(self.labeled) < labeled_share * len(rows):
            self._num_labeled = max(1, round(labeled_share * batch_size))

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The batches of an epoch, from batch ``start`` on."""
        order = np.random.default_rng((self.seed, number))
        if self._num_labeled:
            batches = self._mixed(order)
        else:
            batches = _split(order.permutation(self.data.splits["train"]), self.batch_size)
        shares = self._feed(rows[self._share] for rows in batches[start:])
        for place, (x, y) in enumerate(shares, start):
            if self.shift or self.warp:
                rng = np.random.default_rng((self.seed, number, place))
                # Of the whole batch, so that an image's move does not depend on who shows it.
                moves = draw_moves(len(batches[place]), self.shift, self.warp, rng)
                x = warped(x, moves[self._share])
            yield (x, y) if len(self.labeled) else (x,)

    def held_out(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The images of ``"valid"`` or ``"test"``, in their own order, with all their labels.

        They are not shared: each process gets them all.
        """
        yield from self._feed(_split(self.data.splits[split], self.batch_size))

    @property
    def num_images(self) -> int:
        """How many images an epoch shows."""
        if self._num_labeled:
            return len(self.unlabeled) + len(self) * self._num_labeled
        return len(self.data.splits["train"])

    @property
    def label_share(self) -> float:
        """The share of labels that are known, in the batches of an epoch."""
        known = 1 - np.isnan(self.data.labels[self.labeled]).mean() if len(self.labeled) else 0.0
        num_shown = len(self) * self._num_labeled or len(self.labeled)
        return float(known * num_shown / self.num_images)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        if self._num_labeled:
            return -(-len(self.unlabeled) // (self.batch_size - self._num_labeled))
        return -(-len(self.data.splits["train"]) // self.batch_size)

    @cached_property
    def _feed(self) -> Feed:
        # Not before the first batch: by then the model is on the device, and what is left is free.
        return make_feed(self.data, torch.device(self.device), self.resident)

    def _mixed(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Batches of unlabeled images, each with the same number of labeled ones."""
        unlabeled = _split(rng.permutation(self.unlabeled), self.batch_size - self._num_labeled)
        num_drawn = len(unlabeled) * self._num_labeled
        num_rounds = -(-num_drawn // len(self.labeled))
        drawn = np.concatenate([rng.permutation(self.labeled) for _ in range(num_rounds)])
        labeled = _split(drawn[:num_drawn], self._num_labeled)
        return [np.concatenate(rows) for rows in zip(labeled, unlabeled, strict=True)]


def _split(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _check_moves(shift: int, warp: float, size: tuple[int, ...]) -> None:
    if not 0 <= shift < min(size):
        raise ValueError(f"images can be moved by 0 pixels or more, within them, got {shift}")
    if not 0 <= warp < 1:
        raise ValueError(f"warp must be at least 0 and below 1, got {warp}")


def _check_rank(rank: int, num_ranks: int, batch_size: int) -> None:
    if not 0 <= rank < num_ranks:
        raise ValueError(f"rank must be at least 0 and below num_ranks, {num_ranks}, got {rank}")
    if batch_size < num_ranks:
        raise ValueError(
            f"a batch needs an image for each of {num_ranks} processes at least, got {batch_size}"
        )
