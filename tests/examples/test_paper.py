"""The paper's experiment, on a few images in CelebA's layout."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers import EXAMPLES, assert_refused, rows_of, run_example
from PIL import Image

sys.path.append(str(EXAMPLES))

import paper

import ccvae_pyro
from ccvae_pyro.data import Batches
from ccvae_pyro.io import checkpoint

SMALL = ["--attributes", 5, "--epochs", 2, "--fractions", 0.2, 1, "--oracle-epochs", 1]
FIGURES = ("accuracies", "walks", "samples", "swaps")


def options(root, cache, out, *arguments):
    given = ["--root", root, "--cache", cache, "--out", out, *SMALL, "--num-edited", 6]
    return [str(option) for option in (*given, *arguments)]


def run(*arguments):
    return run_example("paper.py", *options(*arguments))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def finished(celeba_root, cache, tmp_path_factory):
    """The folder of four models with two shares of labels, and what was printed.

    The first process is killed in the middle of a cell, and another one goes on.
    """
    out = tmp_path_factory.mktemp("runs") / "paper"
    command = [sys.executable, str(EXAMPLES / "paper.py"), *options(celeba_root, cache, out)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
    )
    while process.poll() is None and not is_within_second_cell(out):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 1 <= len([*out.glob("*/cell.json")]) < 8
    result = run(celeba_root, cache, out)
    assert result.returncode == 0, result.stderr
    return out, result


def is_within_second_cell(out):
    """Whether the second cell has a checkpoint, but not yet its measures."""
    begun = {path.parent for path in out.glob("*/checkpoint.pt")}
    return len(begun) > 1 and any(not (folder / "cell.json").exists() for folder in begun)


def test_each_model_and_share_is_in_tables_and_figures(finished):
    out, _ = finished
    rows = rows_of(out / "paper.csv")
    assert [(row["model"], row["fraction"]) for row in rows] == [
        (model, fraction) for model in paper.IN_PAPER for fraction in ("0.2", "1.0")
    ]
    for row in rows:
        measures = {key: row[key] != "" for key in ("accuracy", *paper.MEASURES)}
        assert measures["accuracy"]
        assert measures["conditional_generation_accuracy"]
        assert measures["edit_accuracy"] is (row["model"] != "mvae")  # which cannot edit
        if row["model"] in ("paper", "diva"):
            assert measures["swap_distance"]
    lines = (out / "paper.md").read_text().splitlines()
    assert lines[0] == "| model | f = 0.2 | f = 1 |"
    assert [line.split("|")[1].strip() for line in lines[2:6]] == ["CCVAE", "M2", "DIVA", "MVAE"]
    assert "published_accuracies.csv has none, as they were not verified" in lines[-1]
    assert len((out / "measures.md").read_text().splitlines()) == 2 + 8
    for name in FIGURES:
        with Image.open(out / f"{name}.png") as figure:
            assert figure.width > 500


def test_the_settings_are_those_of_the_authors_code(finished):
    """Their command line: 95 epochs, batches of 200, Adam of 1e-4; 45 latents, Laplace of 1."""
    args = paper.parse([])
    assert (args.epochs, args.fractions, args.seeds) == (95, [0.004, 0.06, 0.2, 1.0], [0])
    assert args.models == ["paper", "m2", "diva", "mvae"]
    assert paper.BATCH_SIZE == 200
    settings = paper.settings_of(paper.Cell("paper", 0.2, 95, 0))
    assert (settings.learning_rate, settings.decay_fraction, settings.z_dim) == (1e-4, 0, 45)
    assert (settings.likelihood_scale, settings.num_label_samples) == (1, 100)
    out, _ = finished
    for model in paper.IN_PAPER:
        path = out / f"{model}-1-2-0" / "checkpoint.pt"
        contents = checkpoint.read(path)
        rates = {
            group["lr"]
            for state in contents["optimizer"].values()
            for group in state["param_groups"]
        }
        assert rates == {1e-4}
        assert float(ccvae_pyro.load(path).decoder.scale) == 1.0
    rows = {row["model"]: row for row in rows_of(out / "paper.csv") if row["fraction"] == "1.0"}
    assert float(rows["paper"]["classification_weight"]) == 0


def test_accuracies_are_those_of_the_checkpoint(finished, celeba_root, cache):
    out, _ = finished
    torch.set_default_dtype(torch.float32)
    args = paper.parse(options(celeba_root, cache, out))
    batches = Batches(paper.load(args), 24)
    for row in rows_of(out / "paper.csv"):
        name = f"{row['model']}-{float(row['fraction']):g}-2-0"
        model = ccvae_pyro.load(out / name / "checkpoint.pt")
        accuracy = ccvae_pyro.evaluate(model, batches.held_out("test")).accuracy
        assert float(row["accuracy"]) == pytest.approx(accuracy)


def test_labeled_images_are_as_frequent_in_batches_as_in_the_data(
    celeba_root, cache, tmp_path, monkeypatch
):
    """An epoch shows each image once, and so each label, as in the authors' code."""
    args = paper.parse(options(celeba_root, cache, tmp_path))
    seen = []

    def record(cell, model, settings, batches, folder):
        seen.append((batches.label_fraction, batches.num_images, settings.classification_weight))
        raise KeyboardInterrupt

    data = paper.load(args)
    monkeypatch.setattr(paper, "train", record)
    with pytest.raises(KeyboardInterrupt):
        paper.measure(args, paper.Cell("m2", 0.2, 2, 0), data)
    assert seen[0][:2] == (pytest.approx(5 / 24), 24)
    assert seen[0][2] == pytest.approx(0.1 * 24 / 5)


