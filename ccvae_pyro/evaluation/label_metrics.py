"""How well the values of one label are told, by its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, confusion_matrix, r2_score, roc_auc_score

MEAN_FIGURES = (
    "accuracy",
    "balanced_accuracy",
    "majority_accuracy",
    "average_precision",
    "auroc",
    "calibration_error",
)


def scores_of_truth(y: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """The figures of a label that is true or false.

    They are the accuracy; ``sensitivity``, how often it is found where it is true;
    ``specificity``, how often it is denied where it is not; the mean of these two,
    ``balanced_accuracy``; ``majority_accuracy``, of always answering the more frequent value;
    ``average_precision``; ``auroc``, how often of two images that differ the right one is given
    the higher probability; ``calibration_error``, the expected difference between probability and
    frequency, in 15 bins (Guo et al., 2017); and the ``frequency`` itself.

    :param y: 0 or 1, shape ``(num_images,)``.
    :param probability: that it is true.
    """
    if len(y) == 0:
        names = (*MEAN_FIGURES, "sensitivity", "specificity", "frequency")
        return dict.fromkeys(names, np.nan)
    is_right = (probability > 0.5) == (y > 0.5)
    has_both = 0 < y.mean() < 1
    sensitivity = float(is_right[y > 0.5].mean()) if y.any() else np.nan
    specificity = float(is_right[y < 0.5].mean()) if (y < 0.5).any() else np.nan
    return {
        "accuracy": float(is_right.mean()),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "majority_accuracy": float(max(y.mean(), 1 - y.mean())),
        "average_precision": float(average_precision_score(y, probability))
        if has_both
        else np.nan,
        "auroc": float(roc_auc_score(y, probability)) if has_both else np.nan,
        "calibration_error": _calibration_error(y.astype(int), probability, task="binary"),
        "frequency": float(y.mean()),
    }


def scores_of_classes(y: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """The figures of a label with classes; those that no image has are left out of means.

    They are those of a label that is true or false, each class against the others, and
    ``confusion``, how many images of each class (a row) are given to each.

    :param y: the classes' indices, shape ``(num_images,)``.
    :param probability: of each class, shape ``(num_images, num_classes)``.
    """
    if len(y) == 0:
        return dict.fromkeys(MEAN_FIGURES, np.nan) | {"confusion": []}
    classes = np.arange(probability.shape[1])
    confusion = confusion_matrix(y, probability.argmax(1), labels=classes)
    counts = confusion.sum(1)
    met = counts > 0
    told = [(y == c, probability[:, c]) for c, n in enumerate(counts) if 0 < n < len(y)]
    return {
        "accuracy": float(confusion.trace() / len(y)),
        "balanced_accuracy": float((confusion.diagonal()[met] / counts[met]).mean()),
        "majority_accuracy": float(counts.max() / len(y)),
        "average_precision": mean_of_known([average_precision_score(*each) for each in told]),
        "auroc": mean_of_known([roc_auc_score(*each) for each in told]),
        "calibration_error": _calibration_error(
            y, probability, task="multiclass", num_classes=len(classes)
        ),
        "confusion": confusion.tolist(),
    }


def scores_of_numbers(y: np.ndarray, mean: np.ndarray) -> dict[str, Any]:
    """The figures of a label that is a number.

    They are ``r_squared``; ``mean_error``, the absolute one; and ``mean_error_of_mean``, of always
    answering the mean.

    :param y: the numbers, shape ``(num_images,)``.
    :param mean: what is expected of them.
    """
    if len(y) == 0:
        return dict.fromkeys(("r_squared", "mean_error", "mean_error_of_mean"), np.nan)
    return {
        "r_squared": float(r2_score(y, mean)) if len(y) > 1 else np.nan,
        "mean_error": float(np.abs(y - mean).mean()),
        "mean_error_of_mean": float(np.abs(y - y.mean()).mean()),
    }


def _calibration_error(y: np.ndarray, probability: np.ndarray, **kind: Any) -> float:
    # Imported here, as it brings torchvision, which nearly doubles the time to import the package.
    from torchmetrics.functional import calibration_error

    return calibration_error(torch.as_tensor(probability), torch.as_tensor(y), **kind).item()


def balanced(truth: np.ndarray, answers: np.ndarray) -> float:
    """How often answers are right, each value of the truth weighed alike; NaN if it has one."""
    values = np.unique(truth)
    if len(values) < 2:
        return np.nan
    return float(np.mean([(answers[truth == value] == value).mean() for value in values]))


def mean_of_known(values: Sequence[float]) -> float:
    """The mean of those that are not NaN."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan
