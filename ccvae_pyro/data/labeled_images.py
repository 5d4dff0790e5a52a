"""Labeled images: what every loader returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.data._summary import label_lines
from ccvae_pyro.data.exclusivity import with_exclusions
from ccvae_pyro.data.precision import check_precision
from ccvae_pyro.data.prefetch import as_floats, pin, to_device
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.data.splits import SPLIT_NAMES
from ccvae_pyro.labels import (
    Binary,
    Categorical,
    Continuous,
    Label,
    check_distinct,
    check_labels,
    index_of,
)
from ccvae_pyro.labels._plain_values import shown
from ccvae_pyro.labels.empirical import with_empirical_prior


@dataclass(frozen=True, repr=False)
class LabeledImages:
    """Images, their labels, and the training, validation and test splits.

    :param images: uint8, shape ``(num_images, height, width, channels)``; may be a memory map.
    :param labels: float32, NaN where missing, shape ``(num_images, num_labels)``.
    :param label_types: the type of each column of ``labels``.
    :param splits: the rows of the splits ``"train"``, ``"valid"`` and ``"test"``.
    :param preprocessing: how the images were prepared; None where that is unknown.
    :param files: the name of each image's file in the table of labels; empty if it has none.
    :raises ValueError: if an array has another type or shape, if splits share a row, two labels
        have one name, two rows one file, or if a label has a value that its type does not allow,
        or that float32 does not tell from its others; names row and label.
    """

    images: np.ndarray
    labels: np.ndarray
    label_types: tuple[Label, ...]
    splits: dict[str, np.ndarray]
    preprocessing: Preprocessing | None = None
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_images(self.images)
        check_distinct(self.label_types)
        _check_shape(self.labels, len(self.images), self.label_types)
        _check_splits(self.splits, len(self.images))
        _check_files(self.files, len(self.images))
        _check_precision(self.labels, self.label_types)
        with np.errstate(over="ignore"):  # which is infinity, and no value of a label
            labels = self.labels.astype(np.float32)
        check_labels(torch.from_numpy(labels), self.label_types)
        if self.labels.dtype.kind != "f":
            object.__setattr__(self, "labels", labels)

    def __repr__(self) -> str:
        """Sizes, splits and labels, in a few lines."""
        height, width, channels = self.images.shape[1:]
        splits = ", ".join(f"{name} {len(rows):,}" for name, rows in self.splits.items())
        missing = np.isnan(self.labels).mean() if self.labels.size else 0.0
        return "\n  ".join(
            [
                f"LabeledImages: {len(self.images):,} images of {height}x{width}x{channels}",
                splits,
                *label_lines(self.label_types),
                f"{missing:.1%} of the labels are missing",
            ]
        )

    @property
    def label_names(self) -> tuple[str, ...]:
        """The name of each column of ``labels``."""
        return tuple(label.name for label in self.label_types)

    def select(self, labels: Sequence[str | int]) -> LabeledImages:
        """Keeps some of the labels, in the given order.

        :param labels: names or indices of labels.
        :raises ValueError: if there is no such label, or a label is given twice.
        """
        columns = [index_of(label, self.label_names) for label in labels]
        if len(set(columns)) < len(columns):
            names = ", ".join(self.label_names[column] for column in columns)
            raise ValueError(f"each label can be selected once, got {names}")
        label_types = tuple(self.label_types[column] for column in columns)
        return replace(self, labels=self.labels[:, columns], label_types=label_types)

    def combine(
        self, labels: Sequence[str | int], name: str, rest: str | None = None
    ) -> LabeledImages:
        """Combines binary labels that exclude one another into one categorical label.

        The new label takes the position of the first of them. Its value is missing if none of the
        labels is true and at least one is missing.

        :param labels: names or indices of the binary labels; their names become the classes.
        :param name: the name of the new label.
        :param rest: an additional class for images where none of the labels is true. By default
            there must be no such image.
        :raises ValueError: if a label is not binary, or an image has two of them, or none and
            there is no ``rest``.
        """
        columns = [index_of(label, self.label_names) for label in labels]
        selected = self.select(labels)
        values = _combined_values(selected, rest)
        classes = selected.label_names if rest is None else (*selected.label_names, rest)
        others = [column for column in range(len(self.label_types)) if column not in columns]
        label_types: list[Label] = [self.label_types[column] for column in others]
        if name in [label.name for label in label_types]:
            raise ValueError(f"there is another label called {name!r}")
        position = min(columns)
        label_types.insert(position, Categorical(name, classes))
        combined = np.insert(self.labels[:, others], position, values, axis=1)
        return replace(self, labels=combined, label_types=tuple(label_types))

    def sample(self, num_images: int, seed: int) -> LabeledImages:
        """Keeps a random subset of the images, with the same fraction of each split."""
        fraction = min(1.0, num_images / sum(len(rows) for rows in self.splits.values()))
        rng = np.random.default_rng(seed)
        splits = {
            name: np.sort(rng.choice(rows, round(fraction * len(rows)), replace=False))
            for name, rows in self.splits.items()
        }
        return replace(self, splits=splits)

    def batch(self, rows: np.ndarray, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Gathers rows as tensors.

        :returns: images in [0, 1], laid out ``channels_last``, and labels.
        """
        device = torch.device(device)
        images, labels = (
            to_device(pin(array[rows], device), device) for array in (self.images, self.labels)
        )
        return as_floats(images), labels

    def mean_image(self) -> Tensor:
        """The mean of the training images, in [0, 1], shape ``(channels, height, width)``."""
        total = np.zeros(self.images.shape[1:])
        rows = np.sort(self.splits["train"])
        for start in range(0, len(rows), 1000):  # images may be larger than the memory
            total += self.images[rows[start : start + 1000]].sum(axis=0, dtype=np.float64)
        return torch.from_numpy(total / (255 * len(rows))).float().permute(2, 0, 1)

    def with_empirical_priors(self) -> tuple[Label, ...]:
        """The label types, with priors estimated from the training images.

        Prevalences and class frequencies use Laplace's rule of succession (one additional
        observation of each class): they are never 0 or 1, so that the bound stays finite.
        Continuous labels get their observed range, and binary labels the labels that they exclude,
        see :mod:`ccvae_pyro.data.exclusivity`.
        """
        values = self.labels[self.splits["train"]].astype(np.float64)
        labels = [
            with_empirical_prior(label, column[~np.isnan(column)])
            for label, column in zip(self.label_types, values.T, strict=True)
        ]
        return with_exclusions(labels, values)

    def label_prevalences(self) -> Tensor:
        """The prevalence of each binary label in the training images, shape ``(num_labels,)``.

        :raises ValueError: if a label is not binary.
        """
        labels = self.with_empirical_priors()
        prevalences = [label.prevalence for label in labels if isinstance(label, Binary)]
        if len(prevalences) < len(labels):
            raise ValueError("only binary labels have a prevalence: see with_empirical_priors()")
        return torch.tensor(prevalences)