def test_finished_cells_are_not_run_again(finished, celeba_root, cache):
    out, first = finished
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*.*")}
    again = run(celeba_root, cache, out)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/*.*")} == before
    assert (
        again.stdout[again.stdout.index("| model") :]
        == (first.stdout[first.stdout.index("| model") :])
    )


def test_a_killed_run_ends_with_the_numbers_of_one_that_was_not(
    finished, celeba_root, cache, tmp_path
):
    killed, _ = finished
    some = ["--models", "paper", "m2", "--fractions", 0.2]
    assert run(celeba_root, cache, tmp_path / "out", *some).returncode == 0
    expected = rows_of(tmp_path / "out" / "paper.csv")
    assert len(expected) == 2
    rows = rows_of(killed / "paper.csv")
    for other in expected:
        (row,) = (r for r in rows if all(r[k] == other[k] for k in ("model", "fraction")))
        assert {**row, "seconds": ""} == {**other, "seconds": ""}


def test_published_accuracies_are_beside_ours(finished, celeba_root, cache, tmp_path):
    out, _ = finished
    path = tmp_path / "published.csv"
    path.write_text("model,label_fraction,accuracy,source\npaper,1,0.5,a test\nm2,1,,a test\n")
    result = run(celeba_root, cache, out, "--published", path)
    assert result.returncode == 0, result.stderr
    lines = (out / "paper.md").read_text().splitlines()
    assert lines[0] == "| model | f = 0.2 | f = 1 | f = 1, published |"
    assert lines[2].endswith("| .500 |")
    assert lines[3].endswith("|  |")
    path.write_text("model,accuracy\npaper,half\n")
    refused = run(celeba_root, cache, tmp_path / "other", "--published", path)
    assert_refused(refused, "wanted the columns model, label_fraction", tmp_path / "other")


def test_the_file_of_published_accuracies_has_a_line_with_a_source_for_each_cell():
    with paper.PUBLISHED.open(newline="") as file:
        rows = [*csv.DictReader(file)]
    cells = {(row["model"], float(row["label_fraction"])) for row in rows}
    assert cells == {(model, f) for model in paper.IN_PAPER for f in paper.FRACTIONS}
    assert all(row["source"] for row in rows)


def test_other_data_in_the_same_folder_are_refused(finished, celeba_root, cache):
    out, _ = finished
    before = json.loads((out / "config.json").read_text())
    result = run(celeba_root, cache, out, "--num-images", 24)
    assert result.returncode == 2
    assert "--num-images" in result.stderr.splitlines()[-1]
    assert json.loads((out / "config.json").read_text()) == before


BAD = {
    "no such model": (["--models", "vae"], "invalid choice: 'vae'"),
    "no share": (["--fractions", "0"], "wanted a number above 0"),
    "more than all": (["--fractions", "2"], "wanted a number from 0 to 1"),
    "no images": (["--root", "nowhere"], "nowhere is not in CelebA's layout"),
    "other data": (["--data", "avatar"], "wanted avatars, celeba or hf:SET"),
    "too many attributes": (["--attributes", "6"], "--attributes must be between 1 and 5, got 6"),
    "no csv": (["--published", "nowhere.csv"], "nowhere.csv"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line(celeba_root, cache, tmp_path, arguments, message):
    result = run(celeba_root, cache, tmp_path / "out", *arguments)
    assert_refused(result, message, tmp_path / "out")
