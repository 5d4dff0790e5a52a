"""The folder of an example's run: what is kept, refused, resumed and left when something fails."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers import EXAMPLES, assert_refused, assert_same_states, rows_of, run_example

from ccvae_pyro import plotting
from ccvae_pyro.io import checkpoint

SMALL = ["--num-images", "120", "--batch-size", "25", "--epochs", "1", "--attributes", "3"]


def options(root, out, *arguments):
    """The options of celeba.py; the last of one given twice wins."""
    return [str(word) for word in (*SMALL, "--root", root, "--out", out, *arguments)]


def run(*arguments):
    return run_example("celeba.py", *options(*arguments))


@pytest.fixture(scope="module")
def finished(avatars_root, tmp_path_factory):
    """The folder of a run."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    result = run(avatars_root, out)
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of a run, which a test may change."""
    out = tmp_path / "run"
    for path in finished.rglob("*.*"):
        target = out / path.relative_to(finished)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return out


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.*")}


def test_a_run_is_not_overwritten_by_mistake(copy, avatars_root):
    before = files_of(copy)
    result = run(avatars_root, copy, "--epochs", 3)
    assert result.returncode == 2
    assert "holds a run: resume it (--resume, resume=True), overwrite it (--ov" in result.stderr
    assert files_of(copy) == before


def test_a_run_is_overwritten_with_its_results(copy, avatars_root, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["outcome"], "measure", interrupt)
    result = run(avatars_root, copy, "--seed", 1, "--overwrite")
    assert result.returncode == 130
    names = {path.name for path in copy.rglob("*.*") if "tfevents" not in path.name}
    assert names == {"checkpoint.pt", "history.csv", "config.json"}
    assert checkpoint.read(copy / "checkpoint.pt")["settings"]["seed"] == 1


def test_a_run_that_fails_early_does_not_overwrite_another(copy, avatars_root):
    before = files_of(copy)
    result = run(avatars_root, copy, "--overwrite", "--learning-rate", "1e6")
    assert result.returncode == 2
    assert "the loss became " in result.stderr.splitlines()[-1]
    assert files_of(copy) == before


def test_a_run_is_resumed_with_the_settings_of_its_checkpoint(copy, avatars_root):
    # As a kill leaves it that comes after config.json and before the first checkpoint.
    config = json.loads((copy / "config.json").read_text()) | {"learning_rate": 0.1}
    (copy / "config.json").write_text(json.dumps(config))
    arguments = ["--resume", "--epochs", "2"]
    result = run(avatars_root, copy, *arguments, "--learning-rate", "0.1")
    assert result.returncode == 2
    assert "was trained with --learning-rate 0.002, not 0.1: resume it with" in result.stderr
    assert run(avatars_root, copy, *arguments).returncode == 0
    metrics = json.loads((copy / "metrics.json").read_text())
    assert (metrics["config"]["learning_rate"], metrics["config"]["epochs"]) == (0.002, 2)
    assert run(avatars_root, copy, "--resume").returncode == 0  # one epoch, of which it has two
    assert json.loads((copy / "metrics.json").read_text())["config"]["epochs"] == 2


OTHERS = {
    "images": (["--avatar-seed", "1"], "was trained with --avatar-seed 0, not 1"),
    "labels": (["--attributes", "4"], "was trained with --attributes ['3'], not ['4']"),
}


def test_a_run_is_not_resumed_on_other_images_of_the_same_name(copy, avatars_root, monkeypatch):
    celeba = sys.modules["celeba"]
    load = celeba.load_avatars
    monkeypatch.setattr(
        celeba, "load_avatars", lambda *args, **options: load(*args, **options | {"seed": 1})
    )
    result = run(avatars_root, copy, "--resume")
    assert result.returncode == 2
    assert "checkpoint.pt was trained on other images: resume it with its own" in result.stderr


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_is_not_resumed_with_other_options(copy, avatars_root, name):
    arguments, message = OTHERS[name]
    result = run(avatars_root, copy, "--resume", *arguments)
    assert result.returncode == 2
    assert message in result.stderr


def test_two_runs_in_one_folder_are_one_too_many(avatars_root, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, EXAMPLES / "celeba.py", *options(avatars_root, out)]
    with subprocess.Popen([*command, "--epochs", "100"], stderr=subprocess.PIPE) as first:
        wait_for(out / "checkpoint.pt")
        second = run(avatars_root, out, "--resume", "--epochs", "100")
        first.send_signal(signal.SIGTERM)
        *_, last = first.communicate()[1].decode().splitlines()
    assert second.returncode == 2
    assert f"process {first.pid} on " in second.stderr
    # SIGTERM is handled as Ctrl-C is.
    assert first.returncode == 143
    assert last == "stopped by SIGTERM; resume with --resume"
    num_epochs = checkpoint.read(out / "checkpoint.pt")["epoch"] + 1
    assert run(avatars_root, out, "--resume", "--epochs", num_epochs).returncode == 0
    assert not (out / "run.lock").exists()


def wait_for(path, seconds=90):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"there is no {path}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGINT, 130, "stopped; resume with --resume"),
        (signal.SIGTERM, 143, "stopped by SIGTERM; resume with --resume"),
    ],
    ids=["Ctrl-C", "SIGTERM"],
)
@pytest.mark.parametrize("function", ["load", "draw"])
def test_a_signal_outside_of_the_training_is_one_line(
    avatars_root, tmp_path, monkeypatch, function, number, code, line
):
    def stop(*args):
        os.kill(os.getpid(), number)
        pytest.fail("the signal did not interrupt")

    assert run(avatars_root, tmp_path / "first").returncode == 0  # so that modules are loaded
    module = {"load": "celeba", "draw": "outcome"}[function]
    monkeypatch.setattr(sys.modules[module], function, stop)
    result = run(avatars_root, tmp_path / "run")
    assert result.returncode == code
    assert result.stderr.splitlines()[-1] == line
    assert (tmp_path / "run" / "metrics.json").exists() == (function == "draw")
    monkeypatch.undo()
    assert run(avatars_root, tmp_path / "run", "--resume").returncode == 0
    ends = [checkpoint.read(tmp_path / out / "checkpoint.pt")["model"] for out in ("first", "run")]
    assert_same_states(*ends)


def test_a_figure_that_fails_is_left_out_and_said(avatars_root, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError("too many classes\non one figure")

    monkeypatch.setattr(plotting, "plot_edits", fail)
    result = run(avatars_root, tmp_path / "run")
    assert result.returncode == 0
    assert (
        "the figure 'edits' is left out: MemoryError: too many classes"
        in result.stderr.splitlines()
    )
    figures = {path.stem for path in (tmp_path / "run" / "figures").iterdir()}
    assert "edits" not in figures
    assert {"history", "samples", "walk", "confusion", "swaps"} < figures
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("data:image/webp;base64,") == len(figures)


@pytest.fixture(scope="module")
def folder(avatars_root, tmp_path_factory):
    """A folder of faces and its CSV."""
    out = tmp_path_factory.mktemp("faces") / "faces"
    arguments = ["--out", out, "--num-images", 60, "--cache", avatars_root]
    result = run_example("avatar_folder.py", *arguments)
    assert result.returncode == 0, result.stderr
    return out


@pytest.mark.parametrize(
    "absent", [("valid",), ("test",), ("valid", "test")], ids=["valid", "test", "both"]
)
def test_a_partition_may_be_without_validation_or_test_images(folder, tmp_path, absent):
    files = [row["file"] for row in rows_of(folder / "labels.csv")]
    splits = [name for name in ("train", "valid", "test") if name not in absent]
    lines = [
        f"{name} {splits[i % 3 if i % 3 < len(splits) else 0]}" for i, name in enumerate(files)
    ]
    (tmp_path / "partition.txt").write_text("\n".join(lines) + "\n")
    out = tmp_path / "run"
    arguments = ["--root", folder, "--labels", folder / "labels.csv", "--epochs", 1, "--out", out]
    arguments += ["--partition", tmp_path / "partition.txt", "--batch-size", 10]
    result = run_example("folder.py", *arguments)
    assert result.returncode == 0, result.stderr
    assert ("there are no validation images" in result.stdout) == ("valid" in absent)
    assert ("there are no test images" in result.stdout) == ("test" in absent)
    metrics = json.loads((out / "metrics.json").read_text())
    assert ("accuracy" in metrics) == ("test" not in absent)
    assert ("accuracy" in rows_of(out / "history.csv")[0]) == ("valid" not in absent)
    figures = {path.stem for path in (out / "figures").iterdir()}
    assert ("reconstructions" in figures) == ("valid" not in absent)
    assert ("edits" in figures) == (len(absent) < 2)
    assert "is left out" not in result.stderr
    assert all(row["hair"] and row["lean"] for row in rows_of(out / "imputed.csv"))
    assert (out / "report.html").exists()


def test_what_is_imputed_is_written_before_figures_are_drawn(folder, tmp_path, monkeypatch):
    outcome = sys.modules["outcome"]

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(outcome, "draw", stop)
    arguments = ["--root", folder, "--labels", folder / "labels.csv", "--epochs", 1]
    result = run_example("folder.py", *arguments, "--batch-size", 10, "--out", tmp_path / "run")
    assert result.returncode == 130
    assert all(row["hair"] for row in rows_of(tmp_path / "run" / "imputed.csv"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--learning-rate", "0"], ["--learning-rate", "-1"], ["--learning-rate", "nan"],
        ["--learning-rate", "inf"], ["--likelihood-scale", "0"], ["--likelihood-scale", "nan"],
        ["--label-fraction", "1.5"], ["--label-fraction", "-0.1"], ["--decay-fraction", "nan"],
        ["--classification-weight", "-1"], ["--consistency-weight", "nan"],
        ["--final-weight", "0"],
        ["--warp", "2"], ["--shift", "-1"], ["--seed", "-1"], ["--checkpoint-minutes", "0"],
    ],
    ids=lambda words: " ".join(words),
)  # fmt: skip
def test_an_impossible_value_is_one_line(tmp_path, arguments):
    result = run(tmp_path, tmp_path / "run", *arguments)
    option, value = arguments
    message = f"error: argument {option}: wanted a "
    assert_refused(result, message, tmp_path / "run")
    assert result.stderr.rstrip().endswith(f"got {value}")


def test_annealing_from_no_weight_is_refused(avatars_root, tmp_path):
    arguments = ["--objective", "paper", "--final-weight", "5"]
    result = run(avatars_root, tmp_path / "run", *arguments)
    message = "--final-weight needs a positive --classification-weight, got 0"
    assert_refused(result, message, tmp_path / "run")


def test_a_learning_rate_that_is_too_high_is_one_line(avatars_root, tmp_path):
    result = run(avatars_root, tmp_path / "run", "--learning-rate", "1e6", "--epochs", "3")
    assert_refused(
        result, "celeba.py: error: the loss became ", tmp_path / "run" / "checkpoint.pt"
    )
    assert len([line for line in result.stderr.splitlines() if "Warning" in line]) == 0
