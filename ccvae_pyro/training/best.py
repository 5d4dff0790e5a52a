"""The best evaluation of a run, and when a run that no longer improves ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ccvae_pyro.data import LabeledImages
from ccvae_pyro.evaluation import Evaluation, mean_of_known

NUM_AVERAGED = 10_000  # training images at most whose mean is taken


class Score:
    r"""How good a model's labels and images are, as one number; higher is better.

    It is the mean of two numbers that are 1 for a perfect model and near 0 for a trivial one:

    - of the labels: their balanced accuracy, and :math:`R^2`, or 0 where it is negative, for
      continuous labels, the mean of the two if there are both;
    - of the images: :math:`1 - e / e_0`, where :math:`e` is the reconstruction error, and
      :math:`e_0` that of the mean training image in place of every reconstruction.

    The objective itself would be misleading: on few images the classifier soon is wrong with
    great confidence, and its loss rises from the first epochs on, while accuracy and images still
    improve.

    :param data: the images, with the splits ``train`` and ``valid``.
    """

    def __init__(self, data: LabeledImages) -> None:
        self.error_of_mean = _error_of_mean(data)

    def __call__(self, evaluation: Evaluation) -> float:
        r_squared = np.maximum(evaluation.r_squared, 0.0)  # NaN stays
        labels = mean_of_known([evaluation.balanced_accuracy, r_squared])
        images = 1 - evaluation.reconstruction_error / self.error_of_mean
        return mean_of_known([labels, images])


def best_of(history: Sequence[dict[str, float]]) -> dict[str, Any] | None:
    """The record with the highest score, the first of equals; None if no record has a score."""
    scored = [record for record in history if not math.isnan(record.get("score", math.nan))]
    return max(scored, key=lambda record: record["score"], default=None)


def last_epoch(
    history: Sequence[dict[str, float]],
    num_epochs: int,
    patience: int | None,
    decay_fraction: float,
) -> int:
    r"""The epoch that a run ends with.

    If the score has not improved in ``patience`` evaluations at epoch :math:`e`, the decay of the
    learning rate begins there, and the run ends with it: at epoch :math:`e / (1 - d)`, where
    :math:`d` is the fraction of the steps with decay. It never ends later than planned.
    """
    if patience is None or decay_fraction == 1:
        return num_epochs
    for number in range(patience, len(history)):
        best = best_of(history[: number + 1])
        if best is not None and best["epoch"] <= history[number - patience]["epoch"]:
            return min(num_epochs, math.ceil(history[number]["epoch"] / (1 - decay_fraction)))
    return num_epochs


def _error_of_mean(data: LabeledImages) -> float:
    """The mean absolute difference of validation images to the mean training image, in [0, 1]."""
    train, valid = (_some(data.splits[split]) for split in ("train", "valid"))
    mean = sum(data.images[row].astype(np.float64) for row in train) / len(train)
    error = float(np.mean([np.abs(data.images[row] - mean).mean() for row in valid])) / 255
    return error or 1.0  # all images are the same


def _some(rows: np.ndarray) -> np.ndarray:
    """Rows that are evenly spaced, if there are very many."""
    return rows[:: -(-len(rows) // NUM_AVERAGED)]
