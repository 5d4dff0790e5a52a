"""Labeled images: what every loader returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.labels import index_of


@dataclass(frozen=True)
class LabeledImages:
    """Images with their labels, and which of them are for training, validation and test.

    :param images: uint8, shape ``(num_images, height, width, channels)``; a memory map will do.
    :param labels: float32 in [0, 1], NaN where unknown, shape ``(num_images, num_labels)``.
    :param label_names: one name for each column of ``labels``.
    :param splits: the rows of ``"train"``, ``"valid"`` and ``"test"``.
    """

    images: np.ndarray
    labels: np.ndarray
    label_names: tuple[str, ...]
    splits: dict[str, np.ndarray]

    def select(self, labels: Sequence[str | int]) -> LabeledImages:
        """Keeps some of the labels, given by name or number, in the order given.

        :raises ValueError: if there is no such label, or one is asked for twice.
        """
        columns = [index_of(label, self.label_names) for label in labels]
        names = tuple(self.label_names[column] for column in columns)
        if len(set(columns)) < len(columns):
            raise ValueError(f"each label can be selected once, got {', '.join(names)}")
        return replace(self, labels=self.labels[:, columns], label_names=names)

    def sample(self, num_images: int, seed: int) -> LabeledImages:
        """Keeps some of the images, chosen at random, a like share of each split."""
        share = min(1.0, num_images / sum(len(rows) for rows in self.splits.values()))
        rng = np.random.default_rng(seed)
        splits = {
            name: np.sort(rng.choice(rows, round(share * len(rows)), replace=False))
            for name, rows in self.splits.items()
        }
        return replace(self, splits=splits)

    def batch(self, rows: np.ndarray, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Gathers rows as tensors: images in [0, 1], laid out ``channels_last``, and labels."""
        images = torch.from_numpy(self.images[rows]).to(device, non_blocking=True)
        labels = torch.from_numpy(self.labels[rows]).to(device, non_blocking=True)
        return images.permute(0, 3, 1, 2).float() / 255, labels

    def label_frequencies(self) -> Tensor:
        """How frequent each label is among the training images that have it, ``(num_labels,)``.

        Kept off 0 and 1 by one observation of each kind (Laplace's rule), so that a label that the
        images always or never have still has a finite bound.
        """
        labels = self.labels[self.splits["train"]]
        positive, known = np.nansum(labels, axis=0), (~np.isnan(labels)).sum(axis=0)
        return torch.from_numpy((positive + 1) / (known + 2)).float()


def random_splits(rows: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Splits rows at random: ten parts of twelve to train, one to validate, one to test."""
    shuffled = np.random.default_rng(seed).permutation(rows)
    num_held_out = len(rows) // 12
    valid, test, train = np.split(shuffled, [num_held_out, 2 * num_held_out])
    return {"train": np.sort(train), "valid": np.sort(valid), "test": np.sort(test)}
