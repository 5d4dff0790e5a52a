"""Simple baselines of labels and images: they learn, from the known labels alone."""

import sys

import numpy as np
import pytest
import torch
from helpers import EXAMPLES

from ccvae_pyro.data import LabeledImages
from ccvae_pyro.evaluation.label_metrics import summarize
from ccvae_pyro.labels import Binary, Categorical, Continuous, num_outcomes

sys.path.append(str(EXAMPLES))

import photograph_sets
import simple_baselines

LEARNERS = {
    "logistic": simple_baselines.logistic_regression,
    "svm": simple_baselines.pca_svm,
    "cnn": simple_baselines.cnn,
}


@pytest.fixture(autouse=True)
def single_precision(fresh_pyro):
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def digits():
    """scikit-learn's digits, ten of each class labeled, at 16 pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photograph_sets, "DIGIT_SIZE", 16)
        return photograph_sets.load_small_digits(None, None, "few", 0)


@pytest.fixture(scope="module")
def squares():
    """Squares on noise: corner, size and brightness, half of the training labels missing."""
    rng, num = np.random.default_rng(0), 500
    labels = np.stack([rng.integers(4, size=num), rng.integers(2, size=num)], axis=1)
    brightness = rng.uniform(0.3, 1, num)
    images = rng.uniform(0, 0.2, (num, 16, 16, 1))
    for image, (corner, is_large), bright in zip(images, labels, brightness, strict=True):
        row, column, side = 8 * (corner // 2), 8 * (corner % 2), 7 if is_large else 4
        image[row : row + side, column : column + side] = bright
    values = np.column_stack([labels, 100 * brightness]).astype(np.float32)
    values[:350][rng.random((350, 3)) < 0.5] = np.nan
    types = (Categorical("corner", tuple("abcd")), Binary("large"), Continuous("brightness"))
    splits = {"train": np.arange(300), "valid": np.arange(300, 350), "test": np.arange(350, num)}
    return LabeledImages((255 * images).astype(np.uint8), values, types, splits)


def measured(data, outcomes):
    y = data.labels[data.splits["test"]].astype(np.float64)
    return summarize(data.label_types, [(y, outcomes)]).per_label


def without(data, split_or_label):
    """The data without the labels of a split, or without those of a label, to learn from."""
    labels = data.labels.copy()
    if isinstance(split_or_label, str):
        labels[data.splits[split_or_label]] = np.nan
    else:
        labels[data.splits["train"], split_or_label] = np.nan
    return LabeledImages(data.images, labels, data.label_types, data.splits)


def test_ten_digits_of_a_class_are_enough_for_three_of_four(digits):
    assert np.count_nonzero(~np.isnan(digits.labels[digits.splits["train"]])) == 100
    majority = measured(digits, simple_baselines.majority(digits, 0))["digit"].accuracy
    assert 0.05 < majority < 0.15


@pytest.mark.parametrize("name", LEARNERS)
def test_digits_are_told_apart_by_ten_of_a_class(digits, name):
    steps = {"steps": 100} if name == "cnn" else {}
    assert measured(digits, LEARNERS[name](digits, 0, **steps))["digit"].accuracy > 0.8


@pytest.mark.parametrize("name", LEARNERS)
def test_labels_of_all_kinds_are_learned_from_their_known_cells(squares, name):
    steps = {"steps": 200} if name == "cnn" else {}
    metrics = measured(squares, LEARNERS[name](squares, 0, **steps))
    majority = measured(squares, simple_baselines.majority(squares, 0))
    assert metrics["corner"].accuracy > 0.95
    assert metrics["large"].accuracy > 0.85
    error = "mean_absolute_error"
    # The linear one cannot tell a bright square from a large one.
    limit = {"logistic": 0.8}.get(name, 0.65) * getattr(majority["brightness"], error)
    assert getattr(metrics["brightness"], error) < limit
    assert getattr(majority["brightness"], error) == pytest.approx(17.5, abs=2)  # 70 / 4


@pytest.mark.parametrize("name", [*LEARNERS, "majority"])
def test_a_label_without_a_known_value_and_a_set_without_validation_labels_are_no_error(
    squares, name
):
    learner = (LEARNERS | {"majority": simple_baselines.majority})[name]
    steps = {"steps": 100} if name == "cnn" else {}
    for data in (without(squares, 1), without(squares, "valid")):
        outcomes = learner(data, 0, **steps)
        assert outcomes.shape == (150, sum(map(num_outcomes, squares.label_types)))
        assert np.isfinite(outcomes).all()
        metrics = measured(squares, outcomes)
        assert metrics["corner"].accuracy > (0.9 if name != "majority" else 0.1)


def test_the_loss_is_the_mean_over_known_cells(squares):
    y = torch.tensor([[1.0, 1.0, torch.nan], [torch.nan, 0.0, torch.nan]])
    outputs = torch.tensor([[0.0, 2.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0]]), *torch.ones(2, 2, 1)
    expected = torch.logsumexp(outputs[0][0], 0) - 2
    positive, negative = torch.tensor(-1.0).exp().log1p(), torch.tensor(1.0).exp().log1p()
    expected = expected + (positive + negative) / 2
    torch.testing.assert_close(simple_baselines.loss_of(outputs, y, squares), expected)


def test_the_cnn_depends_on_its_seed_only(squares):
    torch.manual_seed(3)
    first = simple_baselines.cnn(squares, 0, steps=3)
    drawn = torch.rand(3)
    torch.manual_seed(3)
    torch.testing.assert_close(torch.rand(3), drawn)  # it leaves the generator as it was
    assert np.array_equal(simple_baselines.cnn(squares, 0, steps=3), first)
    assert not np.array_equal(simple_baselines.cnn(squares, 1, steps=3), first)


def test_more_components_reconstruct_better_and_all_of_them_exactly(digits):
    x = simple_baselines.pixels(digits, digits.splits["test"])
    errors = [np.abs(simple_baselines.mean_image(digits, 0) - x).mean()]
    for number in (1, 5, 30, 256):
        reconstructed = simple_baselines.pca_reconstructions(digits, 0, num_components=number)
        errors.append(np.abs(reconstructed - x).mean())
    assert all(np.diff(errors) < 0)
    assert errors[3] < errors[0] / 3
    assert errors[4] < 1e-4


def test_components_are_those_of_a_part_of_many_images(digits, monkeypatch):
    monkeypatch.setattr(simple_baselines, "MAX_PCA_IMAGES", 20)
    pca = simple_baselines.fit_pca(digits, 100, seed=0)
    assert pca[-1].n_components_ == 20
    again = simple_baselines.fit_pca(digits, 100, seed=1)
    assert not np.allclose(pca[-1].mean_, again[-1].mean_)
