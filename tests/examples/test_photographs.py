"""The comparison with simple baselines: its sets, its cells and its table."""

import sys

import numpy as np
import pytest
import torch
from helpers import EXAMPLES, rows_of, run_example, write_mnist
from PIL import Image

sys.path.append(str(EXAMPLES))

import photograph_sets
import photographs
import simple_baselines

NUM = 80
FAST = ["majority", "logistic", "svm", "pca", "pca30", "mean"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Eighty glyphs of noise, most of whose training labels only truth.csv has."""
    root = tmp_path_factory.mktemp("data")
    (root / "glyphs" / "images").mkdir(parents=True)
    rng, header = np.random.default_rng(0), "file,letter,weight,italic,serif,split"
    truth, labels = [header], [header]
    for i in range(NUM):
        pixels = rng.integers(256, size=(24, 24), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "glyphs" / "images" / f"{i:02}.png")
        split = "train" if i < 60 else "valid" if i < 70 else "test"
        cells = [
            "ABC"[i % 3],
            str(100 * (1 + i % 9)),
            ("no", "yes")[i % 2],
            ("no", "yes")[i % 5 > 2],
        ]
        truth.append(",".join([f"{i:02}.png", *cells, split]))
        known = cells if i < 20 and i % 3 else ["", *cells[1:]] if i < 60 else [""] * 4
        labels.append(",".join([f"{i:02}.png", *known, split]))
    for name, lines in (("truth", truth), ("labels", labels)):
        (root / "glyphs" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return root


def run(root, out, *arguments):
    given = ["--data", root, "--cache", root / "cache", "--out", out, "--steps", 2]
    return run_example("photographs.py", *given, *arguments)


@pytest.fixture(scope="module")
def finished(root, tmp_path_factory):
    """The folder of a run of all methods."""
    out = tmp_path_factory.mktemp("runs") / "photographs"
    result = run(root, out, "--sets", "glyphs", "--seeds", 0)
    assert result.returncode == 0, result.stderr
    return out, result


def test_every_method_is_in_the_table(finished):
    out, _ = finished
    rows = rows_of(out / "photographs.csv")
    values = {(row["labels"], row["method"], row["metric"]): row["value"] for row in rows}
    assert {row["method"] for row in rows} == set(photographs.METHODS)
    labels = {"letter: accuracy", "weight: mean absolute error"}
    labels |= {
        f"{name}: {kind}accuracy" for name in ("italic", "serif") for kind in ("", "balanced ")
    }
    for method in ("ours", "cnn", "logistic", "svm", "majority", "bayes"):
        assert labels <= {metric for _, each, metric in values if each == method}
    for method in ("ours", "pca", "pca30", "mean"):
        assert 0 < float(values["many", method, "reconstruction error"]) < 1
    lines = (out / "photographs.md").read_text().splitlines()
    assert lines[0].startswith("| set | labels | metric | ours | ours, by Bayes' rule | CNN |")
    assert len(lines) == 2 + 2 * 8
    assert lines[2].startswith("| glyphs | 13 | letter: accuracy | ")
    with Image.open(out / "photographs-glyphs.png") as figure:
        assert figure.width > 500


def test_the_metrics_of_ours_are_those_of_the_example(finished):
    import json

    out, _ = finished
    metrics = json.loads((out / "glyphs-many-ours-2-steps-0" / "metrics.json").read_text())
    rows = rows_of(out / "photographs.csv")
    ours = {
        row["metric"]: float(row["value"])
        for row in rows
        if (row["labels"], row["method"]) == ("many", "ours")
    }
    assert ours["letter: accuracy"] == metrics["per_label"]["letter"]["accuracy"]
    assert ours["reconstruction error"] == pytest.approx(metrics["reconstruction_error"], rel=1e-4)


def test_finished_cells_are_not_run_again(finished, root):
    out, first = finished
    assert "batch/s" in first.stderr
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*.*")}
    again = run(root, out, "--sets", "glyphs", "--seeds", 0)
    assert again.returncode == 0, again.stderr
    assert "cell" not in again.stderr
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/*.*")} == before
    assert again.stdout == first.stdout[first.stdout.index("| set |") :]


def test_seeds_are_added_to_the_table_and_an_interrupted_cell_is_run(root, tmp_path, monkeypatch):
    arguments = ["--sets", "glyphs", "--labels", "few", "--methods"]

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(photographs.LABEL_BASELINES, "svm", interrupt)
        assert run(root, tmp_path, *arguments, "majority", "svm").returncode == 130
    assert [path.parent.name for path in tmp_path.glob("*/cell.json")] == ["glyphs-few-majority-0"]
    result = run(root, tmp_path, *arguments, "majority", "svm", "--seeds", 0, 1)
    assert result.returncode == 0, result.stderr
    rows = rows_of(tmp_path / "photographs.csv")
    assert {(row["method"], row["seed"]) for row in rows} == {
        (method, seed) for method in ("majority", "svm") for seed in "01"
    }
    line = (tmp_path / "photographs.md").read_text().splitlines()[2]
    assert line.count(" ± ") == 2


def test_runs_of_other_numbers_of_steps_are_told_apart(root, tmp_path):
    arguments = ["--sets", "glyphs", "--labels", "few", "--methods", "cnn", "majority"]
    assert run(root, tmp_path, *arguments).returncode == 0
    assert run(root, tmp_path, *arguments, "--steps", 60).returncode == 0
    rows = rows_of(tmp_path / "photographs.csv")
    assert {(row["method"], row["steps"]) for row in rows} == {
        ("cnn", "2"), ("cnn", "60"), ("majority", "")
    }  # fmt: skip
    assert "±" not in (tmp_path / "photographs.md").read_text()
    weights = [
        float(row["value"])
        for row in rows
        if row["metric"].startswith("weight") and row["steps"] == "60"
    ]
    line = (tmp_path / "photographs.md").read_text().splitlines()[3]
    assert f"| {weights[0]:.0f} |" in line


def test_a_set_that_is_not_there_is_left_out_and_its_source_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(photograph_sets, "DIGIT_SIZE", 16)
    sets = ["--sets", "glyphs", "faces", "fashion"]
    methods = ["--methods", "majority", "mean", "--labels", "few"]
    result = run(tmp_path, tmp_path / "out", *sets, "digits", *methods)
    assert result.returncode == 0, result.stderr
    said = [line for line in result.stdout.splitlines() if "is left out" in line]
    assert [line.split()[0] for line in said] == ["glyphs", "faces", "fashion"]
    assert "images/, labels.csv and truth.csv" in said[0]
    assert "CelebA's layout" in said[1]
    assert "mnist.py --data fashion --download" in said[2]
    assert {row["set"] for row in rows_of(tmp_path / "out" / "photographs.csv")} == {"digits"}
    nothing = run(tmp_path, tmp_path / "none", *sets, *methods)
    assert nothing.returncode == 2
    assert "none of the sets is there: glyphs, faces, fashion" in nothing.stderr


def test_few_labels_of_glyphs_are_those_of_labels_csv(root):
    few, many = (
        photograph_sets.load_glyphs(root, root / "cache", level, 0) for level in ("few", "many")
    )
    train, test = few.splits["train"], few.splits["test"]
    assert np.count_nonzero(~np.isnan(few.labels[train]), axis=0).tolist() == [13, 60, 60, 60]
    assert np.isnan(few.labels[few.splits["valid"]]).all()
    assert not np.isnan(many.labels).any()
    assert np.array_equal(few.labels[test], many.labels[test])


def test_people_have_ten_poses_to_learn_from_and_ten_others(avatars_root):
    torch.set_default_dtype(torch.float32)
    few, many = (
        photograph_sets.load_people(avatars_root, None, level, 0) for level in ("few", "many")
    )
    assert [len(few.splits[name]) for name in ("train", "valid", "test")] == [360, 40, 400]
    for rows in few.splits.values():
        assert len(set(np.bincount(many.labels[rows, 0].astype(int)))) == 1
    known = ~np.isnan(few.labels[few.splits["train"]])
    assert known.all(axis=1).sum() == (~known.any(axis=1)).sum() == 180
    assert 0.05 < many.labels[:, 1].mean() < 0.2  # few wear sunglasses
    assert len(np.unique(few.images.reshape(800, -1), axis=0)) == 800


def test_mnist_is_trained_with_the_defaults_for_its_number_of_labels(tmp_path):
    arguments = ["--data", str(tmp_path), "--sets", "fashion", "--out", str(tmp_path / "out")]
    args = photographs.parse(arguments)
    for level, per_class in (("few", 10), ("many", 300)):
        cell = photographs.Cell("fashion", level, "ours", 3)
        settings = photographs.settings_of(args, cell)
        assert (settings.labels_per_class, settings.data, settings.seed) == (
            per_class,
            "fashion",
            3,
        )
    write_mnist(tmp_path, num_images=300)
    data = photograph_sets.SETS["fashion"].load(tmp_path, None, "few", 0)
    assert np.count_nonzero(~np.isnan(data.labels[data.splits["train"]])) == 100
    cell = photographs.Cell("fashion", "few", "pca", 0)
    with_latents = photographs.reconstruct(args, cell, data)
    expected = simple_baselines.pca_reconstructions(data, 0, num_components=settings.z_dim)
    np.testing.assert_array_equal(with_latents, expected)
