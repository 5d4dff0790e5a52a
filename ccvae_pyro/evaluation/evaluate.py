"""Evaluation of a trained model on labeled images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyro.infer import Trace_ELBO
from torch import Tensor

from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.evaluation.label_metrics import LabelSummary, predictions, summarize
from ccvae_pyro.interventions import reconstruct
from ccvae_pyro.labels._plain_values import plain_int
from ccvae_pyro.models import ImageModel, evaluation


@dataclass(frozen=True)
class Evaluation(LabelSummary):
    """Metrics of a model: those of its labels, of its reconstructions, and its bound.

    A metric is NaN if the model lacks the part for it, or the images lack a value that it needs.

    :param reconstruction_error: the mean absolute error of a pixel.
    :param bound: in nats per image; None if no objective was given.
    """

    reconstruction_error: float
    bound: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without ``r_squared`` and ``bound`` where they do not apply."""
        values = super().to_dict() | {"reconstruction_error": self.reconstruction_error}
        return values if self.bound is None else values | {"bound": self.bound}


@evaluation
def evaluate(
    model: ImageModel,
    batches: Iterable[tuple[Tensor, Tensor]],
    objective: Trace_ELBO | None = None,
    *,
    seed: int | None = 0,
) -> Evaluation:
    """Measures a model on labeled images.

    :param batches: pairs of images and labels. Missing labels (NaN) are left out.
    :param objective: the objective whose bound is reported, if any.
    :param seed: the seed of the bound's samples; None samples by the global generator.
    :raises ValueError: if there are no images.
    """
    predicted, error, bound, num_images = [], 0.0, 0.0, 0
    seed = None if seed is None else plain_int(seed, "seed", minimum=0)
    for x, y in batches:
        predicted.append(predictions(model, x, y))
        error += _reconstruction_error(model, x) * len(x)
        if objective is not None:
            # Another seed for each batch, lest all have the same noise.
            with seeded(None if seed is None else seed + num_images):
                bound -= objective.loss(model.model, model.guide, x, y)
        num_images += len(x)
    if not num_images:
        raise ValueError("wanted at least one batch of images to evaluate on, got none")
    summary = summarize(model.labels, predicted)
    return Evaluation(
        **summary.means(),
        r_squared=summary.r_squared,
        per_label=summary.per_label,
        reconstruction_error=error / num_images,
        bound=None if objective is None else bound / num_images,
    )


def _reconstruction_error(model: ImageModel, x: Tensor) -> float:
    try:
        return (reconstruct(model, x) - x).abs().mean().item()
    except UnsupportedError:
        return np.nan
