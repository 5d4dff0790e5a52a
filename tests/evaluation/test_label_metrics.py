import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, r2_score

from ccvae_pyro.evaluation.label_metrics import (
    balanced_accuracy,
    binary_metrics,
    categorical_metrics,
    continuous_metrics,
    ordinal_metrics,
    r_squared,
)


def test_the_calibration_error_is_the_difference_between_probability_and_accuracy():
    probability = np.repeat([0.15, 0.45, 0.85], 100)
    y = np.concatenate([np.arange(100) < share for share in (15, 45, 85)]).astype(float)
    calibrated = binary_metrics(y, probability)
    assert calibrated.calibration_error == pytest.approx(0, abs=1e-6)
    overconfident = binary_metrics(y, (probability > 0.5).astype(float))
    error_rate = (0.15 + 0.45 + 0.15) / 3
    assert overconfident.calibration_error == pytest.approx(error_rate, abs=1e-6)


def test_auroc_is_the_probability_that_a_positive_image_ranks_above_a_negative_one():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 50).astype(float)
    probability = rng.random(50)
    pairs = [a > b for a in probability[y == 1] for b in probability[y == 0]]
    assert binary_metrics(y, probability).auroc == pytest.approx(np.mean(pairs))


def test_a_categorical_label_has_the_same_metrics():
    y = np.array([0, 1, 2, 1])
    perfect = np.eye(3)[y]
    metrics = categorical_metrics(y, perfect)
    assert metrics.auroc == metrics.average_precision == 1
    assert metrics.calibration_error == pytest.approx(0, abs=1e-6)
    underconfident = categorical_metrics(y, 0.5 * perfect + 0.5 / 3)
    assert underconfident.auroc == 1
    assert underconfident.calibration_error == pytest.approx(1 / 3, abs=1e-6)


def test_classes_without_images_are_left_out_of_means():
    y = np.array([0, 0, 0, 2])
    probability = np.eye(4)[[0, 0, 1, 2]]
    metrics = categorical_metrics(y, probability)
    assert metrics.accuracy == metrics.majority_accuracy == 3 / 4
    assert metrics.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert metrics.auroc == pytest.approx((5 / 6 + 1) / 2)
    assert metrics.confusion == [[2, 1, 0, 0], [0] * 4, [0, 0, 1, 0], [0] * 4]


def test_a_binary_label_with_one_value_has_no_auroc():
    metrics = binary_metrics(np.ones(3), np.array([0.1, 0.5, 0.9]))
    assert metrics.sensitivity == metrics.accuracy == pytest.approx(1 / 3)
    missing = metrics.auroc, metrics.average_precision, metrics.specificity
    assert np.isnan([*missing, metrics.balanced_accuracy]).all()


def test_a_continuous_label_is_compared_with_its_mean():
    y = np.array([1.0, 2.0, 6.0])
    metrics = continuous_metrics(y, np.array([1.0, 3.0, 5.0]))
    assert metrics.mean_absolute_error == pytest.approx(2 / 3)
    assert metrics.baseline_mean_absolute_error == pytest.approx((2 + 1 + 3) / 3)
    assert metrics.r_squared == pytest.approx(1 - 2 / 14)


def test_balanced_accuracy_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, 3, (2, 50))
    assert balanced_accuracy(y, predicted) == pytest.approx(balanced_accuracy_score(y, predicted))
    assert np.isnan(balanced_accuracy(np.ones(3), np.ones(3)))


@pytest.mark.parametrize("predicted", [[7.0, 7.0, 7.0], [7.0, 6.0, 8.0]], ids=["right", "wrong"])
def test_a_continuous_label_with_one_value_has_no_r_squared(predicted):
    metrics = continuous_metrics(np.full(3, 7.0), np.array(predicted))
    assert np.isnan(metrics.r_squared)
    assert metrics.mean_absolute_error == pytest.approx(np.abs(np.array(predicted) - 7).mean())


def test_a_categorical_label_with_one_class_has_no_balanced_accuracy():
    metrics = categorical_metrics(np.array([1, 1]), np.eye(3)[[1, 2]])
    assert metrics.accuracy == 0.5
    missing = metrics.balanced_accuracy, metrics.auroc, metrics.average_precision
    assert np.isnan(missing).all()


def test_r_squared_is_that_of_scikit_learn():
    y, predicted = np.random.default_rng(0).normal(size=(2, 50))
    assert r_squared(y, predicted) == pytest.approx(r2_score(y, predicted))
    assert np.isnan(r_squared(np.ones(1), np.ones(1)))


def test_an_ordinal_label_is_measured_in_classes_and_in_ranks():
    y = np.array([0, 1, 3, 3])
    metrics = ordinal_metrics(y, np.eye(4)[[0, 3, 3, 2]])
    assert metrics.accuracy == 0.5
    assert metrics.mean_absolute_error == 3 / 4
    assert metrics.baseline_mean_absolute_error == (2 + 1 + 1 + 1) / 4
    assert metrics.confusion[1] == [0, 0, 0, 1]
    empty = ordinal_metrics(y[:0], np.zeros((0, 4)))
    assert np.isnan([empty.accuracy, empty.mean_absolute_error]).all()
