"""The verdict on a run: what falls short of trivial baselines, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ccvae_pyro.data.names import shortened, spaced
from ccvae_pyro.evaluation.evaluate import Evaluation
from ccvae_pyro.evaluation.label_metrics import (
    BinaryMetrics,
    CategoricalMetrics,
    ContinuousMetrics,
    LabelMetrics,
)
from ccvae_pyro.evaluation.trivial_baselines import TrivialReconstructions

# How much less a reconstruction error is if it is better. It is measured on the images of its
# baseline, so that their difference has little noise.
RELATIVE_MARGIN = 0.02
# How many standard errors an accuracy exceeds that of its baseline if it is better.
NUM_STANDARD_ERRORS = 2
# A continuous label is predicted if it explains more than this share of the variance.
MIN_R_SQUARED = 0.02
# The loss is still falling if the last third of the epochs has more than this share of its fall.
STILL_FALLING = 0.03
MIN_EPOCHS = 3  # to see that a loss no longer falls
# A model overfits if its reconstruction error on validation images has risen by more than this
# share of its least value, for so many epochs.
OVERFITTING_MARGIN = 0.03
NUM_WORSE = 3
MAX_NAMED = 6  # labels in a message

Code = Literal[
    "reconstructions_like_average_image",
    "reconstructions_worse_than_pca",
    "labels_not_predicted",
    "still_falling",
    "overfitting",
]


@dataclass(frozen=True)
class Finding:
    """What falls short in a run.

    :param code: what it is, for programs: see :func:`verdict`.
    :param message: a sentence for people, and what may help.
    """

    code: Code
    message: str


def verdict(
    history: Sequence[Mapping[str, float]],
    evaluation: Evaluation | None = None,
    baselines: TrivialReconstructions | None = None,
    *,
    num_validation_images: int = 0,
) -> list[Finding]:
    r"""What falls short in a run, empty if nothing does.

    A finding has one of these codes:

    ``reconstructions_like_average_image``
        The mean absolute reconstruction error is not at least 2 % below that of the average
        training image, see :class:`TrivialReconstructions`. So the decoder ignores its latents:
        it has not begun to learn, or its units are saturated.

    ``reconstructions_worse_than_pca``
        The reconstruction error is more than 2 % above that of as many principal components as
        the model has latents.

    ``labels_not_predicted``
        Neither the accuracy of a label exceeds that of always predicting the most frequent value
        by more than two standard errors, nor its balanced accuracy :math:`1/K`, for :math:`K`
        values. With :math:`n` images, an accuracy :math:`a` has the standard error
        :math:`\sqrt{a (1 - a) / n}`, and the balanced accuracy that of the mean of the recalls.
        A continuous label has a coefficient of determination of at most :math:`\max(0.02, 4/n)`:
        without correlation it is of the order :math:`1/n`. A label that is the same for all
        images is left out.

    ``still_falling``
        There are fewer than three epochs, or the training loss fell by more than 3 % of its whole
        fall from the middle third of the epochs to the last third. Means of thirds are compared,
        since a learning rate that decays to zero flattens any loss at the end.

    ``overfitting``
        In each of the last three epochs, the reconstruction error on validation images was more
        than 3 % above its least value before, or the share of mistaken labels more than two
        standard errors.

    :param history: the record of each epoch, from :func:`~ccvae_pyro.train`.
    :param evaluation: the metrics on held-out images, if there are any.
    :param baselines: the errors of trivial baselines on the same images.
    :param num_validation_images: the number of images behind the metrics of the history; without
        it, accuracies are not compared.

    Example:

        >>> history = [{"epoch": 1, "loss": 500.0}, {"epoch": 2, "loss": 400.0}]
        >>> for finding in verdict(history):
        ...     print(finding.code)
        still_falling
    """
    findings: list[Finding | None] = []
    if evaluation is not None:
        error = evaluation.reconstruction_error
        if baselines is not None:
            like_average = reconstruction_finding(error, baselines)
            findings.append(like_average or _pca_finding(error, baselines))
        findings.append(label_finding(evaluation.per_label))
    # Of an overfitting model it is of no use that its training loss still falls.
    overfitting = _overfitting_finding(history, num_validation_images)
    findings.append(overfitting or _falling_finding(history))
    return [finding for finding in findings if finding is not None]


def verdict_messages(metrics: Mapping[str, Any]) -> list[str]:
    """The messages of a verdict, or one that says that nothing falls short.

    :param metrics: the plain values of an :class:`~ccvae_pyro.evaluation.Evaluation`, if any, and
        a list ``verdict`` of findings as dictionaries, as in ``metrics.json``; without the list
        there are no messages.
    """
    findings = metrics.get("verdict")
    if findings is None:
        return []
    if findings:
        return [finding["message"] for finding in findings]
    if "reconstruction_error" not in metrics:
        return ["the loss has leveled off; there are no test images to compare baselines on"]
    return ["nothing falls short: labels and reconstructions beat the trivial baselines"]


def reconstruction_finding(error: float, baselines: TrivialReconstructions) -> Finding | None:
    """Whether reconstructions are no better than one image for all.

    :param error: the mean absolute error; NaN if the model reconstructs no images.
    """
    average = baselines.average_image
    if not error >= (1 - RELATIVE_MARGIN) * average:
        return None
    return Finding(
        "reconstructions_like_average_image",
        "reconstructions are no better than the average training image, the same for all (error "
        f"{error:.3f} against {average:.3f}): the decoder ignores its latents, or is "
        "saturated. Try more training, another decoder, a lower learning rate or a smaller "
        "likelihood scale",
    )


def _pca_finding(error: float, baselines: TrivialReconstructions) -> Finding | None:
    """Whether reconstructions are worse than those of PCA."""
    pca = baselines.principal_components
    if not error > (1 + RELATIVE_MARGIN) * pca:
        return None
    return Finding(
        "reconstructions_worse_than_pca",
        f"reconstructions are worse than those from {baselines.num_components} principal "
        f"components (error {error:.3f} against {pca:.3f}). Try more training, a smaller "
        "likelihood scale, more latents (--z-dim) or a wider network",
    )


def label_finding(per_label: Mapping[str, LabelMetrics]) -> Finding | None:
    """Which labels are predicted no better than without the image.

    :param per_label: the attribute of :class:`~ccvae_pyro.evaluation.Evaluation`.
    """
    poor = {name: text for name, each in per_label.items() if (text := _shortfall(each))}
    if not poor:
        return None
    named = [
        f"{shortened(spaced(name))!r} ({text})" for name, text in list(poor.items())[:MAX_NAMED]
    ]
    rest = [f"{len(poor) - MAX_NAMED} more"] if len(poor) > MAX_NAMED else []
    *first, last = named + rest
    names = f"{', '.join(first)} and {last}" if first else last
    verb = "are" if len(poor) > 1 else "is"
    return Finding(
        "labels_not_predicted",
        f"{names} {verb} predicted no better than by the most frequent value, or the mean. The "
        "images may not show it, or the model needs more labeled images of it, or more training",
    )


def _shortfall(metrics: LabelMetrics) -> str:
    """The metric by which a label is predicted no better than without the image, or nothing."""
    if isinstance(metrics, ContinuousMetrics):
        least = max(MIN_R_SQUARED, NUM_STANDARD_ERRORS**2 / max(metrics.num_images, 1))
        is_poor = metrics.r_squared <= least
        return f"R squared {metrics.r_squared:.2f}" if is_poor else ""
    accuracy, balanced = metrics.accuracy, metrics.balanced_accuracy
    recalls, counts = _recalls(metrics)
    error = _standard_error(accuracy, metrics.num_images)
    is_above_majority = accuracy - metrics.majority_accuracy > NUM_STANDARD_ERRORS * error
    error = math.sqrt((recalls * (1 - recalls) / counts).sum()) / max(len(recalls), 1)
    is_above_chance = balanced - 1 / max(len(recalls), 1) > NUM_STANDARD_ERRORS * error
    # The balanced accuracy is NaN if there is but one value.
    is_poor = not math.isnan(balanced) and not is_above_majority and not is_above_chance
    return f"balanced accuracy {balanced:.2f}" if is_poor else ""


def _recalls(metrics: BinaryMetrics | CategoricalMetrics) -> tuple[np.ndarray, np.ndarray]:
    """The recall of each value that there are images of, and the number of these images."""
    if isinstance(metrics, BinaryMetrics):
        true = metrics.num_images * metrics.prevalence
        counts = np.array([metrics.num_images - true, true])
        recalls = np.array([metrics.specificity, metrics.sensitivity])
    else:
        confusion = np.array(metrics.confusion, dtype=float).reshape(2 * [len(metrics.confusion)])
        counts = confusion.sum(1)
        recalls = confusion.diagonal() / np.maximum(counts, 1)
    return recalls[counts > 0], counts[counts > 0]


def _falling_finding(history: Sequence[Mapping[str, float]]) -> Finding | None:
    """Whether the training loss was still falling when training ended."""
    num_epochs = len(history)
    if not num_epochs:
        return None
    advice = "Train longer (--epochs)"
    if num_epochs < MIN_EPOCHS:
        epochs = "1 epoch" if num_epochs == 1 else f"{num_epochs} epochs"
        message = f"training ended after {epochs}, while the loss was still falling. {advice}"
        return Finding("still_falling", message)
    losses = [record["loss"] for record in history]
    first, last = losses[0], min(losses)
    third = max(1, num_epochs // 3)
    fall = np.mean(losses[-2 * third : -third]) - np.mean(losses[-third:])
    if not fall > STILL_FALLING * (first - last):
        return None
    return Finding(
        "still_falling",
        "the loss was still falling when training ended: the last third of the epochs lowered it "
        f"by {fall / (first - last):.0%} of its whole fall. {advice}",
    )


def _overfitting_finding(
    history: Sequence[Mapping[str, float]], num_images: int
) -> Finding | None:
    """Whether a metric on validation images got worse for several epochs.

    :param num_images: the number of validation images.
    """
    if len(history) <= NUM_WORSE:
        return None
    errors, accuracies = (
        np.array([record.get(name, math.nan) for record in history])
        for name in ("reconstruction_error", "accuracy")
    )
    mistakes = 1 - accuracies
    noise = _standard_error(float(mistakes[-1]), num_images)
    for name, values, margin in (
        ("reconstruction error", errors, OVERFITTING_MARGIN * errors.min()),
        ("share of mistaken labels", mistakes, NUM_STANDARD_ERRORS * noise),
    ):
        best = int(values.argmin())
        if values[-NUM_WORSE:].min() > values[best] + margin:
            return Finding(
                "overfitting",
                f"on validation images the {name} rose from {values[best]:.3f} after epoch "
                f"{history[best]['epoch']} to {values[-1]:.3f} at the end: the model overfits. "
                "Train for fewer epochs, or with more images or augmentation (--shift, --warp)",
            )
    return None


def _standard_error(share: float, num_images: float) -> float:
    """The standard error of a share of images; infinite without images."""
    return math.sqrt(share * (1 - share) / num_images) if num_images else math.inf
