"""How long folder.py trains, on what batches and augmentation, and which model it uses."""

import csv
import json

import numpy as np
import pytest
import torch
from helpers import rows_of, run_example
from PIL import Image

import ccvae_pyro
from ccvae_pyro.io import checkpoint
from ccvae_pyro.training import Score

NUM = 48  # of which 40 are for training


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Symmetric noise, dark or bright, with a label of either and one that is about sides."""
    root, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    lines = ["file,bright,left"]
    for i in range(NUM):
        pixels = rng.integers(128, size=(20, 20, 3), dtype=np.uint8) + 127 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"{i:02}.png")
        lines.append(f"{i:02}.png,{'' if i % 5 == 0 else i % 2},{i // 2 % 2}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    with (root / "labels.csv").open() as file:
        rows = [row[:2] for row in csv.reader(file)]
    (root / "one.csv").write_text("\n".join(map(",".join, rows)) + "\n")
    return root


def run(root, out, *arguments, labels="one.csv"):
    given = ["--root", root, "--labels", root / labels, "--out", out, "--device", "cpu"]
    result = run_example("folder.py", *given, "--precision", "float32", *arguments)
    assert result.returncode == 0, result.stderr
    return result


def config_of(out):
    return json.loads((out / "metrics.json").read_text())["config"]


def test_a_run_says_its_length_and_uses_its_best_model(folder, tmp_path, monkeypatch):
    scores = iter([0.1, 0.9, 0.5])
    monkeypatch.setattr(Score, "__call__", lambda self, evaluation: next(scores))
    out = tmp_path / "run"
    result = run(folder, out, "--steps", 7)
    assert (
        "40 training images: batches of 16, 3 epochs, 9 steps (--batch-size, --epochs or --steps "
        "to choose)\naugmentation: flips\n"
    ) in result.stdout
    assert f"best checkpoint: epoch 2 of 3, {out / 'best.pt'}" in result.stdout
    config = config_of(out)
    assert "steps" not in config
    assert [config[key] for key in ("epochs", "batch_size", "shift", "flip")] == [3, 16, 0, True]
    torch.set_default_dtype(torch.float32)
    best = ccvae_pyro.load(out / "best.pt").eval()
    for before, after in zip(
        rows_of(folder / "one.csv"), rows_of(out / "imputed.csv"), strict=True
    ):
        if not before["bright"]:
            x = ccvae_pyro.data.read_image(folder / before["file"], best.preprocessing)
            assert ccvae_pyro.predict(best, x)[0].item() == float(after["bright"])
    # A resumed run keeps what was chosen by itself or by its options.
    scores = iter([0.2])
    result = run(folder, out, "--resume", "--epochs", 4)
    assert "batches of 16, 4 epochs, 12 steps" in result.stdout
    assert f"best checkpoint: epoch 2 of 4, {out / 'best.pt'}" in result.stdout
    assert "batches of 16, 4 epochs, 12 steps" in run(folder, out, "--resume").stdout


def test_small_sets_have_thousands_of_steps_by_default(folder, tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(ccvae_pyro, "train", stop)
    given = ["--root", folder, "--labels", folder / "one.csv", "--out", tmp_path / "run"]
    result = run_example("folder.py", *given, "--device", "cpu")
    assert result.returncode == 130
    expected = "40 training images: batches of 16, 1000 epochs, evaluated after every 25, 3,000 st"
    assert expected in result.stdout


def test_a_label_of_sides_forbids_flips_and_a_batch_shrinks_to_the_set(folder, tmp_path):
    out = tmp_path / "run"
    arguments = ["--epochs", 1, "--batch-size", 500, "--final-model", "last"]
    result = run(folder, out, *arguments, labels="labels.csv")
    assert "40 training images: batches of 40, 1 epoch, 1 step (" in result.stdout
    why = "no flips, since 'left' speaks of 'left' (--flip on to flip)"
    assert f"augmentation: shifts of up to 4 pixels, warps of up to 0.05; {why}" in result.stdout
    assert config_of(out)["flip"] is False
    assert not (out / "best.pt").exists()
    assert "best checkpoint" not in result.stdout
    result = run(folder, out, "--overwrite", "--epochs", 1, "--flip", "on", labels="labels.csv")
    assert "augmentation: flips\n" in result.stdout
    assert checkpoint.read(out / "best.pt")["epoch"] == 1


def test_a_run_has_epochs_or_steps(folder, tmp_path):
    given = ["--root", folder, "--labels", folder / "one.csv", "--out", tmp_path / "run"]
    result = run_example("folder.py", *given, "--epochs", 2, "--steps", 10)
    assert result.returncode == 2
    assert "--steps: not allowed with argument --epochs" in result.stderr
