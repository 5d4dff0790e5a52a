"""How far latents and labels correspond one to one: MIG, SAP and DCI."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from scipy.stats import entropy
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.metrics import mutual_info_score
from sklearn.svm import LinearSVC

TINY = 1e-11  # so that what is of no importance at all has an entropy


def mutual_information_gap(
    z: np.ndarray, y: np.ndarray, *, numbers: Collection[int] = (), num_bins: int = 20
) -> float:
    r"""By how much the latent that tells most of a label tells more than the next (MIG).

    .. math:: \frac{1}{L} \sum_i \frac{I(y_i; z_{j_1}) - I(y_i; z_{j_2})}{H(y_i)}

    Chen et al. (2018), Section 4.1, with latents in bins as Locatello et al. (2019) count them.

    :param z: latents, shape ``(num_images, num_latents)``.
    :param y: labels, shape ``(num_images, num_labels)``, NaN where missing.
    :param numbers: the columns of labels that are numbers, which go into bins as well.
    :returns: between 0 and 1; NaN if no label has two values.

    Example:

        >>> y = np.arange(8)[:, None] >> np.arange(3) & 1  # three bits
        >>> round(mutual_information_gap(y + 0.5, y), 6)
        1.0
    """
    gaps = []
    for column, (known, label) in _known(y).items():
        label = _binned(label, num_bins) if column in numbers else label
        told = [mutual_info_score(label, _binned(latent, num_bins)) for latent in z[known].T]
        gaps.append(_gap(told) / mutual_info_score(label, label))
    return _mean(gaps)


def separated_attribute_predictability(
    z: np.ndarray,
    y: np.ndarray,
    z_test: np.ndarray,
    y_test: np.ndarray,
    *,
    numbers: Collection[int] = (),
) -> float:
    """By how much the latent that predicts a label best predicts it better than the next (SAP).

    A prediction is that of a linear support vector machine, scored by its accuracy; of a number,
    the score is the squared correlation: Kumar et al. (2018), Section 3, as Locatello et al.
    (2019) compute it.

    :param z: latents, shape ``(num_images, num_latents)``.
    :param y: labels, shape ``(num_images, num_labels)``, NaN where missing.
    :param z_test: latents of other images, on which predictions are scored.
    :param y_test: their labels.
    :param numbers: the columns of labels that are numbers.
    :returns: between 0 and 1; NaN if no label has two values.
    """
    gaps = []
    tests = _known(y_test)
    for column, (known, label) in _known(y).items():
        if column in numbers:
            scores = [np.corrcoef(latent, label)[0, 1] ** 2 for latent in z[known].T]
        elif column in tests:
            seen, truth = tests[column]
            scores = [
                float((_machine(a, label).predict(b[:, None]) == truth).mean())
                for a, b in zip(z[known].T, z_test[seen].T, strict=True)
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
    numbers: Collection[int] = (),
) -> dict[str, float]:
    r"""Disentanglement, completeness and informativeness (Eastwood and Williams, 2018).

    Gradient boosted trees predict each label from all latents, and say how important
    :math:`R_{ij}` each latent was. A latent is disentangled if it is important for one label
    alone, one minus the entropy of a row of :math:`R`; a label is complete if one latent alone is
    important for it, one minus that of a column. Both are averaged by importance.

    :param z: latents, shape ``(num_images, num_latents)``; more than one.
    :param y: labels, shape ``(num_images, num_labels)``, NaN where missing.
    :param z_test: latents of other images, on which trees are scored.
    :param y_test: their labels.
    :param numbers: the columns of labels that are numbers.
    :returns: ``disentanglement`` and ``completeness``, between 0 and 1, and ``informativeness``,
        the mean accuracy, or R squared of a number. All are NaN if no label has two values, and
        disentanglement if only one has.
    """
    columns, scores = [], []
    tests = _known(y_test)
    for column, (known, label) in _known(y).items():
        kind = GradientBoostingRegressor if column in numbers else GradientBoostingClassifier
        trees = kind(random_state=0).fit(z[known], label)
        columns.append(trees.feature_importances_)
        if column in tests:
            seen, truth = tests[column]
            scores.append(trees.score(z_test[seen], truth))
    if not columns:
        return dict.fromkeys(("disentanglement", "completeness", "informativeness"), np.nan)
    importance = np.stack(columns, axis=1)  # latent by label
    return {
        "disentanglement": _sharpness(importance),
        "completeness": _sharpness(importance.T),
        "informativeness": _mean(scores),
    }


def _known(y: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Labels that have at least two values, by column: where it is known, and values there."""
    labels = {}
    for column, label in enumerate(np.asarray(y, dtype=float).T):
        known = ~np.isnan(label)
        if len(np.unique(label[known])) > 1:
            labels[column] = known, label[known]
    return labels


def _binned(values: np.ndarray, num_bins: int) -> np.ndarray:
    return np.digitize(values, np.histogram_bin_edges(values, num_bins)[:-1])


def _machine(latent: np.ndarray, label: np.ndarray) -> LinearSVC:
    machine = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
    return machine.fit(latent[:, None], label)


def _gap(scores: np.ndarray | list[float]) -> float:
    """The best less the next."""
    *_, second, first = np.sort(scores)
    return float(first - second)


def _sharpness(importance: np.ndarray) -> float:
    """One minus the entropy of each row, averaged by the rows' importance; NaN of one column."""
    if importance.shape[1] == 1:
        return np.nan
    per_row = 1 - entropy(importance.T + TINY, base=importance.shape[1])
    return float(np.average(per_row, weights=importance.sum(1)))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else np.nan
