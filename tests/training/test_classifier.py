"""Supervised training of the classifier, from the known labels."""

import numpy as np
import pyro
import pytest
import torch

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages, hide_labels
from ccvae_pyro.labels import binaries
from ccvae_pyro.training import train_classifier

LABELS = binaries(("left", "right"))


@pytest.fixture
def data() -> LabeledImages:
    """Images with two halves, each bright or dark as one of two labels says."""
    torch.set_default_dtype(torch.float32)
    rng, rows = np.random.default_rng(0), np.arange(240)
    labels = rng.integers(0, 2, (240, 2)).astype(np.float32)
    halves = np.repeat(labels, 14, axis=1)[:, None, :, None] * 150 + 50
    images = np.broadcast_to(halves, (240, 28, 28, 1)) + rng.integers(0, 30, (240, 28, 28, 1))
    splits = {"train": rows[:200], "valid": rows[200:220], "test": rows[220:]}
    return LabeledImages(images.astype(np.uint8), labels, LABELS, splits)


@pytest.fixture
def trained(data):
    pyro.set_rng_seed(0)
    ccvae = ccvae_pyro.mnist(z_dim=4, labels=LABELS)
    train_classifier(ccvae, Batches(hide_labels(data, 0.5, missing="entries"), 20), 6)
    return ccvae


def test_half_of_the_labels_are_enough_to_learn_them(trained, data):
    metrics = ccvae_pyro.evaluate(trained, Batches(data, 20).held_out("test"))
    assert metrics.balanced_accuracy > 0.95


def test_decoder_and_priors_do_not_change(trained):
    start = ccvae_pyro.mnist(z_dim=4, labels=LABELS)
    assert torch.equal(trained.conditional_prior.loc_true, start.conditional_prior.loc_true)
    assert not torch.equal(trained.classifier.weight, start.classifier.weight)


def test_labels_of_the_data_are_those_of_the_model(data):
    ccvae = ccvae_pyro.mnist(z_dim=4, labels=LABELS[::-1])
    with pytest.raises(ValueError, match=r"label 1 of the data is 'left' .* the model 'right'"):
        train_classifier(ccvae, Batches(data, 20), 1)
