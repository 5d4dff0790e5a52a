"""Few images, and labels of one value or of none: NaN where undefined, and no traceback."""

import numpy as np
import pytest
import torch

import ccvae_pyro
from ccvae_pyro import Binary, Categorical, Continuous
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.evaluation.benchmark import benchmark
from ccvae_pyro.evaluation.disentanglement import (
    dci,
    mutual_information_gap,
    separated_attribute_predictability,
)
from ccvae_pyro.evaluation.edit_metrics import EditMetrics, edit_metrics, swap_distance
from ccvae_pyro.evaluation.generative_metrics import conditional_generation_accuracy
from ccvae_pyro.evaluation.importance import importance_weights, log_p_x, pareto_k
from ccvae_pyro.evaluation.latent_probes import encode_all, linear_probes

LABELS = (
    Binary("Hat"),
    Categorical("Hair", ("black", "red", "grey")),
    Continuous("Age", 3.0, 2.0),
)
VALUES = {
    "known": lambda rows: np.stack([rows % 2, rows // 2 % 3, rows * 0.5], axis=1),
    "constant": lambda rows: np.ones((len(rows), 3)),
    "missing": lambda rows: np.full((len(rows), 3), np.nan),
}


@pytest.fixture
def models():
    torch.set_default_dtype(torch.float32)
    return [ccvae_pyro.mnist(labels=LABELS, z_dim=6, convolutions=False) for _ in range(2)]


def small(num_images, labels="known", num_held_out=None):
    """As many images to train, to validate and to test."""
    num_held_out = num_images if num_held_out is None else num_held_out
    rows = np.arange(num_images + 2 * num_held_out)
    images = np.random.default_rng(0).integers(256, size=(len(rows), 28, 28, 1), dtype=np.uint8)
    splits = dict(
        zip(
            ("train", "valid", "test"),
            np.split(rows, [num_images, num_images + num_held_out]),
            strict=True,
        )
    )
    values = VALUES[labels](rows).astype(np.float32)
    return Batches(LabeledImages(images, values, LABELS, splits), min(num_images, 4))


@pytest.mark.parametrize("labels", VALUES)
@pytest.mark.parametrize("num_images", [1, 2, 3, 7])
def test_a_benchmark_of_few_images_is_nan_where_it_is_undefined(models, num_images, labels):
    metrics = benchmark(*models, small(num_images, labels), num_images=5).metrics
    assert metrics["edit_accuracy"].value >= 0
    assert metrics["reconstruction_error"].value > 0
    undefined = {name for name, metric in metrics.items() if np.isnan(metric.value)}
    assert ("frechet_distance" in undefined) == (num_images == 1)
    assert ("mig" in undefined) == (labels != "known" or num_images == 1)
    assert ("accuracy" in undefined) == (labels == "missing")


def test_a_benchmark_without_held_out_images_says_so(models):
    with pytest.raises(ValueError, match=r"wanted validation and test images, got 0 and 0"):
        benchmark(*models, small(4, num_held_out=0), num_images=5)


def test_a_model_without_images_is_not_evaluated(models):
    x = torch.zeros(0, 1, 28, 28)
    with pytest.raises(ValueError, match="wanted at least one batch of images"):
        ccvae_pyro.evaluate(models[0], [])
    with pytest.raises(ValueError, match="wanted images to edit"):
        edit_metrics(*models, x)
    with pytest.raises(ValueError, match="wanted at least one image to sample the latents of"):
        log_p_x(models[0], x)
    with pytest.raises(
        ValueError, match="num_samples must be a whole number of at least 1, got 0"
    ):
        importance_weights(models[0], torch.zeros(2, 1, 28, 28), num_samples=0)


@pytest.mark.parametrize("index", [0, 1], ids=["model", "oracle"])
def test_a_model_that_is_not_finite_is_not_measured(models, index):
    next(models[index].parameters()).data.fill_(torch.nan)
    with pytest.raises(ValueError, match="the latents of a CCVAE are not finite"):
        benchmark(*models, small(4), num_images=5)


@pytest.mark.parametrize("measure", [edit_metrics, conditional_generation_accuracy])
def test_an_oracle_of_other_labels_is_refused(models, measure):
    other = ccvae_pyro.mnist(labels=LABELS[::-1], z_dim=6, convolutions=False)
    with pytest.raises(ValueError, match=r"label 1 of the oracle is 'Age' .*the model 'Hat'"):
        measure(models[0], other, torch.zeros(2, 1, 28, 28))


def test_donors_that_do_not_differ_have_no_unit(models):
    x = torch.rand(3, 1, 28, 28)
    for donor in (x[:1].expand(3, -1, -1, -1), x[:1]):
        assert np.isnan(swap_distance(models[0], x[: len(donor)], donor, "Hat")).all()


def test_edits_without_any_change_have_no_dominance():
    assert np.isnan(EditMetrics({}, np.zeros((2, 2))).dominance)
    assert EditMetrics({}, np.eye(2)).dominance == np.inf


def test_one_sample_has_no_tail():
    assert np.isnan(pareto_k(torch.zeros(1, 3))).all()


@pytest.mark.parametrize("labels", ["constant", "missing"])
def test_labels_of_one_value_have_no_probe(models, labels):
    train, test = (
        encode_all(models[0], small(8, each).held_out("test")) for each in ("known", labels)
    )
    for data in ((train, test), (test, train)):
        scores = linear_probes(models[0], *data)
        assert all(np.isnan(list(parts.values())).all() for parts in scores.values())


def test_one_latent_has_no_second_best():
    z, y = np.arange(8.0)[:, None], np.arange(8)[:, None] % 2
    assert np.isnan(mutual_information_gap(z, y))
    assert np.isnan(separated_attribute_predictability(z, y, z, y))
    assert np.isnan(dci(z, y, z, y).completeness)


def test_constant_latents_predict_nothing():
    z, y = np.zeros((8, 3)), np.stack([np.arange(8) % 2, np.arange(8.0)], axis=1)
    assert mutual_information_gap(z, y, continuous=[1]) == 0
    assert separated_attribute_predictability(z, y, z, y, continuous=[1]) == 0
    scores = dci(z, y, z, y, continuous=[1])
    assert np.isnan([scores.disentanglement, scores.completeness]).all()
    assert scores.informativeness == pytest.approx(0.25)  # of one half and 0
