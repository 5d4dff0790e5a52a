"""What interventions change in images: under an oracle classifier, and pixel by pixel.

An oracle classifier is a model that predicts the same labels and had no part in the training of
the model that is measured, such as one from :func:`~ccvae_pyro.training.train_classifier`. The
images ``x`` are real ones, preferably held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.evaluation.label_metrics import balanced_accuracy, mean_of_known, r_squared
from ccvae_pyro.interventions import classify, edit, reconstruct, sample_variations, swap
from ccvae_pyro.labels import (
    Binary,
    Classes,
    Continuous,
    Label,
    check_same_labels,
    index_of,
    num_outcomes,
)
from ccvae_pyro.labels._plain_values import plain_int
from ccvae_pyro.models import ImageModel, evaluation


@dataclass(frozen=True)
class EditMetrics:
    """Effects of edits under an oracle classifier.

    :param edit_accuracy: by label, the accuracy with which the oracle predicts the values that
        the label was set to: ``balanced_accuracy`` and ``f1``, or ``r_squared`` of a continuous
        label.
    :param change: shape ``(num_labels, num_labels)``, between 0 and 1: the mean change in the
        oracle's output for each label (column) when a label (row) is edited.
    """

    edit_accuracy: dict[str, dict[str, float]]
    change: np.ndarray

    @property
    def change_of_edited_label(self) -> float:
        """The mean change of the label that is edited, on the diagonal of ``change``."""
        return float(self.change.diagonal().mean())

    @property
    def change_of_other_labels(self) -> float:
        """The mean change of the other labels, off the diagonal; NaN if there are none."""
        return mean_of_known(self.change[~np.eye(len(self.change), dtype=bool)].tolist())

    @property
    def dominance(self) -> float:
        """:attr:`change_of_edited_label` divided by :attr:`change_of_other_labels`.

        It is infinite if the other labels do not change at all, and NaN if no label does.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.float64(self.change_of_edited_label) / self.change_of_other_labels)


def edit_metrics(
    model: ImageModel,
    oracle: ImageModel,
    x: Tensor,
    *,
    num_std: float = 0.0,
    keep_conflicting: bool = False,
) -> EditMetrics:
    """Sets each label to each of its values, and classifies the edited images by an oracle.

    A continuous label is set to one standard deviation below its mean and one above, within its
    observed range. The change of
    a label is the total variation distance between the oracle's outputs after two edits, averaged
    over images and pairs of values. For a continuous label it is the difference of the predicted
    means, relative to the difference of the values set.

    :param num_std: see :func:`~ccvae_pyro.edit`.
    :param keep_conflicting: see :func:`~ccvae_pyro.edit`.
    :raises ValueError: if there are no images, or the oracle has other labels than the model.
    """
    check_oracle(model, oracle)
    if not len(x):
        raise ValueError("wanted images to edit, got none")
    edit_accuracy, change = {}, []
    for index, label in enumerate(model.labels):
        values = _values(label)
        outcomes = []  # for each value, the oracle's output for each label
        for value in values:
            target = label.classes[int(value)] if isinstance(label, Classes) else value
            edited = edit(
                model,
                x,
                label.name,
                target,
                num_std=num_std,
                keep_conflicting=keep_conflicting,
            )
            outcomes.append(_split(model.labels, classify(oracle, edited)))
        edit_accuracy[label.name] = _accuracy(label, values, [each[index] for each in outcomes])
        by_label = zip(model.labels, zip(*outcomes, strict=True), strict=True)
        change.append([_mean_distance(other, of_label) for other, of_label in by_label])
    return EditMetrics(edit_accuracy, np.array(change))


