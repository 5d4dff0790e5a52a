"""A benchmark of labels, images, edits, swaps and latents, beside trivial baselines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.data import Batches
from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.evaluation.disentanglement import (
    dci,
    mutual_information_gap,
    separated_attribute_predictability,
)
from ccvae_pyro.evaluation.edit_metrics import (
    EditMetrics,
    composition,
    edit_metrics,
    pixel_variance,
    swap_distance,
)
from ccvae_pyro.evaluation.evaluate import evaluate
from ccvae_pyro.evaluation.generative_metrics import (
    EncoderFeatures,
    conditional_generation_accuracy,
    image_distances,
)
from ccvae_pyro.evaluation.label_metrics import label_metrics, mean_of_known
from ccvae_pyro.evaluation.latent_probes import encode_all, linear_probes
from ccvae_pyro.interventions import generate, predict
from ccvae_pyro.labels import Binary, Continuous, check_same_labels
from ccvae_pyro.labels._plain_values import plain_int
from ccvae_pyro.models import ImageModel, evaluation

NUM_ROUNDS = 5  # of repeated reconstruction
NUM_VARIATION_IMAGES = 32  # images whose label is sampled, for diversity


@dataclass(frozen=True)
class Metric:
    """A metric of a model.

    :param value: the value for the model.
    :param trivial_baseline: the value for a model that ignores its input, where it is not plain:
        one that predicts the majority class, guesses, returns the mean image, or leaves an image
        unedited.
    :param real_images: the value for real images, where it is not plain.
    """

    value: float
    trivial_baseline: float | None = None
    real_images: float | None = None


@dataclass(frozen=True)
class Benchmark:
    """The result of :func:`benchmark`.

    :param metrics: the metrics by their names.
    :param edits: the effects of edits of each label.
    """

    metrics: dict[str, Metric]
    edits: EditMetrics


@evaluation
def benchmark(
    model: ImageModel,
    oracle: ImageModel,
    batches: Batches,
    *,
    num_images: int = 1_000,
    seed: int | None = 0,
) -> Benchmark:
    """Measures a model on test images; linear probes are fitted to validation images.

    :param oracle: an oracle classifier of the same labels, independent of the model: see
        :mod:`~ccvae_pyro.evaluation.edit_metrics`.
    :param num_images: the number of images that are edited and compared.
    :param seed: the seed of all samples: the same seed gives the same numbers, and leaves the
        global generator as it was. None samples by that generator.
    :raises ValueError: if there are no validation or no test images, or none to edit, or the
        labels of the data or of the oracle are not those of the model.
    """
    check_same_labels(model.labels, batches.data.label_types, "the data")
    num_held_out = {split: len(batches.data.splits[split]) for split in ("valid", "test")}
    if not all(num_held_out.values()):
        raise ValueError(
            f"wanted validation and test images, got {num_held_out['valid']} and "
            f"{num_held_out['test']}"
        )
    num_images = plain_int(num_images, "num_images", minimum=1)
    with seeded(seed):
        return _benchmark(model, oracle, batches, num_images)


def _benchmark(
    model: ImageModel, oracle: ImageModel, batches: Batches, num_images: int
) -> Benchmark:
    x, y = _first_images(batches, "test", num_images)
    for each in (model, oracle):
        encode_all(each, [(x, y)])  # which refuses a model of parameters that are not finite
    y = torch.where(y.isnan(), predict(oracle, x)[0], y)
    edits = edit_metrics(model, oracle, x)
    keeping_conflicts = edit_metrics(model, oracle, x, keep_conflicting=True)
    metrics = _label_and_reconstruction_metrics(model, x, batches)
    metrics |= _generation_metrics(model, oracle, x, y, batches)
    metrics |= _edit_metrics(model, edits, keeping_conflicts)
    metrics |= _variation_metrics(model, x)
    return Benchmark(metrics | _latent_metrics(model, batches), edits)


def _label_and_reconstruction_metrics(
    model: ImageModel, x: Tensor, batches: Batches
) -> dict[str, Metric]:
    evaluation = evaluate(model, batches.held_out("test"))
    error_of_mean = (x - _mean_image(batches)).abs().mean().item()
    composition_error = composition(model, x, NUM_ROUNDS)[-1]
    return {
        "accuracy": Metric(evaluation.accuracy, evaluation.majority_accuracy),
        "balanced_accuracy": Metric(evaluation.balanced_accuracy, _chance(model)),
        "auroc": Metric(evaluation.auroc, 0.5),
        "calibration_error": Metric(evaluation.calibration_error),
        "reconstruction_error": Metric(evaluation.reconstruction_error, error_of_mean),
        f"error_after_{NUM_ROUNDS}_rounds": Metric(composition_error, error_of_mean),
    }


def _generation_metrics(
    model: ImageModel, oracle: ImageModel, x: Tensor, y: Tensor, batches: Batches
) -> dict[str, Metric]:
    """Whether generated images have the target labels, and are similar to real images."""
    features = EncoderFeatures(oracle, torch.cat(oracle.encode(x[:1]), dim=-1).shape[-1])
    valid, _ = _first_images(batches, "valid", len(x))
    subset_size = min(500, len(x), len(valid))

    def frechet(images: Tensor) -> float:
        if subset_size < 2:  # one image has no variance
            return np.nan
        return image_distances(features, [x], [images], subset_size=subset_size, seed=None).frechet

    distance = Metric(
        value=frechet(generate(model, y)),
        trivial_baseline=frechet(x.mean(0, keepdim=True).expand_as(x)),
        real_images=frechet(valid),
    )
    accuracy = conditional_generation_accuracy(model, oracle, y, seed=None)
    accuracy_on_real = label_metrics(oracle, batches.held_out("test")).balanced_accuracy
    return {
        "conditional_generation_accuracy": Metric(accuracy, _chance(model), accuracy_on_real),
        "frechet_distance": distance,
    }


def _edit_metrics(
    model: ImageModel, edits: EditMetrics, keeping_conflicts: EditMetrics
) -> dict[str, Metric]:
    """Whether edits change the label that is edited, and no other."""
    chance = _chance(model)

    def mean(metrics: EditMetrics, key: str) -> Metric:
        return Metric(_mean_over_labels(metrics.edit_accuracy, key), chance)

    return {
        "edit_accuracy": mean(edits, "balanced_accuracy"),
        "edit_f1": mean(edits, "f1"),
        "edit_accuracy_keeping_conflicts": mean(keeping_conflicts, "balanced_accuracy"),
        "change_of_edited_label": Metric(edits.change_of_edited_label, 0.0),
        "change_of_other_labels": Metric(edits.change_of_other_labels, 0.0),
        "change_of_other_labels_keeping_conflicts": Metric(
            keeping_conflicts.change_of_other_labels, 0.0
        ),
        "dominance": Metric(edits.dominance, 1.0),
        "dominance_keeping_conflicts": Metric(keeping_conflicts.dominance, 1.0),
    }


def _variation_metrics(model: ImageModel, x: Tensor) -> dict[str, Metric]:
    """The distance of swaps, and the diversity of samples given a label."""
    distances = [swap_distance(model, x, x.roll(1, 0), name) for name in model.label_names]
    after, before = np.mean(distances, axis=0)
    some = x[:NUM_VARIATION_IMAGES]
    diversity = [
        pixel_variance(model, some, label.name, 1.0, seed=None).sqrt().mean().item()
        for label in model.labels
        if isinstance(label, Binary)
    ]
    return {
        "swap_distance": Metric(float(after), float(before)),
        "diversity": Metric(mean_of_known(diversity), 0.0),
    }


def _latent_metrics(model: ImageModel, batches: Batches) -> dict[str, Metric]:
    """Which latents labels can be predicted from, and the metrics of disentanglement."""
    train, test = (encode_all(model, batches.held_out(split)) for split in ("valid", "test"))
    probes = linear_probes(model, train, test)
    continuous = [i for i, label in enumerate(model.labels) if isinstance(label, Continuous)]
    data = (train.z, train.y, test.z, test.y)
    sap = separated_attribute_predictability(*data, continuous=continuous)
    scores = {
        "mig": mutual_information_gap(test.z, test.y, continuous=continuous),
        "sap": sap,
        **asdict(dci(*data, continuous=continuous)),
    }
    chance = _chance(model)
    metrics = {
        f"probe_accuracy_{part}": Metric(_mean_over_labels(probes, part), chance)
        for part in ("own", "others", "style")
    }
    return metrics | {name: Metric(score, 0.0) for name, score in scores.items()}


def _chance(model: ImageModel) -> float:
    """The balanced accuracy of a guess, averaged over binary and categorical labels."""
    return mean_of_known([1 / len(label.classes) for label in model.labels if label.classes])


def _mean_over_labels(by_label: Mapping[str, Mapping[str, float]], key: str) -> float:
    return mean_of_known([values[key] for values in by_label.values() if key in values])


def _mean_image(batches: Batches) -> Tensor:
    """The mean of the validation images, without holding all of them in memory."""
    sums, counts = zip(*((x.sum(0), len(x)) for x, _ in batches.held_out("valid")), strict=True)
    mean: Tensor = sum(sums[1:], start=sums[0]) / sum(counts)
    return mean


def _first_images(batches: Batches, split: str, num_images: int) -> tuple[Tensor, Tensor]:
    """The first images of a split, and their labels."""
    num_batches = -(-num_images // batches.batch_size)
    some: Iterable[tuple[Tensor, Tensor]] = islice(batches.held_out(split), num_batches)
    x, y = (torch.cat(column)[:num_images] for column in zip(*some, strict=True))
    return x, y
