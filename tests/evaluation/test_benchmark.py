"""The figures of a model, beside those of what knows nothing."""

import json
import shutil

import pytest
import torch
from helpers import run_example

import ccvae_pyro
from ccvae_pyro.data import Batches, load_avatars
from ccvae_pyro.evaluation.benchmark import judge


@pytest.fixture(scope="module")
def judged(avatars_root):
    """A model that has not learned anything, judged by another."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    data = load_avatars(avatars_root, 240).select(["Sunglasses", "Beard", "Black_Hair"])
    model, reader = (ccvae_pyro.celeba(labels=data.described(), z_dim=6) for _ in range(2))
    batches = Batches(data, 20)
    return model, reader, batches, judge(model, reader, batches, num_images=20)


def test_figures_agree_with_the_functions_they_come_from(judged):
    model, _, batches, (figures, effects) = judged
    found = ccvae_pyro.evaluate(model, batches.held_out("test"))
    for key in ("accuracy", "balanced_accuracy", "auroc", "reconstruction_error"):
        assert figures[key].value == pytest.approx(found[key])
    assert figures["accuracy"].nothing == pytest.approx(found["majority_accuracy"])
    means = [found["balanced_accuracy"] for found in effects.effectiveness.values()]
    assert figures["edits_met"].value == pytest.approx(sum(means) / 3)
    assert figures["dominance"].value == pytest.approx(effects.dominance)


def test_what_knows_nothing_is_beside_it(judged):
    _, _, batches, (figures, _) = judged
    x = torch.cat([x for x, _ in batches.held_out("test")])
    mean = torch.cat([x for x, _ in batches.held_out("valid")]).mean(0)
    error = (x - mean).abs().mean().item()
    assert figures["reconstruction_error"].nothing == pytest.approx(error)
    assert figures["orders_met"].nothing == figures["read_off_style"].nothing == 0.5
    assert figures["swap_distance"].nothing > 0
    distance = figures["frechet_distance"]
    assert distance.truth < distance.nothing


def test_models_are_measured_side_by_side(avatars_root, tmp_path):
    small = ["--num-images", 120, "--attributes", 3, "--epochs", 1, "--batch-size", 50]
    for name, objective in {"exact": "exact", "paper": "paper"}.items():
        out = ["--root", avatars_root, "--out", tmp_path / name, "--objective", objective]
        assert run_example("celeba.py", *small, *out).returncode == 0
    runs = [tmp_path / "exact", tmp_path / "paper"]
    arguments = [*runs, "--root", avatars_root, "--out", tmp_path, "--reader-epochs", 1]
    result = run_example("measure.py", *arguments)
    assert result.returncode == 0, result.stderr
    assert "| figure | exact | paper | knows nothing | true images |" in result.stdout
    measured = json.loads((tmp_path / "measured.json").read_text())
    labels = json.loads((tmp_path / "exact" / "metrics.json").read_text())["per_label"]
    for name in ("exact", "paper"):
        assert set(measured[name]["edits_met"]) == set(labels)
        assert (tmp_path / f"change_{name}.png").stat().st_size > 0
    assert "| edits met |" in (tmp_path / "measured.md").read_text()


def test_runs_of_other_labels_are_refused(avatars_root, tmp_path):
    small = ["--num-images", 120, "--epochs", 1, "--batch-size", 50, "--root", avatars_root]
    for count in (2, 3):
        out = ["--attributes", count, "--out", tmp_path / str(count)]
        assert run_example("celeba.py", *small, *out).returncode == 0
    arguments = [tmp_path / "2", tmp_path / "3", "--root", avatars_root, "--reader-epochs", 1]
    result = run_example("measure.py", *arguments)
    assert result.returncode == 2
    assert "is of other labels than" in result.stderr.splitlines()[-1]


def test_runs_on_celeba_are_measured(celeba_root, tmp_path):
    root = shutil.copytree(celeba_root, tmp_path / "celeba")
    arguments = ["--data", "celeba", "--root", root, "--attributes", 2, "--batch-size", 12]
    result = run_example("celeba.py", *arguments, "--epochs", 1, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    arguments = [tmp_path / "run", "--root", root, "--reader-epochs", 1]
    result = run_example("measure.py", *arguments)
    assert result.returncode == 0, result.stderr
    assert "| orders met |" in result.stdout
