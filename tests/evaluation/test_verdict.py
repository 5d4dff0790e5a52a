"""The verdict on a run: each finding where it is right, and nowhere else."""

import numpy as np
import pytest

from ccvae_pyro.evaluation import (
    Evaluation,
    TrivialReconstructions,
    binary_metrics,
    categorical_metrics,
    continuous_metrics,
    verdict,
    verdict_messages,
)

BASELINES = TrivialReconstructions(0.09, 0.028, 30)
NAN = float("nan")


def history(losses, **metrics):
    """A record for each epoch; metrics are lists of one value for each."""
    columns = {"epoch": range(1, len(losses) + 1), "loss": losses} | metrics
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


LEVEL = history([900.0, 300, 150, 110, 101, 100, 100, 100, 100, 100, 100, 100])


def evaluation(error=0.02, **per_label):
    return Evaluation(*[NAN] * 7, per_label=per_label, reconstruction_error=error)


def codes(*args, **kwargs):
    return [finding.code for finding in verdict(*args, **kwargs)]


# ---- Reconstructions ----


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (0.12, ["reconstructions_like_average_image"]),
        (0.09, ["reconstructions_like_average_image"]),
        (0.0883, ["reconstructions_like_average_image"]),  # a trace of the latents
        (0.0881, ["reconstructions_worse_than_pca"]),
        (0.0287, ["reconstructions_worse_than_pca"]),
        (0.0285, []),
        (0.01, []),
        (NAN, []),  # the model reconstructs no images
    ],
)
def test_reconstructions_are_compared_with_the_average_image_and_pca(error, expected):
    assert codes(LEVEL, evaluation(error), BASELINES) == expected


def test_without_components_there_is_no_comparison_with_pca():
    assert codes(LEVEL, evaluation(0.05), TrivialReconstructions(0.09)) == []


def test_a_finding_has_the_numbers_behind_it():
    (finding,) = verdict(LEVEL, evaluation(0.082), BASELINES)
    assert "30 principal components (error 0.082 against 0.028)" in finding.message
    (finding,) = verdict(LEVEL, evaluation(0.09), BASELINES)
    assert "(error 0.090 against 0.090)" in finding.message


# ---- Labels ----


def binary(num_images, prevalence, hit_rate, false_alarms=0.0, seed=0):
    """A label that is predicted for a share of the images that have it, and of the others."""
    rng = np.random.default_rng(seed)
    y = (np.arange(num_images) < prevalence * num_images).astype(float)
    predicted = rng.random(num_images) < np.where(y == 1, hit_rate, false_alarms)
    return binary_metrics(y, np.where(predicted, 0.9, 0.1))


