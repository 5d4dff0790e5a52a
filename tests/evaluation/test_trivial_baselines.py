"""Trivial baselines of reconstructions: the average image and principal components."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA

from ccvae_pyro.data import LabeledImages
from ccvae_pyro.evaluation import trivial_reconstructions
from ccvae_pyro.labels import binaries


def make_data(images, num_train):
    rows = np.arange(len(images))
    splits = {"train": rows[:num_train], "valid": rows[num_train:], "test": rows[:0]}
    labels = np.zeros((len(images), 1), dtype=np.float32)
    return LabeledImages(images, labels, binaries(["Hat"]), splits)


@pytest.fixture
def data():
    """Images that vary in few directions, besides noise."""
    rng = np.random.default_rng(0)
    patterns = rng.normal(size=(4, 12 * 10 * 3))
    images = 128 + 20 * rng.normal(size=(90, 4)) @ patterns + rng.normal(size=(90, 360))
    return make_data(images.clip(0, 255).astype(np.uint8).reshape(90, 12, 10, 3), 60)


def test_principal_components_are_those_of_scikit_learn(data):
    train, valid = (data.images[data.splits[s]].reshape(-1, 360) / 255 for s in ("train", "valid"))
    pca = PCA(3, svd_solver="full").fit(train)
    reconstructed = pca.inverse_transform(pca.transform(valid)).clip(0, 1)
    baselines = trivial_reconstructions(data, "valid", 3)
    assert baselines.num_components == 3
    expected = np.abs(reconstructed - valid).mean()
    assert baselines.principal_components == pytest.approx(expected, rel=0.02)
    assert baselines.principal_components < baselines.average_image / 1.2


def test_the_average_image_is_the_median_where_most_pixels_are_white():
    rng = np.random.default_rng(0)
    images = np.where(rng.random((60, 8, 8, 1)) < 0.2, 0, 255).astype(np.uint8)
    data = make_data(images, 40)
    share_of_black = (images[40:] == 0).mean()
    average = trivial_reconstructions(data, "valid").average_image
    assert average == pytest.approx(share_of_black)  # all images come out white
    mean = np.abs(images[40:] / 255 - images[:40].mean(0) / 255).mean()
    assert average < mean


def test_there_are_no_more_components_than_images_allow(data):
    few = replace(data, splits=data.splits | {"train": np.arange(5)})
    assert trivial_reconstructions(few, "valid", 50).num_components == 4
    one = replace(data, splits=data.splits | {"train": np.arange(1)})
    baselines = trivial_reconstructions(one, "valid", 50)
    assert baselines.num_components == 0
    assert np.isnan(baselines.principal_components)
    difference = data.images[60:] / 255 - data.images[0] / 255
    assert baselines.average_image == pytest.approx(np.abs(difference).mean(), rel=1e-5)


def test_large_images_are_few(data, monkeypatch):
    monkeypatch.setattr("ccvae_pyro.evaluation.trivial_baselines.MAX_PIXELS", 10 * 360)
    assert trivial_reconstructions(data, "valid", 50).num_components == 9


def test_images_that_are_all_the_same_have_no_error():
    baselines = trivial_reconstructions(
        make_data(np.full((9, 4, 4, 1), 7, np.uint8), 6), "valid", 3
    )
    assert baselines.average_image == 0
    assert baselines.principal_components == pytest.approx(0, abs=1e-6)


def test_without_held_out_images_there_is_nothing_to_measure(data):
    with pytest.raises(ValueError, match="of the split 'test', got 60 and 0"):
        trivial_reconstructions(data, "test")
