"""What samples gives the same numbers twice, and leaves the global generator as it was."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

import ccvae_pyro
from ccvae_pyro import Binary, Continuous, ExactCCVAE_ELBO, evaluate, how_exact
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.evaluation.benchmark import benchmark
from ccvae_pyro.evaluation.edit_metrics import pixel_variance
from ccvae_pyro.evaluation.generative_metrics import (
    EncoderFeatures,
    conditional_generation_accuracy,
    image_distances,
)
from ccvae_pyro.evaluation.importance import importance_weights, inference_data, log_p_x
from ccvae_pyro.models import baseline

LABELS = (Binary("Hat"), Continuous("Age", 3.0, 2.0))


@pytest.fixture
def models():
    """A model, an oracle, and a baseline."""
    models = [ccvae_pyro.mnist(labels=LABELS, z_dim=5, convolutions=False) for _ in range(2)]
    # The oracle takes half of the generated images for either value of the binary label.
    generated = ccvae_pyro.generate(models[0], torch.zeros(99, 2))
    bias = models[1].classifier.of_group[0].bias
    bias.data = -models[1].encode(generated)[0][:, :1].median(0).values.detach()
    return [*models, baseline("vae", LABELS, 5, images="mlp")]


@pytest.fixture
def batches():
    rng, rows = np.random.default_rng(0), np.arange(60)
    images = rng.integers(256, size=(60, 28, 28, 1), dtype=np.uint8)
    labels = np.stack([rows % 2, rng.normal(3, 2, 60)], axis=1).astype(np.float32)
    splits = {"train": rows[:20], "valid": rows[20:40], "test": rows[40:]}
    torch.set_default_dtype(torch.float32)
    return Batches(LabeledImages(images, labels, LABELS, splits), 10)


def distances(models, x, y, seed):
    features = EncoderFeatures(models[1], 5)
    return image_distances(features, [x], [x.flip(0) ** 2], subset_size=4, seed=seed).kernel


def bound(models, x, y, seed):
    objective = ExactCCVAE_ELBO()
    return evaluate(models[0], [(x, y), (x, y)], objective, seed=seed).bound


STOCHASTIC = {
    "evaluate": bound,
    "image_distances": distances,
    "conditional_generation_accuracy": lambda models, x, y, seed: conditional_generation_accuracy(
        *models[:2], y.repeat(20, 1), seed=seed
    ),
    "pixel_variance": lambda models, x, y, seed: pixel_variance(models[0], x, 0, 1, seed=seed),
    "importance_weights": lambda models, x, y, seed: (
        importance_weights(models[0], x, y, 20, seed=seed).images
    ),
    "log_p_x": lambda models, x, y, seed: log_p_x(models[0], x, 20, seed=seed),
    "log_p_x of a baseline": lambda models, x, y, seed: log_p_x(models[2], x, 5, seed=seed),
    "inference_data": lambda models, x, y, seed: torch.as_tensor(
        inference_data(models[0], x, y, 10, seed=seed).posterior["z_c"].values
    ),
}


@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_seed_gives_the_same_numbers_and_the_generator_goes_on(name, batches, models):
    compute, (x, y) = STOCHASTIC[name], next(batches.held_out("test"))
    torch.manual_seed(5)
    first = compute(models, x, y, 0)
    following = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), following)
    second, other = compute(models, x, y, 0), compute(models, x, y, 1)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_without_a_seed_the_generator_is_used(name, batches, models):
    compute, (x, y) = STOCHASTIC[name], next(batches.held_out("test"))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    compute(models, x, y, None)
    assert not torch.equal(torch.get_rng_state(), before)


def test_a_benchmark_is_the_same_twice(batches, models):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = benchmark(*models[:2], batches, num_images=20)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    second = benchmark(*models[:2], batches, num_images=20)
    assert repr(asdict(second)["metrics"]) == repr(asdict(first)["metrics"])
    other = benchmark(*models[:2], batches, num_images=20, seed=1)
    assert repr(asdict(other)["metrics"]) != repr(asdict(first)["metrics"])


def test_the_batches_of_a_bound_have_samples_of_their_own(batches, models):
    x, y = next(batches.held_out("test"))
    one, two = (evaluate(models[0], [(x, y)] * n, ExactCCVAE_ELBO()).bound for n in (1, 2))
    assert one != two


def test_to_ask_how_exact_an_objective_is_samples_nothing(batches, models):
    before = torch.get_rng_state()
    how_exact(models[0], next(batches.held_out("test"))[0])
    assert torch.equal(torch.get_rng_state(), before)
