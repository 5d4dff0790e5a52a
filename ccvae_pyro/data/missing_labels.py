"""Hiding labels, to train with few of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ccvae_pyro.data.labeled_images import LabeledImages


def hide_labels(
    data: LabeledImages, label_fraction: float, *, missing: str = "rows", seed: int = 0
) -> LabeledImages:
    """Sets labels of training images to NaN at random. Validation and test labels are kept.

    :param label_fraction: the fraction of labels to keep.
    :param missing: what is hidden together: ``"rows"`` hides all labels of an image or none,
        ``"entries"`` hides each label independently.
    :param seed: of the random choice.
    :raises ValueError: if ``label_fraction`` is not between 0 and 1, or ``missing`` is unknown.
    """
    if not 0 <= label_fraction <= 1:
        raise ValueError(f"label_fraction must be between 0 and 1, got {label_fraction}")
    if missing not in ("rows", "entries"):
        raise ValueError(f"missing must be 'rows' or 'entries', got {missing!r}")
    rng, rows = np.random.default_rng(seed), data.splits["train"]
    labels = data.labels.copy()
    if missing == "rows":
        labels[rng.permutation(rows)[round(label_fraction * len(rows)) :]] = np.nan
    else:
        is_hidden = rng.random((len(rows), labels.shape[1])) >= label_fraction
        labels[rows] = np.where(is_hidden, np.nan, labels[rows])
    return replace(data, labels=labels)


def keep_labels_per_class(data: LabeledImages, num_per_class: int, seed: int = 0) -> LabeledImages:
    """Keeps the labels of the same number of training images in each class and hides the rest.

    This is the usual protocol for comparing semi-supervised VAEs. For a given seed, a larger
    ``num_per_class`` keeps the labels that a smaller one keeps, and more. Validation and test
    labels are kept.

    :param data: images with exactly one label, categorical or binary.
    :param num_per_class: the number of training images in each class that keep their label.
    :param seed: of the random choice.
    :raises ValueError: if a class has fewer images, or the images do not have exactly one label
        with classes.
    """
    if len(data.label_types) != 1 or not data.label_types[0].classes:
        got = ", ".join(f"{label.name} ({type(label).__name__})" for label in data.label_types)
        raise ValueError(f"wanted one label, categorical or binary, got {got or 'none'}")
    if num_per_class < 1:
        raise ValueError(f"wanted at least one label of each class, got {num_per_class}")
    rng, rows = np.random.default_rng(seed), data.splits["train"]
    labels = data.labels.copy()
    labels[rows] = np.nan
    for value, name in enumerate(data.label_types[0].classes):
        rows_of_class = rows[data.labels[rows, 0] == value]
        if len(rows_of_class) < num_per_class:
            raise ValueError(
                f"wanted {num_per_class} labels of each class, but only {len(rows_of_class)} "
                f"training images are of class {name!r}"
            )
        labels[rng.permutation(rows_of_class)[:num_per_class]] = value
    return replace(data, labels=labels)
