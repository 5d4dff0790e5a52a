"""The benchmark of trained models by measure.py."""

import json
import shutil

from helpers import run_example


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


def test_a_folder_without_a_run_is_one_line_before_any_is_measured(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, what in {
        "none": "is no folder",
        "file": "is no folder",
        "empty": "has no checkpoint.pt",
    }.items():
        result = run_example("measure.py", tmp_path / name, "--root", tmp_path)
        assert result.returncode == 2
        assert result.stderr.splitlines() == [
            f"measure.py: error: wanted the folder of a run, but {tmp_path / name} {what}"
        ]
        assert not (tmp_path / name / "measured").exists()
