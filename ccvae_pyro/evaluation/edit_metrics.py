"""What interventions do, as an independent reader of labels sees it, and pixel by pixel.

A reader is a model that reads the same labels off images, and had no part in the training of what
it judges: :func:`~ccvae_pyro.training.classifier.train_classifier` makes one. ``x`` are true images, best
held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import f1_score, r2_score
from torch import Tensor

from ccvae_pyro.evaluation.label_metrics import balanced, mean_of_known
from ccvae_pyro.interventions.edit import edit, reconstruct, sample_variations, swap
from ccvae_pyro.interventions.predict import classify
from ccvae_pyro.labels import Binary, Categorical, Continuous, Label, index_of, num_outcomes
from ccvae_pyro.models.base import ImageModel


class EditEffects(NamedTuple):
    """What :func:`edit_effects` finds.

    :param effectiveness: by label, how the reader finds it as it was set: ``balanced_accuracy``
        and ``f1``, whose chance is that of a guess; of a number ``r_squared``.
    :param change: shape ``(num_labels, num_labels)``: by how much setting the label of a row
        changes what is read of the label of a column, between 0 and 1.
    """

    effectiveness: dict[str, dict[str, float]]
    change: np.ndarray

    @property
    def dominance(self) -> float:
        """How many times as much edits change the label they set as they change others.

        It is :attr:`change_of_own` by :attr:`change_of_others`.
        """
        with np.errstate(divide="ignore"):  # infinite, where others do not change at all
            return float(np.float64(self.change_of_own) / self.change_of_others)

    @property
    def change_of_own(self) -> float:
        """By how much edits change the label that they set: the mean of the diagonal."""
        return float(self.change.diagonal().mean())

    @property
    def change_of_others(self) -> float:
        """And by how much any other: the mean off the diagonal, NaN if there is no other."""
        return mean_of_known(self.change[~np.eye(len(self.change), dtype=bool)].tolist())


def edit_effects(
    model: ImageModel,
    reader: ImageModel,
    x: Tensor,
    *,
    num_std: float = 0.0,
    keep_conflicting: bool = False,
) -> EditEffects:
    """Sets each label of images to each of its values, and asks a reader what it sees.

    A number is set to a deviation below its mean and one above. The change of a label is the total
    variation distance of what is read after two edits, averaged over images and pairs of values;
    of a number, the difference of its means, in the distance of the values set.

    :param num_std: as in :func:`~ccvae_pyro.edit`, and so is ``keep_conflicting``.
    """
    effectiveness, change = {}, []
    how: Any = {"num_std": num_std, "keep_conflicting": keep_conflicting}
    for index, label in enumerate(model.labels):
        values = _values(label)
        images = [edit(model, x, index, value, **how) for value in values]
        reads = [_split(model.labels, classify(reader, each)) for each in images]
        effectiveness[label.name] = _found(label, values, [read[index] for read in reads])
        of_label = zip(*reads, strict=True)  # what was read of each, after each edit
        change.append([_distance(*pair) for pair in zip(model.labels, of_label, strict=True)])
    return EditEffects(effectiveness, np.array(change))


def swap_distance(
    model: ImageModel, x: Tensor, donor: Tensor, label: str | int
) -> tuple[float, float]:
    """How far the characteristics of swapped images are from the donor's, read off them again.

    In the deviation that characteristics have among the donors, so that 0 is a swap that arrives.

    :returns: that distance after the swap, and, to compare it with, without one.
    """
    block = model.latent_slice(index_of(label, model.label_names))
    swapped = swap(model, x, donor, label)
    with torch.no_grad():
        after, before, wanted = (model.encode(e)[0][:, block] for e in (swapped, x, donor))
    scale = wanted.std(0)
    distances = [((z - wanted).abs() / scale).mean().item() for z in (after, before)]
    return distances[0], distances[1]


def composition(model: ImageModel, x: Tensor, num_rounds: int = 5) -> list[float]:
    """How far images drift as they are encoded and decoded again and again.

    Monteiro et al. (2023), Section 4: an intervention that changes nothing, so many times.

    :returns: after each round, the mean absolute error of a pixel.
    """
    errors, image = [], x
    for _ in range(num_rounds):
        image = reconstruct(model, image)
        errors.append((image - x).abs().mean().item())
    return errors


def pixel_variance(
    model: ImageModel, x: Tensor, label: str | int, value: float | str, *, num_draws: int = 16
) -> Tensor:
    r"""Where a label shows: the variance of each pixel under :math:`p(z_c \mid y)`, all else kept.

    Its mean says how many ways a model knows for the label to hold, its picture what of the image
    they change; elsewhere it is to be dark.

    :returns: shape ``(batch, height, width)``, averaged over channels.
    """
    images = sample_variations(model, x, label, value, num_draws=num_draws)
    return images.var(dim=1).mean(dim=1)


def _values(label: Label) -> list[float]:
    if isinstance(label, Categorical):
        return [float(i) for i in range(len(label.classes))]
    if isinstance(label, Continuous):
        return [label.mean - label.std, label.mean + label.std]
    return [0.0, 1.0]


def _split(labels: Sequence[Label], outcomes: Tensor) -> list[Tensor]:
    """What was read of each label, of shape ``(batch, num_outcomes)``."""
    return list(outcomes.double().cpu().split([num_outcomes(e) for e in labels], dim=1))


def _found(label: Label, values: Sequence[float], reads: Sequence[Tensor]) -> dict[str, float]:
    """Whether a label that was set is read so."""
    wanted = np.repeat(values, len(reads[0]))
    read = torch.cat(list(reads)).numpy()
    if isinstance(label, Continuous):
        return {"r_squared": float(r2_score(wanted, read[:, 0]))}
    found = read.argmax(1) if isinstance(label, Categorical) else read[:, 0] > 0.5
    average = "binary" if isinstance(label, Binary) else "macro"
    return {
        "balanced_accuracy": balanced(wanted, found),
        "f1": float(f1_score(wanted, found, average=average)),
    }


def _distance(label: Label, reads: Sequence[Tensor]) -> float:
    """How differently a label is read after edits of another, on average over pairs of them."""
    distances = [(a - b).abs().mean(0).sum().item() for a, b in combinations(reads, 2)]
    if isinstance(label, Continuous):
        unit = 2 * label.std
    else:
        unit = 2 if isinstance(label, Categorical) else 1
    return float(np.mean(distances)) / unit