def _check_images(images: np.ndarray) -> None:
    """Checks that images are bytes with the channels last."""
    wanted = "wanted images as uint8 of shape (num_images, height, width, channels)"
    if not isinstance(images, np.ndarray):
        raise ValueError(f"{wanted}, a NumPy array, got a {type(images).__name__}")
    got = f"got {images.dtype} of shape {images.shape}"
    if images.dtype != np.uint8:
        is_float = images.dtype.kind == "f"
        hint = ": (255 * images).round().astype('uint8') converts values in [0, 1]" * is_float
        raise ValueError(f"{wanted}, 0 to 255, {got}{hint}")
    if images.ndim != 4 or 0 in images.shape:
        hint = ": images[..., None] adds the channel of grey images" * (images.ndim == 3)
        raise ValueError(f"{wanted}, {got}{hint}")
    if images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        raise ValueError(f"{wanted}, {got}: images.transpose(0, 2, 3, 1) puts the channels last")


def _check_shape(labels: np.ndarray, num_images: int, label_types: Sequence[Label]) -> None:
    """Checks that labels are numbers, and that each image has one of each type."""
    wanted = f"wanted labels as numbers of shape ({num_images}, {len(label_types)})"
    wanted += f" for {num_images} images and {len(label_types)} label types"
    if not isinstance(labels, np.ndarray):
        raise ValueError(f"{wanted}, a NumPy array, got a {type(labels).__name__}")
    if labels.dtype.kind not in "fiub" or labels.shape != (num_images, len(label_types)):
        raise ValueError(f"{wanted}, got {labels.dtype} of shape {labels.shape}")


