"""Numbers about a trained model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.evaluation.label_metrics import (
    MEAN_FIGURES,
    mean_of_known,
    scores_of_classes,
    scores_of_numbers,
    scores_of_truth,
)
from ccvae_pyro.interventions.edit import reconstruct
from ccvae_pyro.interventions.predict import classify
from ccvae_pyro.labels import Binary, Categorical, Continuous, Label, num_outcomes
from ccvae_pyro.models.base import ImageModel


@torch.no_grad()
def evaluate(
    model: ImageModel, batches: Iterable[tuple[Tensor, Tensor]], objective: Any = None
) -> dict[str, Any]:
    """Measures a model on labeled images.

    :param batches: pairs of images and labels; a NaN label is left out.
    :param objective: whose bound to report, if any.
    :returns: what :func:`~ccvae_pyro.evaluation.evaluate.label_figures` does; ``reconstruction_error``, the
        mean absolute error of a pixel; and ``bound``, in nats per image. A figure that the model
        has no part for is NaN.
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

    :param batches: as :func:`~ccvae_pyro.evaluate` takes them.
    :returns: ``accuracy``, ``balanced_accuracy``, ``majority_accuracy`` (of always answering the
        more frequent value), ``average_precision``, ``auroc`` and ``calibration_error`` (by how
        much answers are surer than they are right, or less sure), each the mean over the labels;
        ``per_label``, the same figures for each label, and those that its kind has besides:
        see :mod:`~ccvae_pyro.evaluation.label_metrics`. A figure is NaN where the images do not have the
        values that it needs.
    """
    return _figures(model.labels, [_answer(model, x, y) for x, y in batches])


def _answer(model: ImageModel, x: Tensor, y: Tensor) -> tuple[np.ndarray, np.ndarray | None]:
    """The true labels, and what a model expects of them, if it does."""
    try:
        expected = classify(model, x).double().cpu().numpy()
    except UnsupportedError:
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
        key: mean_of_known([of_label[key] for of_label in per_label.values() if key in of_label])
        for key in MEAN_FIGURES
    }
    if any(isinstance(kind, Continuous) for kind in labels):
        figures["r_squared"] = mean_of_known(
            [f["r_squared"] for f in per_label.values() if "r_squared" in f]
        )
    return figures | {"per_label": per_label}


def _reconstruction_error(model: ImageModel, x: Tensor) -> float:
    try:
        return (reconstruct(model, x) - x).abs().mean().item()
    except UnsupportedError:
        return np.nan


def _per_label(
    kinds: Sequence[Label], y: np.ndarray, expected: np.ndarray
) -> dict[str, dict[str, Any]]:
    """The figures of each label, from what is expected of its outcomes."""
    figures, start = {}, 0
    for kind, truth in zip(kinds, y.T, strict=True):
        known, end = ~np.isnan(truth), start + num_outcomes(kind)
        answer, start = expected[known, start:end], end
        if isinstance(kind, Categorical):
            figures[kind.name] = scores_of_classes(truth[known].astype(int), answer)
        elif isinstance(kind, Binary):
            figures[kind.name] = scores_of_truth(truth[known], answer[:, 0])
        else:
            figures[kind.name] = scores_of_numbers(truth[known], answer[:, 0])
    return figures
