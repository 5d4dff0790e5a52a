"""Hides labels, as one does to see what a model makes of few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ccvae_pyro.data.labeled_images import LabeledImages


def hide_labels(
    data: LabeledImages, label_fraction: float, *, missing: str = "rows", seed: int = 0
) -> LabeledImages:
    """Makes labels of training images missing (NaN), and leaves those held out as they are.

    :param label_fraction: the share of labels that stay.
    :param missing: what is hidden at random: ``"rows"``, all labels of an image, or ``"entries"``,
        each label on its own.
    :param seed: for the choice.
    :raises ValueError: if ``label_fraction`` is no fraction or there is no such ``missing``.
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
        hidden = rng.random((len(rows), labels.shape[1])) >= label_fraction
        labels[rows] = np.where(hidden, np.nan, labels[rows])
    return replace(data, labels=labels)


def keep_labels_per_class(data: LabeledImages, num: int, seed: int = 0) -> LabeledImages:
    """Keeps the labels of as many training images of each class, and hides all others.

    This is how semi-supervised VAEs are compared: so many labels, balanced among the classes.
    With the same seed, more labels include the fewer. What is held out stays as it is.

    :param data: images with one label, categorical or binary.
    :param num: how many training images of each class keep their label.
    :param seed: for the choice.
    :raises ValueError: if a class has fewer, or there is not one label with classes.
    """
    if len(data.kinds) != 1 or not data.kinds[0].classes:
        got = ", ".join(f"{kind.name} ({type(kind).__name__})" for kind in data.kinds)
        raise ValueError(f"wanted one label, categorical or binary, got {got or 'none'}")
    if num < 1:
        raise ValueError(f"wanted at least one label of each class, got {num}")
    rng, rows = np.random.default_rng(seed), data.splits["train"]
    labels = data.labels.copy()
    labels[rows] = np.nan
    for value, name in enumerate(data.kinds[0].classes):
        of_class = rows[data.labels[rows, 0] == value]
        if len(of_class) < num:
            raise ValueError(
                f"{num} labels of each class are wanted, but only {len(of_class)} training images "
                f"are of class {name!r}"
            )
        labels[rng.permutation(of_class)[:num]] = value
    return replace(data, labels=labels)