POOR = {
    "noise": binary(250, 0.5, 0.5, 0.5),
    "rare noise": binary(250, 0.04, 0.0, 0.0),
    "worse than chance": binary(250, 0.5, 0.2, 0.8),
    "too few images": binary(8, 0.5, 0.8, 0.5, seed=2),
    "classes by chance": categorical_metrics(
        np.arange(400) % 40, np.eye(40)[np.arange(400) // 10]
    ),
    "most frequent class": categorical_metrics(
        np.arange(100) % 3, np.tile([0.5, 0.3, 0.2], (100, 1))
    ),
    "mean": continuous_metrics(np.arange(50.0), np.full(50, 24.5)),
    "unrelated": continuous_metrics(np.arange(50.0), np.arange(50.0)[::-1]),
    "little of few": continuous_metrics(np.array([1.0, 2, 3, 4]), np.array([2.4, 2.4, 2.6, 3.0])),
}
GOOD = {
    "perfect": binary(250, 0.5, 1.0),
    "weak": binary(1000, 0.5, 0.6, 0.4),
    # Its accuracy is that of its majority, but half of the images that have it are found.
    "rare": binary(1000, 0.02, 0.6, 0.02),
    "perfect of few": binary(6, 0.5, 1.0),
    "one value": binary(50, 0.0, 0.0),
    "unknown": binary_metrics(np.zeros(0), np.zeros(0)),
    "classes": categorical_metrics(np.arange(400) % 40, np.eye(40)[np.arange(400) % 20]),
    "no class": categorical_metrics(np.zeros(0, dtype=int), np.zeros((0, 3))),
    "one class": categorical_metrics(np.zeros(9, dtype=int), np.eye(3)[np.zeros(9, dtype=int)]),
    "explained": continuous_metrics(np.arange(50.0), 15 + 0.4 * np.arange(50.0)),
    "one number": continuous_metrics(np.ones(9), np.zeros(9)),
}


@pytest.mark.parametrize("name", POOR)
def test_a_label_that_is_not_predicted_is_named(name):
    (finding,) = verdict(LEVEL, evaluation(color=GOOD["perfect"], some_label=POOR[name]))
    assert finding.code == "labels_not_predicted"
    assert "'some label'" in finding.message
    assert "color" not in finding.message


@pytest.mark.parametrize("name", GOOD)
def test_a_label_that_is_predicted_is_not_named(name):
    assert codes(LEVEL, evaluation(label=GOOD[name])) == []


def test_a_label_that_is_noise_is_found_nearly_always():
    found = [
        codes(LEVEL, evaluation(label=binary(250, 0.3, 0.3, 0.3, seed=seed))) for seed in range(60)
    ]
    assert found.count(["labels_not_predicted"]) >= 56


def test_many_labels_are_one_finding():
    poor = {f"label_{i}": POOR["noise"] for i in range(40)}
    (finding,) = verdict(LEVEL, evaluation(**poor))
    assert "'label 5'" in finding.message
    assert "'label 6'" not in finding.message
    assert "and 34 more are predicted no better" in finding.message


# ---- Training ----


@pytest.mark.parametrize("losses", [[5.0], [5.0, 4.0], [5.0, 5.0], [5.0, 6.0]])
def test_two_epochs_are_too_few(losses):
    assert codes(history(losses)) == ["still_falling"]


@pytest.mark.parametrize("num_epochs", [3, 4, 10, 29])
def test_a_loss_that_falls_steadily_is_still_falling(num_epochs):
    assert codes(history(np.linspace(900.0, 200, num_epochs).tolist())) == ["still_falling"]


def test_learning_rate_decay_does_not_hide_that_the_loss_was_falling():
    # The slope shrinks to zero over the last half, as the learning rate does.
    steps = np.concatenate([np.ones(10), np.linspace(1, 0, 10)])
    losses = -1000 - 50 * np.cumsum(steps)
    assert codes(history(losses.tolist())) == ["still_falling"]


def test_a_loss_that_has_leveled_off_is_not_still_falling():
    assert codes(LEVEL) == []
    noise = np.random.default_rng(0).normal(scale=10, size=30)
    assert codes(history((1000 * np.exp(-np.arange(30.0)) - 500 + noise).tolist())) == []


def test_a_validation_error_that_rises_is_overfitting():
    errors = [0.09, 0.07, 0.06, 0.05, 0.05, 0.052, 0.054, 0.056, 0.058, 0.06, 0.062, 0.064]
    falling = np.linspace(900.0, 200, 12).tolist()
    (finding,) = verdict(history(falling, reconstruction_error=errors))
    assert finding.code == "overfitting"
    assert "rose from 0.050 after epoch 4 to 0.064" in finding.message


@pytest.mark.parametrize(
    "errors",
    [
        [0.09, 0.07, 0.06, 0.05, 0.051, 0.05, 0.051],  # noise
        [0.09, 0.07, 0.06, 0.05, 0.06, 0.055, 0.05],  # back again
        [0.09, 0.07, 0.06, 0.055, 0.05, 0.06, 0.06],  # not for long
        [NAN] * 7,
    ],
)
def test_a_validation_error_that_varies_is_not_overfitting(errors):
    level = [900.0, 100, 90, 90, 90, 90, 90]
    assert codes(history(level, reconstruction_error=errors)) == []


@pytest.mark.parametrize(("num_images", "expected"), [(1000, ["overfitting"]), (50, []), (0, [])])
def test_accuracies_are_compared_by_their_standard_error(num_images, expected):
    accuracies = [0.7, 0.9, 0.88, 0.86, 0.85, 0.85, 0.85]
    records = history([900.0, 100, 90, 90, 90, 90, 90], accuracy=accuracies)
    assert codes(records, num_validation_images=num_images) == expected


# ---- In words ----


def test_messages_are_those_of_the_findings():
    assert verdict_messages({}) == []
    found = {"verdict": [{"code": "overfitting", "message": "it overfits"}]}
    assert verdict_messages(found) == ["it overfits"]


def test_a_good_run_is_told_so():
    (message,) = verdict_messages({"verdict": [], "reconstruction_error": 0.02})
    assert "labels and reconstructions beat the trivial baselines" in message
    (message,) = verdict_messages({"verdict": []})
    assert "no test images" in message