@evaluation
def swap_distance(
    model: ImageModel, x: Tensor, donor: Tensor, label: str | int
) -> tuple[float, float]:
    """The distance between the characteristics of swapped images, encoded again, and the donors'.

    The unit is the standard deviation of the donors' characteristics. A perfect swap has
    distance 0.

    :returns: the distance after the swap, and the distance of ``x`` itself for comparison; NaN
        unless the donors differ in these characteristics.
    """
    block = model.latent_slice(index_of(label, model.label_names))
    swapped = swap(model, x, donor, label)
    after, before, target = (model.encode(e)[0][:, block] for e in (swapped, x, donor))
    scale = target.std(0) if len(target) > 1 else torch.zeros_like(target[0])
    scale = scale.where(scale > 0, torch.nan)
    distances = [((z - target).abs() / scale).mean().item() for z in (after, before)]
    return distances[0], distances[1]


def composition(model: ImageModel, x: Tensor, num_rounds: int = 5) -> list[float]:
    """The error of images that are encoded and decoded repeatedly.

    This is the composition of null interventions of Monteiro et al. (2023), Section 4.

    :returns: the mean absolute error of a pixel after each round.
    """
    errors, image = [], x
    for _ in range(plain_int(num_rounds, "num_rounds", minimum=1)):
        image = reconstruct(model, image)
        errors.append((image - x).abs().mean().item())
    return errors


def pixel_variance(
    model: ImageModel,
    x: Tensor,
    label: str | int,
    value: float | str,
    *,
    num_samples: int = 16,
    seed: int | None = 0,
) -> Tensor:
    r"""The variance of each pixel when one label's latents are sampled from :math:`p(z_c \mid y)`.

    It shows where in the image a label appears. Its mean measures the diversity of the samples.

    :param num_samples: the number of samples, at least two.
    :param seed: the seed of the samples; None samples by the global generator.
    :returns: shape ``(batch, height, width)``, averaged over channels.
    :raises ValueError: if there are fewer than two samples.
    """
    num_samples = plain_int(num_samples, "num_samples", minimum=2)
    with seeded(seed):
        images = sample_variations(model, x, label, value, num_samples=num_samples)
    return images.var(dim=1).mean(dim=1)


def check_oracle(model: ImageModel, oracle: ImageModel) -> None:
    """Makes sure that an oracle predicts the labels of a model.

    :raises ValueError: if not.
    """
    check_same_labels(model.labels, oracle.labels, "the oracle")


def _values(label: Label) -> list[float]:
    """The values that a label is set to."""
    if isinstance(label, Classes):
        return [float(i) for i in range(len(label.classes))]
    if isinstance(label, Continuous):
        return [*label.interval(1)]
    return [0.0, 1.0]


def _split(labels: Sequence[Label], outcomes: Tensor) -> tuple[Tensor, ...]:
    """The classifier's output for each label, of shape ``(batch, num_outcomes)``."""
    return torch.split(outcomes.cpu().double(), [num_outcomes(each) for each in labels], dim=1)


def _accuracy(
    label: Label, values: Sequence[float], outcomes: Sequence[Tensor]
) -> dict[str, float]:
    """The accuracy of an edited label: its values against the oracle's outputs after each edit."""
    target = np.repeat(values, len(outcomes[0]))
    outcome = torch.cat(list(outcomes)).numpy()
    if isinstance(label, Continuous):
        return {"r_squared": r_squared(target, outcome[:, 0])}
    from sklearn.metrics import f1_score

    predicted = outcome.argmax(1) if isinstance(label, Classes) else outcome[:, 0] > 0.5
    average = "binary" if isinstance(label, Binary) else "macro"
    return {
        "balanced_accuracy": balanced_accuracy(target, predicted),
        "f1": float(f1_score(target, predicted, average=average)),
    }


def _mean_distance(label: Label, outcomes: Sequence[Tensor]) -> float:
    """The distance between outputs for one label, averaged over pairs of edits."""
    distances = [(a - b).abs().mean(0).sum().item() for a, b in combinations(outcomes, 2)]
    if isinstance(label, Continuous):
        low, high = label.interval(1)
        return float(np.mean(distances)) / (high - low)
    return float(np.mean(distances)) / (2 if isinstance(label, Classes) else 1)
