"""Warnings during training, of models that are no better than a trivial baseline."""

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import SVI

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.evaluation import (
    Evaluation,
    binary_metrics,
    evaluate,
    trivial_reconstructions,
    verdict,
)
from ccvae_pyro.labels import binaries
from ccvae_pyro.training.watch import Watch

NUM_TRAIN, NUM_VALID = 120, 60


def strokes(seed=0, labels=("noise", "horizontal")):
    """White images of 64x64 pixels with black strokes; one label is noise, one describes them."""
    rng = np.random.default_rng(seed)
    num_images = NUM_TRAIN + NUM_VALID
    images = np.full((num_images, 64, 64, 1), 255, dtype=np.uint8)
    y = rng.integers(0, 2, (num_images, 2)).astype(np.float32)
    for image, (_, is_horizontal) in zip(images, y, strict=True):
        row, column = rng.integers(4, 40, 2)
        height, width = (4, 20) if is_horizontal else (20, 4)
        image[row : row + height, column : column + width] = 0
    rows = np.arange(num_images)
    splits = {"train": rows[:NUM_TRAIN], "valid": rows[NUM_TRAIN:], "test": rows[:0]}
    return LabeledImages(images, y, binaries(["noise", "horizontal"]), splits).select(labels)


def train(model, data, num_epochs, out, learning_rate=2e-3, **options):
    objective = ccvae_pyro.ExactCCVAE_ELBO(classification_weight=300.0)
    adam = ccvae_pyro.make_adam(learning_rate)
    svi = SVI(model.model, model.guide, adam, loss=objective)
    return ccvae_pyro.train(model, svi, Batches(data, 20), num_epochs, out, **options)


def paper_model(data):
    torch.set_default_dtype(torch.float32)
    pyro.set_rng_seed(0)
    return ccvae_pyro.celeba(labels=data.label_types, z_dim=12, channels=1, likelihood_scale=0.5)


def warnings_of(text):
    return [line for line in text.splitlines() if line.startswith("warning")]


def test_a_decoder_that_died_on_mostly_white_images_is_found(tmp_path, capsys):
    data = strokes(labels=["noise"])
    model = paper_model(data)
    result = train(model, data, 4, tmp_path)
    x, y = data.batch(data.splits["valid"])
    assert ccvae_pyro.reconstruct(model, x).mean() > 0.95  # they come out white
    images, labels = warnings_of(capsys.readouterr().out)  # once each, not in each epoch
    assert images.startswith("warning after epoch 2 of 4: reconstructions are no better than the")
    assert labels.startswith("warning after epoch 2 of 4: 'noise' (balanced accuracy")
    found = verdict(
        result.history, evaluate(model, [(x, y)]), trivial_reconstructions(data, "valid", 12)
    )
    codes = [finding.code for finding in found]
    assert codes[:2] == ["reconstructions_like_average_image", "labels_not_predicted"]


def test_a_model_that_learns_is_not_warned_of(tmp_path, capsys):
    """Its images are bright where its label is true."""
    rows, rng = np.arange(300), np.random.default_rng(0)
    y = (rows % 2).astype(np.float32)[:, None]
    brightness = 60 + 120 * y + 20 * rng.normal(size=y.shape)
    images = (brightness[:, :, None, None] + np.zeros((28, 28, 1))).astype(np.uint8)
    splits = {"train": rows[:200], "valid": rows[200:]}
    data = LabeledImages(images, y, binaries(["bright"]), splits)
    torch.set_default_dtype(torch.float32)
    pyro.set_rng_seed(0)
    model = ccvae_pyro.mnist(labels=data.label_types, z_dim=6, convolutions=False)
    result = train(model, data, 8, tmp_path, learning_rate=1e-3)
    assert warnings_of(capsys.readouterr().out) == []
    evaluation = evaluate(model, Batches(data, 20).held_out("valid"))
    baselines = trivial_reconstructions(data, "valid")
    codes = {finding.code for finding in verdict(result.history, evaluation, baselines)}
    assert codes <= {"still_falling"}


@pytest.fixture
def evaluation():
    """Metrics of a model that has learned nothing."""
    noise = binary_metrics(np.arange(60) % 2, np.full(60, 0.9))
    return Evaluation(*[np.nan] * 7, per_label={"noise": noise}, reconstruction_error=0.5)


@pytest.mark.parametrize(
    ("num_epochs", "first_of_images", "first_of_labels"), [(4, 2, 2), (30, 3, 15), (3, 2, 2)]
)
def test_warnings_have_patience(evaluation, capsys, num_epochs, first_of_images, first_of_labels):
    watch = Watch(strokes(), num_epochs)
    for epoch in range(1, num_epochs + 1):
        watch.look(evaluation, epoch)
    images, labels = warnings_of(capsys.readouterr().out)
    assert images.startswith(f"warning after epoch {first_of_images} of {num_epochs}: reconstr")
    assert labels.startswith(f"warning after epoch {first_of_labels} of {num_epochs}: 'noise'")


@pytest.mark.parametrize("num_epochs", [1, 2])
def test_after_the_last_epoch_there_is_the_verdict_only(evaluation, capsys, num_epochs):
    watch = Watch(strokes(), num_epochs)
    for epoch in range(1, num_epochs + 1):
        watch.look(evaluation, epoch)
    assert capsys.readouterr().out == ""
