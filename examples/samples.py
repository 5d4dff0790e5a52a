"""The sampler of a trained model: fitted to its encodings, if that is better than the priors."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tables import format_value

import ccvae_pyro
from ccvae_pyro.data import Batches
from ccvae_pyro.evaluation import SamplerChoice
from ccvae_pyro.io import save_choices
from ccvae_pyro.models import from_config
from ccvae_pyro.training import train_classifier

MAX_STEPS, BATCH_SIZE = 400, 50  # of the training of the independent classifier


def choose_sampler(
    ccvae: ccvae_pyro.CCVAE, batches: Batches, checkpoint: Path, *, num_steps: int, seed: int
) -> dict[str, Any]:
    """Fits a sampler to training images, keeps it where it is better, and says so.

    The better one is chosen on validation images by an independent classifier, which is trained on
    the labeled images for some seconds.

    :param checkpoint: the file of the model, which the sampler is written to.
    :param num_steps: how many steps the model was trained for: the classifier has no more.
    :returns: the quality of samples as plain values; empty without labeled or validation images.
    """
    is_comparable = len(batches.labeled) > 1 and len(batches.data.splits["valid"]) > 1
    if not is_comparable or ccvae.config is None:
        return {}
    oracle = train_oracle(ccvae.config, batches, min(num_steps, MAX_STEPS), seed)
    choice = ccvae_pyro.choose_sampler(ccvae, oracle, batches, seed=seed)
    save_choices(checkpoint, ccvae)
    print(describe(choice))
    return asdict(choice)


def train_oracle(
    config: dict[str, Any], batches: Batches, num_steps: int, seed: int
) -> ccvae_pyro.CCVAE:
    """An independent classifier: a model's networks, trained anew on the labeled images."""
    rows = np.random.default_rng(seed).permutation(batches.labeled)[: num_steps * BATCH_SIZE]
    data = replace(batches.data, splits={"train": np.sort(rows)})
    labeled = Batches(data, min(BATCH_SIZE, len(rows)), device=batches.device, resident=False)
    oracle = from_config(config).to(torch.device(batches.device))
    train_classifier(oracle, labeled, max(1, num_steps // len(labeled)))
    return oracle.eval()


def describe(choice: SamplerChoice) -> str:
    """Which sampler is used, and how much better it is, in one line."""
    chosen, other = choice.prior, choice.fitted
    name, name_of_other = "prior", "the fitted sampler"
    if choice.sampler == "fitted":
        chosen, other = other, chosen
        name, name_of_other = "fitted sampler", "the prior"
    accuracies, distances = (
        [format_value(getattr(quality, key)) or "unknown" for quality in (chosen, other)]
        for key in ("conditional_generation_accuracy", "frechet_distance")
    )
    return (
        f"samples: {name}, conditional generation accuracy {accuracies[0]} against "
        f"{accuracies[1]} of {name_of_other}, Frechet distance {distances[0]} against "
        f"{distances[1]}"
    )
