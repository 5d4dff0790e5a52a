"""The benchmark of a model beside trivial baselines, in Python and by measure.py."""

import json
import shutil

import pytest
import torch
from helpers import run_example

import ccvae_pyro
from ccvae_pyro.data import Batches, load_avatars
from ccvae_pyro.evaluation.benchmark import benchmark


@pytest.fixture(scope="module")
def untrained(avatars_root):
    """The benchmark of an untrained model, with another one as the oracle."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    data = load_avatars(avatars_root, 240).select(["Sunglasses", "Beard", "Black_Hair"])
    model, oracle = (ccvae_pyro.celeba(labels=data.described(), z_dim=6) for _ in range(2))
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


def test_models_are_measured_side_by_side(avatars_root, tmp_path):
    small = ["--num-images", 120, "--attributes", 3, "--epochs", 1, "--batch-size", 50]
    for name, objective in {"exact": "exact", "paper": "paper"}.items():
        out = ["--root", avatars_root, "--out", tmp_path / name, "--objective", objective]
        assert run_example("celeba.py", *small, *out).returncode == 0
    runs = [tmp_path / "exact", tmp_path / "paper"]
    arguments = [*runs, "--root", avatars_root, "--out", tmp_path, "--oracle-epochs", 1]
    result = run_example("measure.py", *arguments)
    assert result.returncode == 0, result.stderr
    assert "| metric | exact | paper | trivial baseline | real images |" in result.stdout
    measured = json.loads((tmp_path / "measured.json").read_text())
    labels = json.loads((tmp_path / "exact" / "metrics.json").read_text())["per_label"]
    for name in ("exact", "paper"):
        assert set(measured[name]["edit_accuracy"]) == set(labels)
        assert (tmp_path / f"change_{name}.png").stat().st_size > 0
    assert "| edit accuracy |" in (tmp_path / "measured.md").read_text()


def test_runs_with_other_labels_are_an_error(avatars_root, tmp_path):
    small = ["--num-images", 120, "--epochs", 1, "--batch-size", 50, "--root", avatars_root]
    for count in (2, 3):
        out = ["--attributes", count, "--out", tmp_path / str(count)]
        assert run_example("celeba.py", *small, *out).returncode == 0
    arguments = [tmp_path / "2", tmp_path / "3", "--root", avatars_root, "--oracle-epochs", 1]
    result = run_example("measure.py", *arguments)
    assert result.returncode == 2
    assert "has other labels than" in result.stderr.splitlines()[-1]


def test_runs_on_celeba_are_measured(celeba_root, tmp_path):
    root = shutil.copytree(celeba_root, tmp_path / "celeba")
    arguments = ["--data", "celeba", "--root", root, "--attributes", 2, "--batch-size", 12]
    result = run_example("celeba.py", *arguments, "--epochs", 1, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    arguments = [tmp_path / "run", "--root", root, "--oracle-epochs", 1]
    result = run_example("measure.py", *arguments)
    assert result.returncode == 0, result.stderr
    assert "| conditional generation accuracy |" in result.stdout
