"""How well a model predicts labels: metrics of each label, and their means over labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.distributions._device import to_float64
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.interventions import classify
from ccvae_pyro.labels import Binary, Categorical, Label, Ordinal, num_outcomes
from ccvae_pyro.models import ImageModel, evaluation

# The metrics that binary and categorical labels share.
MEAN_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "majority_accuracy",
    "average_precision",
    "auroc",
    "calibration_error",
)


@dataclass(frozen=True)
class BinaryMetrics:
    """Metrics of a binary label. A metric is NaN if the images lack a value that it needs.

    :param accuracy: the share of correct predictions, at a threshold of 0.5.
    :param balanced_accuracy: the mean of sensitivity and specificity.
    :param sensitivity: the recall of the images where the label is true.
    :param specificity: the recall of the images where the label is false.
    :param majority_accuracy: the accuracy of always predicting the more frequent value.
    :param average_precision: the area under the precision-recall curve.
    :param auroc: the area under the receiver operating characteristic.
    :param calibration_error: the expected calibration error in 15 bins (Guo et al., 2017).
    :param prevalence: the share of images where the label is true.
    :param num_images: the number of images whose label is known.
    """

    accuracy: float
    balanced_accuracy: float
    sensitivity: float
    specificity: float
    majority_accuracy: float
    average_precision: float
    auroc: float
    calibration_error: float
    prevalence: float
    num_images: int = field(default=0, kw_only=True)


@dataclass(frozen=True)
class CategoricalMetrics:
    """Metrics of a categorical label. Classes without images are left out of the means.

    The balanced accuracy, the average precision and the AUROC are NaN if all images are of one
    class.

    :param accuracy: the share of images for which the most probable class is the true one.
    :param balanced_accuracy: the mean of the classes' recalls.
    :param majority_accuracy: the accuracy of always predicting the most frequent class.
    :param average_precision: the mean over classes, each against the rest.
    :param auroc: the mean over classes, each against the rest.
    :param calibration_error: the expected calibration error in 15 bins (Guo et al., 2017).
    :param confusion: the number of images by true class (row) and predicted class (column);
        empty without images.
    :param num_images: the number of images whose label is known.
    """

    accuracy: float
    balanced_accuracy: float
    majority_accuracy: float
    average_precision: float
    auroc: float
    calibration_error: float
    confusion: list[list[int]]
    num_images: int = field(default=0, kw_only=True)


@dataclass(frozen=True)
class OrdinalMetrics(CategoricalMetrics):
    """Metrics of an ordinal label: those of its classes, and the error in ranks.

    :param mean_absolute_error: of the rank of the most probable class.
    :param baseline_mean_absolute_error: the error of always predicting the median rank.
    """

    mean_absolute_error: float
    baseline_mean_absolute_error: float


@dataclass(frozen=True)
class ContinuousMetrics:
    """Metrics of a continuous label.

    :param r_squared: the coefficient of determination; NaN if all images have the same value.
    :param mean_absolute_error: of the predicted mean, in the label's unit.
    :param baseline_mean_absolute_error: the error of always predicting the mean.
    :param num_images: the number of images whose label is known.
    """

    r_squared: float
    mean_absolute_error: float
    baseline_mean_absolute_error: float
    num_images: int = field(default=0, kw_only=True)


LabelMetrics = BinaryMetrics | CategoricalMetrics | OrdinalMetrics | ContinuousMetrics


@dataclass(frozen=True)
class LabelSummary:
    """Means over the binary, categorical and ordinal labels, and the metrics of each label.

    :param accuracy: see :class:`BinaryMetrics` and :class:`CategoricalMetrics`, here and below.
    :param r_squared: the mean over the continuous labels, NaN without any.
    :param per_label: the metrics of each label by its name; empty if the model has no classifier.
    """

    accuracy: float
    balanced_accuracy: float
    majority_accuracy: float
    average_precision: float
    auroc: float
    calibration_error: float
    r_squared: float
    per_label: dict[str, LabelMetrics]

    def means(self) -> dict[str, float]:
        """The means over the binary, categorical and ordinal labels, by the metrics' names."""
        return {name: getattr(self, name) for name in MEAN_METRICS}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without ``r_squared`` if no label is continuous."""
        values: dict[str, Any] = self.means()
        if any(isinstance(each, ContinuousMetrics) for each in self.per_label.values()):
            values["r_squared"] = self.r_squared
        per_label = {name: asdict(metrics) for name, metrics in self.per_label.items()}
        return values | {"per_label": per_label}


@evaluation
def label_metrics(model: ImageModel, batches: Iterable[tuple[Tensor, Tensor]]) -> LabelSummary:
    """Measures how well a model predicts the labels of images.

    :param batches: pairs of images and labels. Missing labels (NaN) are left out.
    """
    return summarize(model.labels, [predictions(model, x, y) for x, y in batches])


def predictions(model: ImageModel, x: Tensor, y: Tensor) -> tuple[np.ndarray, np.ndarray | None]:
    """The true labels, and the output of :func:`~ccvae_pyro.classify` if the model has one."""
    y = model.checked_labels(y, len(x))
    try:
        outcomes = to_float64(classify(model, x))
    except UnsupportedError:
        outcomes = None
    return to_float64(y), outcomes


def summarize(
    labels: Sequence[Label], batches: Sequence[tuple[np.ndarray, np.ndarray | None]]
) -> LabelSummary:
    """The metrics of all labels, from the :func:`predictions` of several batches."""
    y = np.concatenate([truth for truth, _ in batches])
    outcomes = [outcome for _, outcome in batches if outcome is not None]
    per_label = _per_label(labels, y, np.concatenate(outcomes)) if outcomes else {}

    def mean(name: str) -> float:
        values = [getattr(each, name) for each in per_label.values() if hasattr(each, name)]
        return mean_of_known(values)

    means = {name: mean(name) for name in MEAN_METRICS}
    return LabelSummary(**means, r_squared=mean("r_squared"), per_label=per_label)


def _per_label(
    labels: Sequence[Label], y: np.ndarray, outcomes: np.ndarray
) -> dict[str, LabelMetrics]:
    """The metrics of each label, from the columns of :func:`~ccvae_pyro.classify`."""
    metrics: dict[str, LabelMetrics] = {}
    start = 0
    for label, column in zip(labels, y.T, strict=True):
        is_known, end = ~np.isnan(column), start + num_outcomes(label)
        truth, outcome, start = column[is_known], outcomes[is_known, start:end], end
        if isinstance(label, Categorical):
            metrics[label.name] = categorical_metrics(truth.astype(int), outcome)
        elif isinstance(label, Ordinal):
            metrics[label.name] = ordinal_metrics(truth.astype(int), outcome)
        elif isinstance(label, Binary):
            metrics[label.name] = binary_metrics(truth, outcome[:, 0])
        else:
            metrics[label.name] = continuous_metrics(truth, outcome[:, 0])
    return metrics


def binary_metrics(y: np.ndarray, probability: np.ndarray) -> BinaryMetrics:
    """The metrics of a binary label.

    :param y: 0 or 1, shape ``(num_images,)``.
    :param probability: the predicted probability of 1, shape ``(num_images,)``.
    """
    if len(y) == 0:
        return BinaryMetrics(*[np.nan] * 9)
    from sklearn.metrics import (
        accuracy_score,
        average_precision_score,
        recall_score,
        roc_auc_score,
    )

    y, predicted, prevalence = y.astype(int), (probability > 0.5).astype(int), float(y.mean())
    specificity, sensitivity = map(
        float, recall_score(y, predicted, labels=[0, 1], average=None, zero_division=np.nan)
    )
    has_both = 0 < prevalence < 1
    return BinaryMetrics(
        accuracy=float(accuracy_score(y, predicted)),
        balanced_accuracy=(sensitivity + specificity) / 2,
        sensitivity=sensitivity,
        specificity=specificity,
        majority_accuracy=max(prevalence, 1 - prevalence),
        average_precision=float(average_precision_score(y, probability)) if has_both else np.nan,
        auroc=float(roc_auc_score(y, probability)) if has_both else np.nan,
        calibration_error=_calibration_error(y, probability, task="binary"),
        prevalence=prevalence,
        num_images=len(y),
    )


def categorical_metrics(y: np.ndarray, probability: np.ndarray) -> CategoricalMetrics:
    """The metrics of a categorical label.

    :param y: indices of classes, shape ``(num_images,)``.
    :param probability: the predicted probabilities, shape ``(num_images, num_classes)``.
    """
    if len(y) == 0:
        return CategoricalMetrics(
            **dict.fromkeys(MEAN_METRICS, np.nan), confusion=[], num_images=0
        )
    from sklearn.metrics import (
        accuracy_score,
        average_precision_score,
        confusion_matrix,
        roc_auc_score,
    )

    num_classes, predicted = probability.shape[1], probability.argmax(1)
    present, counts = np.unique(y, return_counts=True)
    # The truth and probability of each class against the rest.
    one_vs_rest = y[:, None] == present, probability[:, present]
    has_several = len(present) > 1
    return CategoricalMetrics(
        accuracy=float(accuracy_score(y, predicted)),
        balanced_accuracy=balanced_accuracy(y, predicted),
        majority_accuracy=float(counts.max() / len(y)),
        average_precision=float(average_precision_score(*one_vs_rest)) if has_several else np.nan,
        auroc=float(roc_auc_score(*one_vs_rest)) if has_several else np.nan,
        calibration_error=_calibration_error(
            y, probability, task="multiclass", num_classes=num_classes
        ),
        confusion=confusion_matrix(y, predicted, labels=np.arange(num_classes)).tolist(),
        num_images=len(y),
    )


def ordinal_metrics(y: np.ndarray, probability: np.ndarray) -> OrdinalMetrics:
    """The metrics of an ordinal label.

    :param y: ranks, shape ``(num_images,)``.
    :param probability: the predicted probabilities, shape ``(num_images, num_classes)``.
    """
    of_classes = categorical_metrics(y, probability)
    errors = np.abs(y - probability.argmax(1)), np.abs(y - np.median(y)) if len(y) else y
    error, baseline = (float(each.mean()) if len(y) else np.nan for each in errors)
    return OrdinalMetrics(
        **vars(of_classes), mean_absolute_error=error, baseline_mean_absolute_error=baseline
    )


def continuous_metrics(y: np.ndarray, mean: np.ndarray) -> ContinuousMetrics:
    """The metrics of a continuous label.

    :param y: true values, shape ``(num_images,)``.
    :param mean: predicted means, shape ``(num_images,)``.
    """
    if len(y) == 0:
        return ContinuousMetrics(*[np.nan] * 3)
    from sklearn.metrics import mean_absolute_error

    return ContinuousMetrics(
        r_squared=r_squared(y, mean),
        mean_absolute_error=float(mean_absolute_error(y, mean)),
        baseline_mean_absolute_error=float(np.abs(y - y.mean()).mean()),
        num_images=len(y),
    )


def balanced_accuracy(y: np.ndarray, predicted: np.ndarray) -> float:
    """The mean recall of the values in ``y``; NaN if there is only one."""
    present = np.unique(y)
    if len(present) < 2:
        return np.nan
    from sklearn.metrics import recall_score

    # balanced_accuracy_score warns where a predicted class has no image.
    return float(recall_score(y, predicted, labels=present, average="macro"))


def r_squared(y: np.ndarray, predicted: np.ndarray) -> float:
    """The coefficient of determination; NaN if all values in ``y`` are the same."""
    # scikit-learn has 1 or 0 for these, whether or not they are predicted.
    if len(np.unique(y)) < 2:
        return np.nan
    from sklearn.metrics import r2_score

    return float(r2_score(y, predicted))


def mean_of_known(values: Sequence[float]) -> float:
    """The mean of the values that are not NaN; NaN if all are."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def _calibration_error(y: np.ndarray, probability: np.ndarray, **task: Any) -> float:
    from torchmetrics.functional import calibration_error

    return calibration_error(torch.as_tensor(probability), torch.as_tensor(y), **task).item()
