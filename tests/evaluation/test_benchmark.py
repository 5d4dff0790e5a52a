"""The benchmark of an untrained model beside trivial baselines."""

import pytest
import torch

import ccvae_pyro
from ccvae_pyro.data import Batches, load_avatars
from ccvae_pyro.evaluation.benchmark import benchmark


@pytest.fixture(scope="module")
def untrained(avatars_root):
    """The benchmark of an untrained model, with another one as the oracle."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    data = load_avatars(avatars_root, 240).select(["Sunglasses", "Beard", "Black_Hair"])
    model, oracle = (
        ccvae_pyro.celeba(labels=data.with_empirical_priors(), z_dim=6) for _ in range(2)
    )
    batches = Batches(data, 20)
    return model, batches, benchmark(model, oracle, batches, num_images=20)


def test_metrics_agree_with_the_functions_that_compute_them(untrained):
    model, batches, result = untrained
    metrics, edits = result.metrics, result.edits
    evaluation = ccvae_pyro.evaluate(model, batches.held_out("test"))
    for key in ("accuracy", "balanced_accuracy", "auroc", "reconstruction_error"):
        assert metrics[key].value == pytest.approx(getattr(evaluation, key))
    assert metrics["accuracy"].trivial_baseline == pytest.approx(evaluation.majority_accuracy)
    accuracies = [label["balanced_accuracy"] for label in edits.edit_accuracy.values()]
    assert metrics["edit_accuracy"].value == pytest.approx(sum(accuracies) / 3)
    assert metrics["dominance"].value == pytest.approx(edits.dominance)


def test_metrics_have_trivial_baselines(untrained):
    _, batches, result = untrained
    metrics = result.metrics
    x = torch.cat([x for x, _ in batches.held_out("test")])
    mean = torch.cat([x for x, _ in batches.held_out("valid")]).mean(0)
    error = (x - mean).abs().mean().item()
    assert metrics["reconstruction_error"].trivial_baseline == pytest.approx(error)
    for key in ("conditional_generation_accuracy", "probe_accuracy_style"):
        assert metrics[key].trivial_baseline == 0.5
    assert metrics["swap_distance"].trivial_baseline > 0
    distance = metrics["frechet_distance"]
    assert distance.real_images < distance.trivial_baseline
