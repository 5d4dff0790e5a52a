"""Numbers about a trained model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from pyro.infer import Trace_ELBO
from sklearn.metrics import average_precision_score, confusion_matrix, r2_score
from torch import Tensor

from ccvae_pyro.classification import encode
from ccvae_pyro.interventions import decode
from ccvae_pyro.labels import Binary, Categorical, Continuous, Label
from ccvae_pyro.labels.rows import outcomes
from ccvae_pyro.model import CCVAE

MEAN_FIGURES = ("accuracy", "balanced_accuracy", "majority_accuracy", "average_precision")
LABEL_FIGURES = (*MEAN_FIGURES, "sensitivity", "specificity", "frequency")


@torch.no_grad()
def evaluate(
    ccvae: CCVAE, batches: Iterable[tuple[Tensor, Tensor]], objective: Trace_ELBO | None = None
) -> dict[str, float | dict]:
    """Measures a model on labeled images.

    :param batches: pairs of images and labels; a NaN label is left out.
    :param objective: whose bound to report, if any.
    :returns: ``accuracy``, ``balanced_accuracy``, ``majority_accuracy`` (of always answering the
        more frequent value) and ``average_precision``, each the mean over the labels;
        ``reconstruction_error``, the mean absolute error of a pixel; ``bound``, in nats per image;
        ``per_label``, the same figures for each label. A binary label has besides its
        ``sensitivity`` (how often it is found where it is true), ``specificity`` (how often it is
        denied where it is not) and ``frequency``; one with classes its ``confusion``, how many
        images of each class (a row) are given to each; a number has ``r_squared``,
        ``mean_error`` (absolute) and ``mean_error_of_mean`` (of always answering the mean). A
        figure is NaN where the images do not have the values that it needs.
    """
    y, probability, error, bound, num_images = [], [], 0.0, 0.0, 0
    for x, labels in batches:
        z_c, z_style = encode(ccvae, x)
        error += (decode(ccvae, z_c, z_style) - x).abs().mean().item() * len(x)
        if objective is not None:
            bound -= objective.loss(ccvae.model, ccvae.guide, x, labels)
        y.append(labels.cpu().double().numpy())
        probability.append(outcomes(ccvae.classifier(z_c)).cpu().double().numpy())
        num_images += len(x)
    per_label = _per_label(ccvae.labels, np.concatenate(y), np.concatenate(probability))
    figures = {
        key: _mean([of_label[key] for of_label in per_label.values() if key in of_label])
        for key in MEAN_FIGURES
    }
    if any(isinstance(kind, Continuous) for kind in ccvae.labels):
        figures["r_squared"] = _mean(
            [f["r_squared"] for f in per_label.values() if "r_squared" in f]
        )
    figures["reconstruction_error"] = error / num_images
    if objective is not None:
        figures["bound"] = bound / num_images
    return figures | {"per_label": per_label}


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
