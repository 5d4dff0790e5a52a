"""Everything that is measured of a trained model's interventions, beside what is to be beaten."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.data.batches import Batches
from ccvae_pyro.evaluation.disentanglement import (
    dci,
    mutual_information_gap,
    separated_attribute_predictability,
)
from ccvae_pyro.evaluation.edit_metrics import (
    EditEffects,
    composition,
    edit_effects,
    pixel_variance,
    swap_distance,
)
from ccvae_pyro.evaluation.evaluate import evaluate, label_figures
from ccvae_pyro.evaluation.label_metrics import mean_of_known
from ccvae_pyro.evaluation.latent_probes import encode_all, leakage
from ccvae_pyro.interventions.edit import generate
from ccvae_pyro.interventions.predict import predict
from ccvae_pyro.labels import Binary, Continuous
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.training.classifier import conditional_generation_accuracy

NUM_ROUNDS, NUM_VARIED = 5, 32


class Figure(NamedTuple):
    """A figure of a model.

    :param value: what the model comes to.
    :param nothing: what one comes to that knows nothing: the more frequent answer, a guess, the
        mean image, an image left as it is.
    :param truth: what true images come to, where that is not plain.
    """

    value: float
    nothing: float | None = None
    truth: float | None = None


def judge(
    model: ImageModel, reader: ImageModel, batches: Batches, *, num_images: int = 1_000
) -> tuple[dict[str, Figure], EditEffects]:
    """Measures what a model's labels, images, edits, swaps and latents are worth.

    All on test images; probes of latents are fitted to validation images.

    :param reader: a model that reads the same labels and had no part in the training of this one:
        see :mod:`~ccvae_pyro.evaluation.edit_metrics`.
    :param num_images: how many images are edited and compared.
    :returns: figures by their names, and what edits of each label do.
    """
    x, y = _some(batches, "test", num_images)
    y = torch.where(y.isnan(), predict(reader, x)[0], y)
    effects, alone = (
        edit_effects(model, reader, x, keep_conflicting=is_alone) for is_alone in (False, True)
    )
    figures = _of_images(model, x, batches)
    figures |= _of_generated(model, reader, x, y, batches)
    figures |= _of_edits(model, effects, alone)
    figures |= _of_swaps(model, x)
    return figures | _of_latents(model, batches), effects


def _of_images(model: ImageModel, x: Tensor, batches: Batches) -> dict[str, Figure]:
    """Labels that are read, images that are drawn again."""
    found = evaluate(model, batches.held_out("test"))
    error = (x - _mean_image(batches)).abs().mean().item()
    return {
        "accuracy": Figure(found["accuracy"], found["majority_accuracy"]),
        "balanced_accuracy": Figure(found["balanced_accuracy"], _chance(model)),
        "auroc": Figure(found["auroc"], 0.5),
        "calibration_error": Figure(found["calibration_error"]),
        "reconstruction_error": Figure(found["reconstruction_error"], error),
        f"error_after_{NUM_ROUNDS}_rounds": Figure(composition(model, x, NUM_ROUNDS)[-1], error),
    }


def _of_generated(
    model: ImageModel, reader: ImageModel, x: Tensor, y: Tensor, batches: Batches
) -> dict[str, Figure]:
    """Images to order: as they were ordered, and like true ones."""
    # TorchMetrics takes seconds to import, and the rest of this file has no need of it.
    from ccvae_pyro.evaluation.generative_metrics import ReadFeatures, image_distances

    width = torch.cat(reader.encode(x[:1]), dim=-1).shape[-1]
    features = ReadFeatures(reader, width)
    others, _ = _some(batches, "valid", len(x))
    size = {"subset_size": min(500, len(x), len(others))}
    mean_image = x.mean(0, keepdim=True).expand_as(x)
    sets = {"value": generate(model, y), "nothing": mean_image, "truth": others}
    distances = {
        name: image_distances(features, [x], [some], **size)["frechet"]
        for name, some in sets.items()
    }
    of_true = label_figures(reader, batches.held_out("test"))["balanced_accuracy"]
    return {
        "orders_met": Figure(
            conditional_generation_accuracy(model, reader, y), _chance(model), of_true
        ),
        "frechet_distance": Figure(**distances),
    }


def _of_edits(model: ImageModel, effects: EditEffects, alone: EditEffects) -> dict[str, Figure]:
    """Edits: whether they do what they should, and what they should not."""
    chance = _chance(model)
    return {
        "edits_met": Figure(_mean_of(effects.effectiveness, "balanced_accuracy"), chance),
        "edits_met_f1": Figure(_mean_of(effects.effectiveness, "f1"), chance),
        "edits_met_alone": Figure(_mean_of(alone.effectiveness, "balanced_accuracy"), chance),
        "change_of_the_label": Figure(effects.change_of_own, 0.0),
        "change_of_others": Figure(effects.change_of_others, 0.0),
        "change_of_others_alone": Figure(alone.change_of_others, 0.0),
        "dominance": Figure(effects.dominance, 1.0),
        "dominance_alone": Figure(alone.dominance, 1.0),
    }


def _of_swaps(model: ImageModel, x: Tensor) -> dict[str, Figure]:
    """Swaps, and how many ways there are for labels to hold."""
    distances = [swap_distance(model, x, x.roll(1, 0), i) for i in range(len(model.labels))]
    after, before = np.mean(distances, axis=0)
    binary = [i for i, label in enumerate(model.labels) if isinstance(label, Binary)]
    ways = [pixel_variance(model, x[:NUM_VARIED], i, 1.0).sqrt().mean().item() for i in binary]
    return {
        "swap_distance": Figure(float(after), float(before)),
        "diversity": Figure(mean_of_known(ways), 0.0),
    }


def _of_latents(model: ImageModel, batches: Batches) -> dict[str, Figure]:
    """Where labels can be read, and whether latents and labels correspond."""
    train, test = (encode_all(model, batches.held_out(split)) for split in ("valid", "test"))
    read = leakage(model, train, test)
    numbers = [i for i, label in enumerate(model.labels) if isinstance(label, Continuous)]
    z, z_test = (np.concatenate([codes.z_c, codes.z_style], axis=1) for codes in (train, test))
    sap = separated_attribute_predictability(z, train.y, z_test, test.y, numbers=numbers)
    chance = _chance(model)
    parts = ("own", "others", "style")
    figures = {f"read_off_{part}": Figure(_mean_of(read, part), chance) for part in parts}
    figures["mig"] = Figure(mutual_information_gap(z_test, test.y, numbers=numbers), 0.0)
    figures["sap"] = Figure(sap, 0.0)
    scores = dci(z, train.y, z_test, test.y, numbers=numbers)
    return figures | {name: Figure(score, 0.0) for name, score in scores.items()}


def _chance(model: ImageModel) -> float:
    """How often a guess is right of labels that are not numbers, balanced."""
    return mean_of_known([1 / len(label.classes) for label in model.labels if label.classes])


def _mean_of(by_label: Mapping[str, Mapping[str, float]], key: str) -> float:
    return mean_of_known([found[key] for found in by_label.values() if key in found])


def _mean_image(batches: Batches) -> Tensor:
    """The mean of the validation images, of which there may be many."""
    sums, counts = zip(*((x.sum(0), len(x)) for x, _ in batches.held_out("valid")), strict=True)
    return sum(sums[1:], start=sums[0]) / sum(counts)


def _some(batches: Batches, split: str, num_images: int) -> tuple[Tensor, Tensor]:
    """The first images of a split, and their labels."""
    num_batches = -(-num_images // batches.batch_size)
    columns: Any = zip(*islice(batches.held_out(split), num_batches), strict=True)
    x, y = (torch.cat(column)[:num_images] for column in columns)
    return x, y
