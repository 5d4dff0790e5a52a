"""Hides labels, as one does to see what a model makes of few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ccvae_pyro.data.images import LabeledImages


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