def _check_precision(labels: np.ndarray, label_types: Sequence[Label]) -> None:
    """Checks that float32 holds what other types of numbers say."""
    if labels.dtype == np.float32:
        return
    for label, values in zip(label_types, labels.T, strict=True):
        if isinstance(label, Continuous):
            check_precision(values, f"the values of {shown(label.name)}")


def _check_files(files: Sequence[str], num_images: int) -> None:
    """Checks that there is a file of its own for each image, or none at all."""
    if files and len(files) != num_images:
        raise ValueError(
            f"wanted a file name for each of {num_images} images, or none, got {len(files)}"
        )
    row_of_file: dict[str, int] = {}
    for row, file in enumerate(files):
        first = row_of_file.setdefault(file, row)
        if first < row:
            raise ValueError(f"rows {first} and {row} are one file, {shown(file)}")


def _check_splits(splits: dict[str, np.ndarray], num_images: int) -> None:
    """Checks that splits hold rows of images, and no row twice."""
    for name, rows in splits.items():
        if name not in SPLIT_NAMES:
            raise ValueError(f"wanted splits called {', '.join(SPLIT_NAMES)}, got {name!r}")
        if np.ndim(rows) != 1 or (len(rows) and np.asarray(rows).dtype.kind not in "iu"):
            got = f"{np.asarray(rows).dtype} of shape {np.shape(rows)}"
            raise ValueError(f"wanted the rows of the split {name!r} as whole numbers, got {got}")
    all_rows = [np.asarray(rows, dtype=np.int64) for rows in splits.values()]
    rows = np.concatenate(all_rows) if all_rows else np.zeros(0, dtype=np.int64)
    if len(outside := rows[(rows < 0) | (rows >= num_images)]):
        raise ValueError(
            f"a split holds row {outside[0]}, but the rows of {num_images} images are 0 to "
            f"{num_images - 1}"
        )
    counts = np.bincount(rows, minlength=num_images)
    if len(repeated := np.flatnonzero(counts > 1)):
        names = [name for name, held in splits.items() for row in held if row == repeated[0]]
        raise ValueError(
            f"row {repeated[0]} is in the splits {' and '.join(names)}, as are {len(repeated)} "
            "rows in all: each image can be in one split, once"
        )


def _combined_values(data: LabeledImages, rest: str | None) -> np.ndarray:
    """The index of the binary label that is true in each image.

    Where none is true, the value is the number of labels, or NaN if a label is missing.
    """
    names = data.label_names
    if len(names) < 2 or not all(isinstance(label, Binary) for label in data.label_types):
        got = ", ".join(f"{label.name} ({type(label).__name__})" for label in data.label_types)
        raise ValueError(f"wanted at least two binary labels, got {got}")
    if rest in names:
        raise ValueError(f"the rest needs a name of its own, got {rest!r}")
    is_true, is_missing = data.labels == 1, np.isnan(data.labels).any(axis=1)
    num_true = is_true.sum(axis=1)
    if len(several := np.flatnonzero(num_true > 1)):
        first, second, *_ = np.array(names)[is_true[several[0]]]
        raise ValueError(
            f"row {several[0]} is both {first} and {second}, but combined labels must exclude one "
            f"another: they do not in {len(several)} of {len(is_true)} rows"
        )
    is_none = num_true == 0
    if rest is None and len(without := np.flatnonzero(is_none & ~is_missing)):
        raise ValueError(
            f"row {without[0]} is none of {', '.join(names)}, as are {len(without)} of "
            f"{len(is_true)} rows: name a class for the rest"
        )
    values = np.where(is_none, len(names), is_true.argmax(axis=1)).astype(np.float32)
    values[is_none & is_missing] = np.nan
    return values
