"""Batches: tensors gathered from the cache by index, each epoch in an order of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.data.images import LabeledImages


class Batches:
    """The training images in batches, ``(x, y)`` where they are labeled and ``(x,)`` where not.

    The order of an epoch depends on ``seed`` and the epoch's number alone, so that a run which is
    resumed in the middle of an epoch goes on with the very batches that were left.

    :param data: images, labels and splits.
    :param batch_size: how many images a batch has; an epoch's last one may have fewer.
    :param label_fraction: the share of training images whose labels are seen.
    :param seed: for the choice of labeled images and for the order.
    :param device: where the tensors go.
    :raises ValueError: if there are fewer training images than a batch takes, or
        ``label_fraction`` is no fraction.
    """

    def __init__(
        self,
        data: LabeledImages,
        batch_size: int = 200,
        *,
        label_fraction: float = 1.0,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        rows = data.splits["train"]
        if not 1 <= batch_size <= len(rows):
            raise ValueError(
                f"the batch size must be between 1 and the number of training images, "
                f"{len(rows)}, got {batch_size}"
            )
        if not 0 <= label_fraction <= 1:
            raise ValueError(f"label_fraction must be between 0 and 1, got {label_fraction}")
        self.data, self.batch_size, self.seed, self.device = data, batch_size, seed, device
        shuffled = np.random.default_rng(seed).permutation(rows)
        self.labeled, self.unlabeled = np.split(shuffled, [round(label_fraction * len(rows))])

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The batches of an epoch, from batch ``start`` on."""
        rng = np.random.default_rng((self.seed, number))
        batches = [(rows, True) for rows in self._split(rng.permutation(self.labeled))]
        batches += [(rows, False) for rows in self._split(rng.permutation(self.unlabeled))]
        for index in rng.permutation(len(batches))[start:]:
            rows, is_labeled = batches[index]
            x, y = self.data.batch(rows, self.device)
            yield (x, y) if is_labeled else (x,)

    def held_out(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The images of ``"valid"`` or ``"test"``, in their own order, with all their labels."""
        for rows in self._split(self.data.splits[split]):
            yield self.data.batch(rows, self.device)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return sum(-(-len(rows) // self.batch_size) for rows in (self.labeled, self.unlabeled))

    def _split(self, rows: np.ndarray) -> list[np.ndarray]:
        return [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
