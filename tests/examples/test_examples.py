"""The examples, small: what they leave behind, and what they say to bad input."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from html import escape

import pytest
import torch
from helpers import EXAMPLES, assert_refused, rows_of, run_example, write_mnist
from PIL import Image

import ccvae_pyro

EXAMPLE = EXAMPLES / "celeba.py"
SMALL = ["--num-images", "120", "--batch-size", "25", "--epochs", "2"]
FIGURES = {"history", "reconstructions", "walk", "walk_2d", "confusion", "samples", "edits"}
FIGURES |= {"swaps", "variations", "interpolations"}


def options(root, out, *arguments):
    """The example's options; the last of one given twice wins."""
    return [str(option) for option in (*SMALL, "--root", root, "--out", out, *arguments)]


def run(*arguments):
    return run_example("celeba.py", *options(*arguments))


@pytest.fixture(scope="session")
def finished(avatars_root, tmp_path_factory):
    """The folder of a small run that was not interrupted."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    result = run(avatars_root, out, "--attributes", "4")
    assert result.returncode == 0, result.stderr
    return out


def test_a_run_writes_metrics_figures_and_history(finished):
    assert {path.stem for path in (finished / "figures").glob("*.png")} == FIGURES
    assert len((finished / "history.csv").read_text().splitlines()) == 3
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics.keys() == {
        "accuracy", "balanced_accuracy", "majority_accuracy", "average_precision", "auroc",
        "reconstruction_error", "bound", "per_label", "seconds_per_epoch", "config",
        "by_bayes_rule", "calibration_error", "predictor", "samples", "verdict",
    }  # fmt: skip
    assert list(metrics["per_label"]) == ["Afro", "Bald", "Beard", "Black_Clothes"]
    assert metrics["config"]["attributes"] == ["4"]
    torch.load(finished / "checkpoint.pt", weights_only=True)


def test_a_run_of_two_epochs_is_told_to_train_longer(finished, avatars_root, tmp_path):
    """Its verdict is in metrics, report and console alike."""
    out = shutil.copytree(finished, tmp_path / "run")
    found = json.loads((out / "metrics.json").read_text())["verdict"]
    assert "still_falling" in [finding["code"] for finding in found]
    page = (out / "report.html").read_text(encoding="utf-8")
    shown = run(avatars_root, out, "--attributes", "4", "--resume").stdout
    for finding in found:
        assert f"verdict: {finding['message']}" in shown.splitlines()
        assert escape(finding["message"][1:]) in page


def without_times(path):
    metrics = json.loads(path.read_text())
    return {key: value for key, value in metrics.items() if key != "seconds_per_epoch"}


def test_the_same_seed_gives_the_same_numbers(finished, avatars_root, tmp_path):
    assert run(avatars_root, tmp_path / "again", "--attributes", "4").returncode == 0
    again = without_times(tmp_path / "again" / "metrics.json")
    assert json.dumps(again) == json.dumps(without_times(finished / "metrics.json"))


def test_a_killed_run_resumes_to_the_same_end(finished, avatars_root, tmp_path):
    rng = random.Random(0)
    resumed = options(avatars_root, tmp_path / "run", "--attributes", "4", "--resume")
    resumed += ["--checkpoint-minutes", "0.0001"]  # after each step
    path = tmp_path / "run" / "checkpoint.pt"
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, EXAMPLE, *resumed], stderr=subprocess.DEVNULL, start_new_session=True
        )
        before = path.stat().st_mtime_ns if path.exists() else 0
        while (
            process.poll() is None and (path.stat().st_mtime_ns if path.exists() else 0) == before
        ):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        if process.poll() is None:  # not already at its end
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    result = run(avatars_root, tmp_path / "run", "--attributes", "4", "--resume")
    assert result.returncode == 0, result.stderr
    ends = [
        torch.load(folder / "checkpoint.pt", weights_only=True)["model"]
        for folder in (tmp_path / "run", finished)
    ]
    assert [name for name, value in ends[0].items() if not torch.equal(value, ends[1][name])] == []
    again = without_times(tmp_path / "run" / "metrics.json")
    assert json.dumps(again) == json.dumps(without_times(finished / "metrics.json"))


def test_labels_may_be_few_and_named(avatars_root, tmp_path):
    arguments = ["--attributes", "Sunglasses", "Wearing_Hat", "--label-fraction", "0.25"]
    arguments += [
        "--objective",
        "paper-true-gradient",
        "--classification-weight",
        "50",
        "--epochs",
        "1",
    ]
    assert run(avatars_root, tmp_path, *arguments).returncode == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics["per_label"]) == ["Sunglasses", "Wearing_Hat"]


def test_single_entries_may_be_missing(avatars_root, tmp_path):
    arguments = ["--attributes", "4", "--label-fraction", "0.5", "--missing", "entries"]
    assert run(avatars_root, tmp_path, *arguments, "--epochs", "1").returncode == 0
    config = json.loads((tmp_path / "metrics.json").read_text())["config"]
    assert (config["objective"], config["likelihood_scale"]) == ("exact", 0.5)


# The columns without a value, by model.
SETTINGS = {"classification_weight", "consistency_weight", "likelihood_scale"}
MISSING = {
    "exact": set(),
    "m1_m2": {"bound"},
    "cvae": {"accuracy", "balanced_accuracy", "average_precision", "reconstruction_error"}
    | {"bound", "log_p_x"},
    "classifier": {"reconstruction_error", "conditional_generation_accuracy", "bound", "log_p_x"},
}


def test_a_comparison_tabulates_every_cell_and_runs_none_twice(avatars_root, tmp_path):
    arguments = ["--root", avatars_root, "--out", tmp_path, "--num-images", "120"]
    arguments += ["--attributes", "3", "--label-fractions", "0.5", "--epochs", "1"]
    arguments += ["--batch-size", "50", "--models", "exact", "m1_m2", "cvae", "classifier"]
    first = run_example("compare.py", *arguments)
    assert first.returncode == 0, first.stderr
    rows = rows_of(tmp_path / "compare.csv")
    assert len(rows) == 4
    of = {row["model"]: row for row in rows}
    for model, missing in MISSING.items():
        assert {key for key, value in of[model].items() if not value} - SETTINGS == missing
    for name in ("compare.md", "compare.png", "faces.png"):
        assert (tmp_path / name).stat().st_size > 0
    again = run_example("compare.py", *arguments)
    assert again.stdout.splitlines()[-1] == first.stdout.splitlines()[-1]
    assert "batch/s" in first.stderr
    assert "batch/s" not in again.stderr


def test_settings_are_compared_on_mnist(tmp_path):
    write_mnist(tmp_path, num_images=60)
    arguments = ["--data", "fashion", "--root", tmp_path, "--out", tmp_path / "out", "--epochs", 1]
    arguments += ["--models", "exact", "--classification-weights", 1, 30, "--batch-size", 20]
    result = run_example("compare.py", *arguments, "--decay-fraction", 0)
    assert result.returncode == 0, result.stderr
    checkpoints = [*(tmp_path / "out").glob("*/checkpoint.pt")]
    assert len(checkpoints) == 2
    for path in checkpoints:  # the rate has not fallen
        of_params = torch.load(path, weights_only=True)["optimizer"].values()
        assert {state["param_groups"][0]["lr"] for state in of_params} == {2e-3, 2e-2}
    rows = rows_of(tmp_path / "out" / "compare.csv")
    assert [row["classification_weight"] for row in rows] == ["1.0", "30.0"]
    again = run_example("compare.py", *arguments[:2], "--root", tmp_path / "nowhere")
    assert again.returncode == 2
    assert "FashionMNIST is not in" in again.stderr


def test_baselines_are_compared_by_the_number_of_labels_of_each_class(tmp_path):
    write_mnist(tmp_path, num_images=300)
    arguments = ["--data", "fashion", "--root", tmp_path, "--out", tmp_path / "out", "--epochs", 1]
    arguments += ["--models", "m2", "paper", "--num-labels", "10", "20", "--networks", "mlp"]
    result = run_example("compare.py", *arguments)
    assert result.returncode == 0, result.stderr
    rows = rows_of(tmp_path / "out" / "compare.csv")
    cells = [(row["labels"], row["model"]) for row in rows]
    assert cells == [("10", "paper"), ("10", "m2"), ("20", "paper"), ("20", "m2")]
    assert all(float(row["log_p_x"]) < 0 for row in rows)
    checkpoint = next((tmp_path / "out").glob("paper-*/checkpoint.pt"))
    ccvae = ccvae_pyro.load(checkpoint)
    assert not any(isinstance(part, torch.nn.Conv2d) for part in ccvae.modules())
    assert ccvae.labels[0].dim == 19  # all but one of the latents


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-labels", "100"], "--num-labels needs a label with classes"),
        (["--data", "mnist", "--num-labels", "15"], "--num-labels are multiples of 10, got [15]"),
    ],
)
def test_invalid_numbers_of_labels_are_an_error(arguments, message):
    result = run_example("compare.py", *arguments)
    assert result.returncode == 2
    assert message in result.stderr


def test_the_report_holds_all_figures(finished):
    page = (finished / "report.html").read_text()
    assert page.count("data:image/webp;base64,") == len(FIGURES)
    assert "<summary>Settings</summary>" in page
    assert len(page) < 10_000_000


@pytest.fixture
def photo(tmp_path):
    """An image of another size and shape than the training images."""
    path = tmp_path / "photo.png"
    Image.effect_mandelbrot((90, 70), (-2, -1, 1, 1), 20).save(path)
    return path


EDITS = {
    "set": ["--set", "Beard=1", "--set", "Bald=0", "--num-std", "2"],
    "swap": ["--label", "Beard", "--swap-from"],
    "walk": ["--walk", "Beard", "Bald"],
}


@pytest.mark.parametrize("name", EDITS)
def test_an_image_is_edited_and_plotted(finished, photo, tmp_path, name):
    picture, arguments = tmp_path / "edited.png", EDITS[name]
    arguments = [*arguments, photo] if arguments[-1] == "--swap-from" else arguments
    checkpoint = finished / "checkpoint.pt"
    result = run_example("edit.py", checkpoint, photo, *arguments, "--out", picture)
    assert result.returncode == 0, result.stderr
    assert f"the figure is in {picture}" in result.stdout
    with Image.open(picture) as drawn:
        assert drawn.width > drawn.height


def test_an_image_is_edited_by_the_pretrained_model(photo, tmp_path):
    arguments = [
        photo,
        "--set",
        "Wearing_Hat=1",
        "--keep-conflicting",
        "--out",
        tmp_path / "hat.png",
    ]
    result = run_example("edit.py", "avatars", *arguments)
    assert result.returncode == 0, result.stderr
    result = run_example("edit.py", "faces", *arguments)
    assert result.returncode == 2
    assert "no pretrained model is called 'faces': there are avatars" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "Beard"], "wanted NAME=VALUE, such as Beard=1, got 'Beard'"),
        (["--set", "Beard=1", "--set", "Beard=0"], "--set sets a label to two values"),
        (["--set", "0=1"], "no label is called '0'"),
        (["--set", "Beard=nan"], "a value between 0 and 1, got 'nan'"),
        (["--set", "Bread=1"], "no label is called 'Bread': did you mean Beard"),
        (["--set", "Beard=maybe"], "'Beard' is set to yes or no, true or false, or a value betw"),
        (["--swap-from", EXAMPLE], "celeba.py cannot be read as an image"),
        (["--set", "x" * 300 + "=1"], "no label is called '" + "x" * 79 + "...: there are "),
    ],
)
def test_a_bad_edit_is_refused(finished, photo, arguments, message):
    result = run_example("edit.py", finished / "checkpoint.pt", photo, *arguments)
    assert result.returncode == 2
    assert message in result.stderr


@pytest.mark.parametrize("name", ["e.xyz", "e.png.exe", "."])
def test_a_file_that_no_figure_is_written_to_is_refused_at_once(tmp_path, name):
    arguments = ["no model", "no image", "--set", "Beard=1", "--out", tmp_path / name]
    result = run_example("edit.py", *arguments)
    assert result.returncode == 2
    assert "wanted the file of a figure, such as edited.png or edited.pdf, got" in result.stderr


def test_the_folder_of_a_run_stands_for_its_checkpoint(finished, photo, tmp_path):
    arguments = [photo, "--set", "Beard=yes", "--out", tmp_path / "edited.PDF"]
    result = run_example("edit.py", finished, *arguments)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "edited.PDF").read_bytes().startswith(b"%PDF")
    result = run_example("edit.py", tmp_path / "none", *arguments)
    assert result.returncode == 2
    assert f"there is no checkpoint at {tmp_path / 'none'}" in result.stderr


def test_the_objectives_are_tabulated_and_drawn(tmp_path):
    arguments = ["--num-labels", "3", "--seeds", "0", "1", "--steps", "2", "--out", tmp_path]
    result = run_example("objectives.py", *arguments)
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "objectives.csv").read_text().splitlines()) == 11
    assert (tmp_path / "objectives.md").read_text().count("\n") == 7
    assert (tmp_path / "objectives.png").stat().st_size > 0


def test_a_graph_needs_a_cuda_device(tmp_path):
    result = run_example(
        "celeba.py", "--cuda-graph", "on", "--device", "cpu", "--out", tmp_path / "run"
    )
    assert_refused(result, "--cuda-graph on needs a CUDA device, got cpu", tmp_path / "run")


def test_help_explains_every_option():
    result = subprocess.run(
        [sys.executable, EXAMPLE, "--help"], capture_output=True, text=True, check=True
    )
    text = " ".join(result.stdout.split())
    for option in ("--data", "--resume", "--precision", "--label-fraction", "--out"):
        assert f" {option} " in text
    assert "the same seed gives the same run" in text


BAD_INPUT = {
    "attribute": (["--attributes", "Glasses"], "no label is called 'Glasses': did you mean Sungl"),
    "number": (["--attributes", "41"], "--attributes must be between 1 and 40, got 41"),
    "fraction": (
        ["--label-fraction", "2"],
        "--label-fraction: wanted a number from 0 to 1, got 2",
    ),
    "z_dim": (["--z-dim", "18"], "characteristics that the labels take, 18, to leave room"),
    "device": (["--device", "abacus"], "there is no device 'abacus' here"),
    "folder": (["--data", "celeba"], "is not in CelebA's layout"),
    "epochs": (["--epochs", "0"], "--epochs: wanted a whole number of at least 1, got 0"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(avatars_root, tmp_path, arguments, message):
    result = run(avatars_root, tmp_path / "run", *arguments)
    assert_refused(result, message, tmp_path / "run")


def test_another_model_is_not_resumed(finished, avatars_root):
    result = run(avatars_root, finished, "--attributes", "4", "--z-dim", "9", "--resume")
    assert result.returncode == 2
    assert "was trained with --z-dim 45, not 9" in result.stderr


def test_a_run_with_the_options_of_an_earlier_version_is_resumed(finished, avatars_root, tmp_path):
    former = {"decay_fraction": "cool_down", "final_weight": "last_weight"}
    former |= {"consistency_weight": "order_weight"}
    config = json.loads((finished / "config.json").read_text())
    config = {former.get(key, key): value for key, value in config.items()}
    assert config["objective"] == "exact"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(config | {"objective": "tilted"}))
    contents = torch.load(finished / "checkpoint.pt", weights_only=True)
    del contents["settings"]  # earlier versions did not keep them
    torch.save(contents, tmp_path / "run" / "checkpoint.pt")
    result = run(avatars_root, tmp_path / "run", "--attributes", "4", "--resume")
    assert result.returncode == 0, result.stderr
    again = without_times(tmp_path / "run" / "metrics.json")
    assert json.dumps(again) == json.dumps(without_times(finished / "metrics.json"))


def test_a_truncated_checkpoint_is_not_resumed(finished, avatars_root, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("config.json", "checkpoint.pt"):
        contents = (finished / name).read_bytes()
        keep = 3000 if name == "checkpoint.pt" else None
        (tmp_path / "run" / name).write_bytes(contents[:keep])
    result = run(avatars_root, tmp_path / "run", "--attributes", "4", "--resume")
    assert result.returncode == 2
    assert "checkpoint.pt cannot be read: truncated" in result.stderr.splitlines()[-1]
