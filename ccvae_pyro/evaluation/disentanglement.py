"""Metrics of disentanglement, which compare latents and labels one by one: MIG, SAP and DCI."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ccvae_pyro.labels._plain_values import plain_int

if TYPE_CHECKING:
    from sklearn.svm import LinearSVC

EPSILON = 1e-11  # added to importances, so that a latent without any has an entropy


@dataclass(frozen=True)
class DCI:
    """Scores of Eastwood and Williams (2018).

    :param disentanglement: between 0 and 1; 1 if each latent is important for one label only.
    :param completeness: between 0 and 1; 1 if one latent only is important for each label.
    :param informativeness: the mean test accuracy, or R squared of a continuous label.
    """

    disentanglement: float
    completeness: float
    informativeness: float


def mutual_information_gap(
    z: np.ndarray, y: np.ndarray, *, continuous: Collection[int] = (), num_bins: int = 20
) -> float:
    r"""The gap between the two latents with the most mutual information with a label (MIG).

    .. math:: \frac{1}{L} \sum_i \frac{I(y_i; z_{j_1}) - I(y_i; z_{j_2})}{H(y_i)}

    See Chen et al. (2018), Section 4.1. Latents are binned as by Locatello et al. (2019).

    :param z: latents, shape ``(num_images, num_latents)``.
    :param y: labels, shape ``(num_images, num_labels)``, NaN where missing.
    :param continuous: the columns of continuous labels, which are binned as well.
    :returns: a number between 0 and 1; NaN if no label has two values, or there is one latent.

    Example:

        >>> y = np.arange(8)[:, None] >> np.arange(3) & 1  # three bits
        >>> round(mutual_information_gap(y + 0.5, y), 6)
        1.0
    """
    from sklearn.metrics import mutual_info_score

    gaps, num_bins = [], plain_int(num_bins, "num_bins", minimum=1)
    for column, (is_known, label) in _labels_with_two_values(y).items():
        label = _binned(label, num_bins) if column in continuous else label
        information = [
            mutual_info_score(label, _binned(latent, num_bins)) for latent in z[is_known].T
        ]
        gaps.append(_gap(information) / mutual_info_score(label, label))
    return _mean(gaps)


def separated_attribute_predictability(
    z: np.ndarray,
    y: np.ndarray,
    z_test: np.ndarray,
    y_test: np.ndarray,
    *,
    continuous: Collection[int] = (),
) -> float:
    """The gap between the scores of the two latents that best predict a label (SAP).

    Each latent predicts each label by a linear support vector machine, scored by its accuracy.
    The score of a continuous label is the squared correlation. See Kumar et al. (2018), Section 3,
    in the implementation of Locatello et al. (2019).

    :param z: latents, shape ``(num_images, num_latents)``.
    :param y: labels, shape ``(num_images, num_labels)``, NaN where missing.
    :param z_test: latents of other images, on which predictions are scored.
    :param y_test: the labels of these images.
    :param continuous: the columns of continuous labels.
    :returns: a number between 0 and 1; NaN if no label has two values, or there is one latent.
    """
    gaps = []
    test_labels = _labels_with_two_values(y_test)
    for column, (is_known, label) in _labels_with_two_values(y).items():
        if column in continuous:
            with np.errstate(invalid="ignore", divide="ignore"):  # of a latent that is constant
                scores = [np.corrcoef(latent, label)[0, 1] ** 2 for latent in z[is_known].T]
        elif column in test_labels:
            is_known_in_test, test_label = test_labels[column]
            scores = [
                float((_fit_svm(train, label).predict(test[:, None]) == test_label).mean())
                for train, test in zip(z[is_known].T, z_test[is_known_in_test].T, strict=True)
            ]
        else:
            continue
        gaps.append(_gap(np.nan_to_num(scores)))
    return _mean(gaps)


def dci(
    z: np.ndarray,
    y: np.ndarray,
    z_test: np.ndarray,
    y_test: np.ndarray,
    *,
    continuous: Collection[int] = (),
) -> DCI:
    r"""Disentanglement, completeness and informativeness (Eastwood and Williams, 2018).

    Gradient boosted trees predict each label from all latents, and give the importance
    :math:`R_{ij}` of each latent. The disentanglement of a latent is one minus the entropy of its
    row of :math:`R`, the completeness of a label is one minus the entropy of its column. Both are
    averaged with weights proportional to importance.

    :param z: latents, shape ``(num_images, num_latents)``, at least two.
    :param y: labels, shape ``(num_images, num_labels)``, NaN where missing.
    :param z_test: latents of other images, on which the trees are scored.
    :param y_test: the labels of these images.
    :param continuous: the columns of continuous labels.
    :returns: the scores. All are NaN if no label has two values; disentanglement is NaN if only
        one label has, completeness if there is one latent, and both if no latent matters.
    """
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    importances, scores = [], []
    test_labels = _labels_with_two_values(y_test)
    for column, (is_known, label) in _labels_with_two_values(y).items():
        kind = GradientBoostingRegressor if column in continuous else GradientBoostingClassifier
        trees = kind(random_state=0).fit(z[is_known], label)
        importances.append(trees.feature_importances_)
        if column in test_labels:
            is_known_in_test, test_label = test_labels[column]
            scores.append(trees.score(z_test[is_known_in_test], test_label))
    if not importances:
        return DCI(np.nan, np.nan, np.nan)
    importance = np.stack(importances, axis=1)  # shape (num_latents, num_labels)
    return DCI(_concentration(importance), _concentration(importance.T), _mean(scores))


def _labels_with_two_values(y: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By column of a label with two values or more: where it is known, and its values there."""
    labels = {}
    for column, label in enumerate(np.asarray(y, dtype=float).T):
        is_known = ~np.isnan(label)
        if len(np.unique(label[is_known])) > 1:
            labels[column] = is_known, label[is_known]
    return labels


def _binned(values: np.ndarray, num_bins: int) -> np.ndarray:
    return np.asarray(np.digitize(values, np.histogram_bin_edges(values, num_bins)[:-1]))


def _fit_svm(latent: np.ndarray, label: np.ndarray) -> LinearSVC:
    from sklearn.svm import LinearSVC

    svm = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
    return svm.fit(latent[:, None], label)


def _gap(scores: np.ndarray | Sequence[float]) -> float:
    """The difference between the best score and the second best."""
    if len(scores) < 2:
        return np.nan
    *_, second, first = np.sort(scores)
    return float(first - second)


def _concentration(importance: np.ndarray) -> float:
    """One minus the entropy of each row, averaged by importance.

    NaN if there is one column, or all importances are 0.
    """
    if importance.shape[1] == 1 or not importance.any():
        return np.nan
    from scipy.stats import entropy

    per_row = 1 - entropy(importance.T + EPSILON, base=importance.shape[1])
    return float(np.average(per_row, weights=importance.sum(1)))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else np.nan
