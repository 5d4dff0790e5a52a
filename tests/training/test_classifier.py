"""The classifier alone: it learns what can be learned, of the labels that are known only."""

import numpy as np
import pyro
import pytest
import torch

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages, hide_labels
from ccvae_pyro.labels import binaries
from ccvae_pyro.training.classifier import conditional_generation_accuracy, train_classifier


@pytest.fixture
def data() -> LabeledImages:
    """Images whose two halves are bright or dark, as their two labels say."""
    torch.set_default_dtype(torch.float32)
    rng, rows = np.random.default_rng(0), np.arange(240)
    labels = rng.integers(0, 2, (240, 2)).astype(np.float32)
    halves = np.repeat(labels, 14, axis=1)[:, None, :, None] * 150 + 50
    images = np.broadcast_to(halves, (240, 28, 28, 1)) + rng.integers(0, 30, (240, 28, 28, 1))
    splits = {"train": rows[:200], "valid": rows[200:220], "test": rows[200:]}
    return LabeledImages(images.astype(np.uint8), labels, binaries(("left", "right")), splits)


@pytest.fixture
def reader(data):
    pyro.set_rng_seed(0)
    ccvae = ccvae_pyro.mnist(2, 4)
    train_classifier(ccvae, Batches(hide_labels(data, 0.5, missing="entries"), 20), 6)
    return ccvae


def test_finds_labels_half_of_which_it_was_told(reader, data):
    figures = ccvae_pyro.evaluate(reader, Batches(data, 20).held_out("test"))
    assert figures["balanced_accuracy"] > 0.95


def test_leaves_decoder_and_priors_as_they_were(reader):
    start = ccvae_pyro.mnist(2, 4)
    assert torch.equal(reader.conditional_prior.loc_true, start.conditional_prior.loc_true)
    assert not torch.equal(reader.classifier.weight, start.classifier.weight)


class Painter(torch.nn.Module):
    """A decoder that paints what it is told to."""

    def forward(self, z):
        halves = (z[:, :2] > 0).float().repeat_interleave(14, dim=1) * 0.6 + 0.2
        return pyro.distributions.Delta(halves[:, None, None].expand(-1, 1, 28, 28), event_dim=3)


def test_reads_what_was_ordered_off_a_model_that_obeys(reader, data):
    obedient = ccvae_pyro.mnist(2, 4)
    obedient.conditional_prior.raw_scale_false.data.fill_(-10.0)
    obedient.conditional_prior.raw_scale_true.data.fill_(-10.0)
    obedient.decoder = Painter()
    y = torch.from_numpy(data.labels[data.splits["test"]])
    assert conditional_generation_accuracy(obedient, reader, y) > 0.95
    assert conditional_generation_accuracy(obedient, reader, y.flip(1)) > 0.95
    obedient.conditional_prior.loc_true.data.fill_(-2.0)  # deaf to all but "without"
    assert conditional_generation_accuracy(obedient, reader, y) == pytest.approx(0.5)
