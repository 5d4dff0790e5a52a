"""Metrics of disentanglement, where they are known by construction or from another library."""

from dataclasses import astuple

import numpy as np
import pytest

from ccvae_pyro.evaluation.disentanglement import (
    dci,
    mutual_information_gap,
    separated_attribute_predictability,
)


def factors(num=600, seed=0):
    return np.random.default_rng(seed).integers(0, [2, 3, 2], (num, 3))


def halves(z, y):
    half = len(z) // 2
    return z[:half], y[:half], z[half:], y[half:]


def test_one_latent_for_each_label_is_disentangled():
    y = factors()
    z = y + 0.01 * np.random.default_rng(1).normal(size=y.shape)
    assert mutual_information_gap(z, y) > 0.95
    scores = dci(*halves(z, y))
    assert all(score > 0.95 for score in astuple(scores))
    # The second best latent is at chance, with 2, 3 and 2 values.
    gap = separated_attribute_predictability(*halves(z, y))
    assert gap == pytest.approx(1 - (1 / 2 + 1 / 3 + 1 / 2) / 3, abs=0.1)


def test_latents_of_noise_have_low_scores():
    y = factors()
    z = np.random.default_rng(1).normal(size=(len(y), 4))
    assert mutual_information_gap(z, y) < 0.05
    assert separated_attribute_predictability(*halves(z, y)) < 0.06
    scores = dci(*halves(z, y))
    assert scores.disentanglement < 0.1
    assert scores.completeness < 0.1
    assert scores.informativeness < 0.55


def test_duplicate_latents_have_no_gap():
    y = factors()
    z = np.concatenate([y, y], axis=1).astype(float)
    assert mutual_information_gap(z, y) == pytest.approx(0, abs=1e-9)
    assert separated_attribute_predictability(*halves(z, y)) == pytest.approx(0, abs=1e-9)


def test_the_values_are_those_of_disentanglement_lib():
    rng = np.random.default_rng(0)
    y = rng.integers(0, [2, 3, 2], (400, 3))
    z = np.concatenate([y + 0.4 * rng.normal(size=y.shape), rng.normal(size=(400, 2))], axis=1)
    z[:, 0] += 0.5 * y[:, 1]
    z[:, 3] += 0.6 * y[:, 2]
    # The results of google-research/disentanglement_lib.
    assert mutual_information_gap(z, y) == pytest.approx(0.497730382583919)
    gap = separated_attribute_predictability(*halves(z, y))
    assert gap == pytest.approx(0.21)
    gap = separated_attribute_predictability(*halves(z, y), continuous=range(3))
    assert gap == pytest.approx(0.5212523228358305)
    # Its trees shuffle their features without a seed.
    scores = dci(*halves(z, y))
    assert scores.disentanglement == pytest.approx(0.521, abs=0.01)
    assert scores.completeness == pytest.approx(0.553, abs=0.01)
    assert scores.informativeness == pytest.approx(0.86, abs=0.01)


def test_missing_labels_are_left_out():
    y = factors().astype(float)
    z = y + 0.01 * np.random.default_rng(1).normal(size=y.shape)
    y[::2, 0] = np.nan
    y = np.column_stack([y, np.ones(len(y))])  # and a constant label
    assert mutual_information_gap(z, y) > 0.95
    assert dci(*halves(z, y)).disentanglement > 0.95
    assert np.isnan(mutual_information_gap(z, y[:, 3:]))
    assert np.isnan(astuple(dci(z, y[:, 3:], z, y[:, 3:]))).all()


def test_continuous_labels_are_predicted_by_regression():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(400, 2))
    z = np.column_stack([y[:, 0], 3 - y[:, 1], rng.normal(size=400)])
    assert mutual_information_gap(z, y, continuous=(0, 1)) > 0.8
    assert separated_attribute_predictability(*halves(z, y), continuous=(0, 1)) > 0.95
    scores = dci(*halves(z, y), continuous=(0, 1))
    assert all(score > 0.9 for score in astuple(scores))
