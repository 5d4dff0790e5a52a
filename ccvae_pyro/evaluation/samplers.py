"""Which sampler generates the better images: the priors, or the one fitted to encodings."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.data import Batches
from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.evaluation.edit_metrics import check_oracle
from ccvae_pyro.evaluation.generative_metrics import (
    EncoderFeatures,
    image_distances,
    mean_balanced_accuracy,
)
from ccvae_pyro.interventions import fit_sampler, generate, predict
from ccvae_pyro.models import CCVAE, ImageModel, evaluation

# Samplers whose conditional generation accuracies differ by less are compared by distance, and the
# distance of the fitted one then has to be lower than this share of the other.
TOLERANCE, SHARE = 0.01, 0.95
BATCH_SIZE = 100  # of generated images


@dataclass(frozen=True)
class SampleQuality:
    """The quality of images generated for the labels of real ones, under an oracle classifier.

    :param conditional_generation_accuracy: see
        :func:`~ccvae_pyro.evaluation.conditional_generation_accuracy`; NaN if all labels are
        continuous.
    :param frechet_distance: to the real images, in the latents of the oracle.
    """

    conditional_generation_accuracy: float
    frechet_distance: float


@dataclass(frozen=True)
class SamplerChoice:
    """The result of :func:`choose_sampler`.

    :param sampler: ``"fitted"`` or ``"prior"``, the better one.
    :param prior: the quality of images from the priors.
    :param fitted: the quality of images from the fitted sampler.
    """

    sampler: str
    prior: SampleQuality
    fitted: SampleQuality


def choose_sampler(
    ccvae: CCVAE,
    oracle: ImageModel,
    batches: Batches,
    *,
    num_fitted: int = 20_000,
    num_images: int = 1_000,
    seed: int | None = 0,
) -> SamplerChoice:
    """Fits a sampler to training images, and keeps it if it is better on validation images.

    Images are generated for the labels of validation images, by the priors and by the sampler.
    The better one has the higher conditional generation accuracy or, if accuracies differ by at
    most .01, the lower Frechet distance; the priors are kept unless the sampler's is lower by five
    percent. ``ccvae.sampler`` is then the fitted sampler, or None.

    :param oracle: an independent classifier of the same labels, see
        :mod:`~ccvae_pyro.evaluation.edit_metrics`. It predicts labels that are missing.
    :param num_fitted: the largest number of training images that the sampler is fitted to.
    :param num_images: the largest number of validation images.
    :param seed: the seed of all samples; None samples by the global generator.
    :raises ValueError: if there are fewer than two training or validation images, or the oracle
        has other labels than the model.
    """
    check_oracle(ccvae, oracle)
    data, rng = batches.data, np.random.default_rng(seed)
    rows = {"train": data.splits["train"], "valid": data.splits.get("valid", np.arange(0))}
    for (name, of_split), number in zip(rows.items(), (num_fitted, num_images), strict=True):
        rows[name] = np.sort(rng.permutation(of_split)[:number])
        if len(rows[name]) < 2:
            raise ValueError(
                f"wanted at least two images of the split {name!r}, got {len(rows[name])}"
            )
    batch_size = min(batches.batch_size, len(rows["train"]))
    some = Batches(replace(data, splits=rows), batch_size, device=batches.device, resident=False)
    fitted = fit_sampler(ccvae, some.held_out("train"))
    x, y = (torch.cat(column) for column in zip(*some.held_out("valid"), strict=True))
    ccvae.sampler = fitted
    qualities = [sample_quality(ccvae, oracle, x, y, name, seed) for name in ("prior", "fitted")]
    is_better = _is_better(*qualities)
    ccvae.sampler = fitted if is_better else None
    return SamplerChoice("fitted" if is_better else "prior", *qualities)


@evaluation
def sample_quality(
    model: ImageModel,
    oracle: ImageModel,
    x: Tensor,
    y: Tensor,
    sampler: str | None = None,
    seed: int | None = 0,
) -> SampleQuality:
    """The quality of images generated for the labels of real images.

    :param oracle: as in :func:`choose_sampler`.
    :param x: at least two real images, preferably held out.
    :param y: their labels; those that are missing (NaN) are predicted by the oracle.
    :param sampler: as in :func:`~ccvae_pyro.generate`.
    :param seed: the seed of all samples; None samples by the global generator.
    """
    real = x.split(BATCH_SIZE)
    y = model.checked_labels(y, len(x))
    if y.isnan().any():
        y = torch.where(y.isnan(), torch.cat([predict(oracle, part)[0] for part in real]), y)
    with seeded(seed):
        images = [
            # The mean of some likelihoods leaves the range of pixels.
            generate(model, part, sampler=sampler).clamp(*oracle.image_range)
            for part in y.split(BATCH_SIZE)
        ]
    predicted = torch.cat([predict(oracle, part)[0] for part in images])
    features = EncoderFeatures(oracle, torch.cat(oracle.encode(x[:1]), dim=-1).shape[-1])
    distances = image_distances(features, real, images, subset_size=min(500, len(x)), seed=seed)
    accuracy = mean_balanced_accuracy(model.labels, y, predicted)
    return SampleQuality(accuracy, distances.frechet)


def _is_better(prior: SampleQuality, fitted: SampleQuality) -> bool:
    gain = fitted.conditional_generation_accuracy - prior.conditional_generation_accuracy
    if not math.isnan(gain) and abs(gain) > TOLERANCE:
        return gain > 0
    return fitted.frechet_distance < SHARE * prior.frechet_distance
