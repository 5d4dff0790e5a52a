"""Numbers about a trained model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, confusion_matrix, r2_score
from torch import Tensor

from ccvae_pyro.classification import classify
from ccvae_pyro.family import CannotError, ImageModel
from ccvae_pyro.interventions import reconstruct
from ccvae_pyro.labels import Binary, Categorical, Continuous, Label

MEAN_FIGURES = ("accuracy", "balanced_accuracy", "majority_accuracy", "average_precision")
LABEL_FIGURES = (*MEAN_FIGURES, "sensitivity", "specificity", "frequency")


@torch.no_grad()
def evaluate(
    model: ImageModel, batches: Iterable[tuple[Tensor, Tensor]], objective: Any = None
) -> dict[str, Any]:
    """Measures a model on labeled images.

    :param batches: pairs of images and labels; a NaN label is left out.
    :param objective: whose bound to report, if any.
    :returns: what :func:`label_figures` does; ``reconstruction_error``, the mean absolute error of
        a pixel; and ``bound``, in nats per image. A figure that the model has no part for is NaN.
    """
    answers, error, bound, num_images = [], 0.0, 0.0, 0
    for x, y in batches:
        answers.append(_answer(model, x, y))
        error += _reconstruction_error(model, x) * len(x)
        if objective is not None:
            bound -= objective.loss(model.model, model.guide, x, y)
        num_images += len(x)
    figures = _figures(model.labels, answers)
    figures["reconstruction_error"] = error / num_images
    if objective is not None:
        figures["bound"] = bound / num_images
    return figures


@torch.no_grad()
def label_figures(model: ImageModel, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Measures how well a model reads labels off images.

    :param batches: as :func:`evaluate` takes them.
    :returns: ``accuracy``, ``balanced_accuracy``, ``majority_accuracy`` (of always answering the
        more frequent value) and ``average_precision``, each the mean over the labels;
        ``per_label``, the same figures for each label. A binary label has besides its
        ``sensitivity`` (how often it is found where it is true), ``specificity`` (how often it is
        denied where it is not) and ``frequency``; one with classes its ``confusion``, how many
        images of each class (a row) are given to each; a number has ``r_squared``,
        ``mean_error`` (absolute) and ``mean_error_of_mean`` (of always answering the mean). A
        figure is NaN where the images do not have the values that it needs.
    """
    return _figures(model.labels, [_answer(model, x, y) for x, y in batches])


def _answer(model: ImageModel, x: Tensor, y: Tensor) -> tuple[np.ndarray, np.ndarray | None]:
    """The true labels, and what a model expects of them, if it does."""
    try:
        expected = classify(model, x).double().cpu().numpy()
    except CannotError:
        expected = None
    return y.double().cpu().numpy(), expected


def _figures(
    labels: Sequence[Label], answers: Sequence[tuple[np.ndarray, np.ndarray | None]]
) -> dict[str, Any]:
    """The figures of all labels together, and of each."""
    y, expected = zip(*answers, strict=True)
    if any(each is None for each in expected):
        return dict.fromkeys(MEAN_FIGURES, np.nan) | {"per_label": {}}
    per_label = _per_label(labels, np.concatenate(y), np.concatenate(expected))
    figures = {
        key: _mean([of_label[key] for of_label in per_label.values() if key in of_label])
        for key in MEAN_FIGURES
    }
    if any(isinstance(kind, Continuous) for kind in labels):
        figures["r_squared"] = _mean(
            [f["r_squared"] for f in per_label.values() if "r_squared" in f]
        )
    return figures | {"per_label": per_label}


def _reconstruction_error(model: ImageModel, x: Tensor) -> float:
    try:
        return (reconstruct(model, x) - x).abs().mean().item()
    except CannotError:
        return np.nan


def _mean(values: list[float]) -> float:
    """The mean of those that are not NaN."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def _per_label(
    kinds: Sequence[Label], y: np.ndarray, expected: np.ndarray
) -> dict[str, dict[str, Any]]:
    """The figures of each label, from what is expected of its outcomes."""
    figures, start = {}, 0
    for kind, truth in zip(kinds, y.T, strict=True):
        width = len(kind.classes) if isinstance(kind, Categorical) else 1
        known = ~np.isnan(truth)
        answer = expected[known, start : start + width]
        start += width
        if isinstance(kind, Categorical):
            figures[kind.name] = _class_figures(truth[known].astype(int), answer)
        elif isinstance(kind, Binary):
            figures[kind.name] = _binary_figures(truth[known], answer[:, 0])
        else:
            figures[kind.name] = _number_figures(truth[known], answer[:, 0])
    return figures


def _binary_figures(y: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """The figures of a label that is true or false."""
    if len(y) == 0:
        return dict.fromkeys(LABEL_FIGURES, np.nan)
    is_right = (probability > 0.5) == (y > 0.5)
    has_both = 0 < y.mean() < 1
    sensitivity = float(is_right[y > 0.5].mean()) if y.any() else np.nan
    specificity = float(is_right[y < 0.5].mean()) if (y < 0.5).any() else np.nan
    precision = float(average_precision_score(y, probability)) if has_both else np.nan
    return {
        "accuracy": float(is_right.mean()),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "majority_accuracy": float(max(y.mean(), 1 - y.mean())),
        "average_precision": precision,
        "frequency": float(y.mean()),
    }


def _class_figures(y: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """The figures of a label with classes; those that no image has are left out of means."""
    if len(y) == 0:
        return dict.fromkeys(MEAN_FIGURES, np.nan) | {"confusion": []}
    classes = np.arange(probability.shape[1])
    confusion = confusion_matrix(y, probability.argmax(1), labels=classes)
    counts = confusion.sum(1)
    met = counts > 0
    precisions = [
        float(average_precision_score(y == c, probability[:, c])) if 0 < n < len(y) else np.nan
        for c, n in zip(classes, counts, strict=True)
    ]
    return {
        "accuracy": float(confusion.trace() / len(y)),
        "balanced_accuracy": float((confusion.diagonal()[met] / counts[met]).mean()),
        "majority_accuracy": float(counts.max() / len(y)),
        "average_precision": _mean(precisions),
        "confusion": confusion.tolist(),
    }


def _number_figures(y: np.ndarray, mean: np.ndarray) -> dict[str, Any]:
    """The figures of a label that is a number."""
    if len(y) == 0:
        return dict.fromkeys(("r_squared", "mean_error", "mean_error_of_mean"), np.nan)
    return {
        "r_squared": float(r2_score(y, mean)) if len(y) > 1 else np.nan,
        "mean_error": float(np.abs(y - mean).mean()),
        "mean_error_of_mean": float(np.abs(y - y.mean()).mean()),
    }
