"""Labeled images: what every loader returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.data.exclusivity import with_exclusions
from ccvae_pyro.data.transfer import sent, staged
from ccvae_pyro.labels import Binary, Categorical, Continuous, Label, check_labels, index_of


@dataclass(frozen=True)
class LabeledImages:
    """Images with their labels, and which of them are for training, validation and test.

    :param images: uint8, shape ``(num_images, height, width, channels)``; a memory map will do.
    :param labels: float32, NaN where unknown, shape ``(num_images, num_labels)``.
    :param kinds: what each column of ``labels`` is.
    :param splits: the rows of ``"train"``, ``"valid"`` and ``"test"``.
    :raises ValueError: if a label is no value of its kind; says which row and label.
    """

    images: np.ndarray
    labels: np.ndarray
    kinds: tuple[Label, ...]
    splits: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        check_labels(torch.from_numpy(np.array(self.labels)), self.kinds)

    @property
    def label_names(self) -> tuple[str, ...]:
        """One name for each column of ``labels``."""
        return tuple(kind.name for kind in self.kinds)

    def select(self, labels: Sequence[str | int]) -> LabeledImages:
        """Keeps some of the labels, given by name or number, in the order given.

        :raises ValueError: if there is no such label, or one is asked for twice.
        """
        columns = [index_of(label, self.label_names) for label in labels]
        names = tuple(self.label_names[column] for column in columns)
        if len(set(columns)) < len(columns):
            raise ValueError(f"each label can be selected once, got {', '.join(names)}")
        kinds = tuple(self.kinds[column] for column in columns)
        return replace(self, labels=self.labels[:, columns], kinds=kinds)

    def combine(
        self, labels: Sequence[str | int], name: str, rest: str | None = None
    ) -> LabeledImages:
        """Makes one label with classes of binary labels that exclude one another.

        It takes the place of the first of them. Where none of them is true and one is missing,
        it is missing.

        :param labels: the binary labels, by name or number; their names become the classes.
        :param name: what the new label is called.
        :param rest: a class for the images of which none is true; there must be none by default.
        :raises ValueError: if a label is not binary, or an image has two of them, or none.
        """
        columns = [index_of(label, self.label_names) for label in labels]
        picked = self.select(labels)
        values = _merged(picked, rest)
        classes = picked.label_names if rest is None else (*picked.label_names, rest)
        others = [column for column in range(len(self.kinds)) if column not in columns]
        kinds: list[Label] = [self.kinds[column] for column in others]
        if name in [kind.name for kind in kinds]:
            raise ValueError(f"there is another label called {name!r}")
        place = min(columns)
        kinds.insert(place, Categorical(name, classes))
        merged = np.insert(self.labels[:, others], place, values, axis=1)
        return replace(self, labels=merged, kinds=tuple(kinds))

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
        device = torch.device(device)
        images, labels = (
            sent(staged(array[rows], device), device) for array in (self.images, self.labels)
        )
        return as_floats(images), labels

    def described(self) -> tuple[Label, ...]:
        """The labels, with the prior that the training images give them.

        Frequencies are kept off 0 and 1 by one observation of each class (Laplace's rule), so that
        a label that the images always or never have still has a finite bound. Binary labels know
        which others exclude them, where the images are enough to tell.
        """
        labels = self.labels[self.splits["train"]].astype(np.float64)
        columns = [column[~np.isnan(column)] for column in labels.T]
        kinds = [fitted(kind, column) for kind, column in zip(self.kinds, columns, strict=True)]
        return with_exclusions(kinds, labels)

    def label_frequencies(self) -> Tensor:
        """How frequent each binary label is among the training images, shape ``(num_labels,)``.

        :raises ValueError: if a label is of another kind.
        """
        kinds = self.described()
        if not all(isinstance(kind, Binary) for kind in kinds):
            raise ValueError("only binary labels have one frequency: see described()")
        return torch.tensor([kind.prevalence for kind in kinds])  # type: ignore[union-attr]


def fitted(kind: Label, values: np.ndarray) -> Label:
    """A label with the prior that its known values give it."""
    if isinstance(kind, Continuous):
        mean, deviation = (values.mean(), values.std()) if len(values) else (0.0, 1.0)
        return replace(kind, mean=float(mean), std=float(deviation) or 1.0)
    if isinstance(kind, Binary):
        return replace(kind, prevalence=float((values.sum() + 1) / (len(values) + 2)))
    counts = np.bincount(values.astype(int), minlength=len(kind.classes)) + 1.0
    return replace(kind, class_frequencies=tuple((counts / counts.sum()).tolist()))


def _merged(data: LabeledImages, rest: str | None) -> np.ndarray:
    """Which of binary labels is true; where none is, their number, or NaN if one is missing."""
    names = data.label_names
    if len(names) < 2 or not all(isinstance(kind, Binary) for kind in data.kinds):
        got = ", ".join(f"{kind.name} ({type(kind).__name__})" for kind in data.kinds)
        raise ValueError(f"wanted two binary labels at least, got {got}")
    if rest in names:
        raise ValueError(f"the rest needs a name of its own, got {rest!r}")
    is_true, is_missing = data.labels == 1, np.isnan(data.labels).any(axis=1)
    num_true = is_true.sum(axis=1)
    if len(several := np.flatnonzero(num_true > 1)):
        first, second, *_ = np.array(names)[is_true[several[0]]]
        raise ValueError(
            f"row {several[0]} is both {first} and {second}, and labels to combine exclude one "
            f"another: so they do not in {len(several)} of {len(is_true)} rows"
        )
    is_none = num_true == 0
    if rest is None and len(without := np.flatnonzero(is_none & ~is_missing)):
        raise ValueError(
            f"row {without[0]} is none of {', '.join(names)}, as {len(without)} of "
            f"{len(is_true)} rows are: name a class for the rest"
        )
    values = np.where(is_none, len(names), is_true.argmax(axis=1)).astype(np.float32)
    values[is_none & is_missing] = np.nan
    return values


def as_floats(images: Tensor) -> Tensor:
    """Images of bytes, shape ``(batch, height, width, channels)``, as models take them."""
    return images.permute(0, 3, 1, 2).float() / 255
