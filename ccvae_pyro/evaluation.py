"""Numbers about a trained model."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from pyro.infer import Trace_ELBO
from sklearn.metrics import average_precision_score
from torch import Tensor

from ccvae_pyro.interventions import decode, encode
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
        ``per_label``, the same figures for each label, its ``sensitivity`` (how often it is found
        where it is true), ``specificity`` (how often it is denied where it is not) and
        ``frequency``. A figure is NaN where the images do not have the values that it needs.
    """
    y, probability, error, bound, num_images = [], [], 0.0, 0.0, 0
    for x, labels in batches:
        z_c, z_style = encode(ccvae, x)
        error += (decode(ccvae, z_c, z_style) - x).abs().mean().item() * len(x)
        if objective is not None:
            bound -= objective.loss(ccvae.model, ccvae.guide, x, labels)
        y.append(labels.cpu().double().numpy())
        probability.append(ccvae.classifier(z_c).mean.cpu().numpy())
        num_images += len(x)
    names = ccvae.label_names or [str(i) for i in range(y[0].shape[1])]
    columns = zip(names, np.concatenate(y).T, np.concatenate(probability).T, strict=True)
    per_label = {name: _label_figures(truth, answer) for name, truth, answer in columns}
    figures = {
        key: _mean([of_label[key] for of_label in per_label.values()]) for key in MEAN_FIGURES
    }
    figures["reconstruction_error"] = error / num_images
    if objective is not None:
        figures["bound"] = bound / num_images
    return figures | {"per_label": per_label}


def _mean(values: list[float]) -> float:
    """The mean of those that are not NaN."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def _label_figures(y: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """The figures of one label."""
    y, probability = y[~np.isnan(y)], probability[~np.isnan(y)]
    if len(y) == 0:
        return dict.fromkeys(LABEL_FIGURES, np.nan)
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
        "frequency": float(y.mean()),
    }
