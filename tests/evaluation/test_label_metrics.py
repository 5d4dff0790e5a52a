"""Scores of labels whose answers are made to have them."""

import numpy as np
import pytest

from ccvae_pyro.evaluation.label_metrics import scores_of_classes, scores_of_truth


def test_an_answer_that_is_as_sure_as_it_is_right_is_calibrated():
    probability = np.repeat([0.15, 0.45, 0.85], 100)
    y = np.concatenate([np.arange(100) < share for share in (15, 45, 85)]).astype(float)
    scores = scores_of_truth(y, probability)
    assert scores["calibration_error"] == pytest.approx(0, abs=1e-6)
    sure = scores_of_truth(y, (probability > 0.5).astype(float))
    # What is said to be certain is wrong that often, on average.
    assert sure["calibration_error"] == pytest.approx((0.15 + 0.45 + 0.15) / 3, abs=1e-6)


def test_auroc_is_how_often_of_two_images_the_right_one_is_likelier():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 50).astype(float)
    probability = rng.random(50)
    pairs = [a > b for a in probability[y == 1] for b in probability[y == 0]]
    assert scores_of_truth(y, probability)["auroc"] == pytest.approx(np.mean(pairs))


def test_classes_have_them_too():
    y = np.array([0, 1, 2, 1])
    right = np.eye(3)[y]
    scores = scores_of_classes(y, right)
    assert scores["auroc"] == 1
    assert scores["calibration_error"] == pytest.approx(0, abs=1e-6)
    timid = scores_of_classes(y, 0.5 * right + 0.5 / 3)
    assert timid["auroc"] == 1
    assert timid["calibration_error"] == pytest.approx(1 / 3, abs=1e-6)


def test_one_value_alone_has_no_auroc():
    scores = scores_of_truth(np.ones(3), np.array([0.1, 0.5, 0.9]))
    assert np.isnan(scores["auroc"])
    assert np.isnan(scores["average_precision"])
