"""The examples of labels with classes and of one's own folder, small."""

import json

import pytest
import torch
from helpers import assert_refused, rows_of, run_example, write_mnist


@pytest.fixture(scope="session")
def folder(avatars_root, tmp_path_factory):
    """A folder of leaning faces and its CSV."""
    out = tmp_path_factory.mktemp("faces") / "faces"
    result = run_example(
        "avatar_folder.py", "--out", out, "--num-images", 120, "--cache", avatars_root
    )
    assert result.returncode == 0, result.stderr
    return out


@pytest.fixture(scope="session")
def finished(folder, tmp_path_factory):
    """What a small run on the folder says and leaves."""
    out = tmp_path_factory.mktemp("runs") / "faces"
    arguments = ["--root", folder, "--labels", folder / "labels.csv", "--epochs", 2, "--out", out]
    result = run_example("folder.py", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout, out


def test_the_labels_are_described_and_measured(finished):
    said, out = finished
    assert "hair: " in said
    assert "glasses: yes or no" in said
    assert "lean: a number" in said
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics["per_label"]) == {"hair", "glasses", "lean"}
    assert len(metrics["per_label"]["hair"]["confusion"]) >= 6
    figures = {path.stem for path in (out / "figures").glob("*.png")}
    assert figures == {
        "history", "reconstructions", "walk", "samples", "edits", "confusion", "classes_hair",
        "confusion_hair", "swaps", "variations", "interpolations",
    }  # fmt: skip
    torch.load(out / "checkpoint.pt", weights_only=True)


def test_every_empty_cell_is_filled_in_and_no_other_is_touched(folder, finished):
    said, out = finished
    num_filled = 0
    given, filled, sure = (
        rows_of(path)
        for path in (folder / "labels.csv", out / "imputed.csv", out / "confidence.csv")
    )
    hair = {row["hair"] for row in given} - {""}
    for before, after, certainty in zip(given, filled, sure, strict=True):
        assert before["file"] == after["file"] == certainty["file"]
        for name in ("hair", "glasses", "lean"):
            assert after[name]
            assert bool(before[name]) != bool(certainty[name])
            assert before[name] in ("", after[name])
            num_filled += not before[name]
        assert after["hair"] in hair
        assert after["glasses"] in ("yes", "no")
        if not before["hair"]:
            assert 1 / len(hair) <= float(certainty["hair"]) <= 1
    assert f"{num_filled} missing labels are imputed in" in said


def test_a_csv_of_excel_is_trained_on_and_filled_in(folder, tmp_path):
    text = (folder / "labels.csv").read_text().replace(",", ";").replace(".", ",")
    text = text.replace(",jpg", ".jpg").replace(";;", ";NA;").replace(";yes", ";None")
    path = tmp_path / "labels.csv"
    path.write_text("\ufeff" + text + ";;;\n;;;\n", encoding="utf-8", newline="\r\n")
    options = ["--root", folder, "--labels", path, "--epochs", 1, "--out", tmp_path / "run"]
    result = run_example("folder.py", *options, "--keep-values", "None")
    assert result.returncode == 0, result.stderr
    assert "labels.csv: taken for missing: NA (" in result.stdout
    filled = (tmp_path / "run" / "imputed.csv").read_bytes().decode()
    assert filled.startswith("\ufefffile;hair;glasses;lean\r\n")
    assert filled.count("\n") == text.count("\n")
    cells = [line.split(";") for line in filled.splitlines()[1:]]
    assert {row[2] for row in cells} == {"None", "no"}
    assert all(abs(float(row[3].replace(",", "."))) < 90 for row in cells)  # degrees


def test_kinds_columns_and_unlisted_images_are_options(folder, tmp_path):
    with (folder / "labels.csv").open() as file:
        rows = [line.strip().split(",") for line in file][:-20]
    for i, row in enumerate(rows):  # the files last, a column of no interest, and a rating
        row[:] = [str(i), *row[1:], "?" if i % 3 else str(i % 4), row[0]]
    rows[0][0], rows[0][-2] = "id", "likes"
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(map(",".join, rows)))
    options = ["--root", folder, "--labels", path, "--epochs", 1, "--out", tmp_path / "run"]
    options += ["--columns", "likes", "lean", "--kinds", "likes=ordinal:0,1,2,3"]
    result = run_example("folder.py", *options, "lean=continuous:-90,90")
    assert result.returncode == 0, result.stderr
    assert "does not list 20 images of" in result.stdout
    assert "likes: 4 classes in order (0 < 1 < 2 < 3)" in result.stdout
    assert ", bounded by -90 and 90, " in result.stdout
    filled = rows_of(tmp_path / "run" / "imputed.csv")
    assert len(filled) == 120
    assert {row["likes"] for row in filled} <= {"0", "1", "2", "3"}
    assert all(-90 <= float(row["lean"]) <= 90 for row in filled)
    figures = {path.stem for path in (tmp_path / "run" / "figures").glob("*.png")}
    assert {"edits", "walk", "classes_likes", "confusion_likes"} <= figures
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["per_label"]["likes"]["mean_absolute_error"] <= 3
    assert set(metrics["per_label"]) == {"likes", "lean"}


BAD_INPUT = {
    "columns": (["--columns", "hairs"], "is called 'hairs': did you mean hair?"),
    "file column": (["--file-column", "image"], "is called 'image'"),
    "bounds": (["--kinds", "lean=continuous:1"], "wanted LABEL=continuous:MIN,MAX or LABEL=ordi"),
    "no order": (["--kinds", "lean=binary:0,1"], "wanted LABEL=continuous:MIN,MAX or LABEL=ordi"),
    "outside": (["--kinds", "lean=continuous:0,1"], "which is not a number from 0 to 1, its bou"),
    "one class": (["--kinds", "hair=ordinal:red"], "'hair' needs at least two classes, got 1"),
    "kept": (["--keep-values", "none"], "keep_values has 'none', which is not taken for missing"),
    "kind": (["--kinds", "hair=colour"], "wanted LABEL=binary, LABEL=categorical, LABEL=ord"),
    "label": (["--kinds", "hairs=binary"], "is called 'hairs': did you mean hair?"),
    "number": (["--kinds", "hair=continuous"], "which is not a number"),
    "partition": (["--partition", "split"], "is called 'split'"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(folder, tmp_path, arguments, message):
    options = ["--root", folder, "--labels", folder / "labels.csv", "--out", tmp_path / "run"]
    result = run_example("folder.py", *options, *arguments)
    assert_refused(result, message, tmp_path / "run")


@pytest.mark.parametrize("data", ["mnist", "medical"])
def test_classes_are_learned_from_few_labels(tmp_path, folder, data):
    if data == "mnist":
        write_mnist(tmp_path / "data", num_images=300, name="mnist")
    else:
        for index, path in enumerate(sorted(folder.glob("*.jpg"))):
            target = tmp_path / "data" / ("Hand", "CXR")[index % 2] / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    arguments = ["--data", data, "--root", tmp_path / "data", "--labels-per-class", 3]
    arguments += ["--epochs", 1, "--batch-size", 25, "--out", tmp_path / "run"]
    result = run_example("mnist.py", *arguments)
    assert result.returncode == 0, result.stderr
    figures = {path.stem for path in (tmp_path / "run" / "figures").glob("*.png")}
    assert {"classes_class", "confusion_class"} < figures
    # Not --shift, --warp or another option whose default follows from it.
    arguments = ["--data", data, "--root", tmp_path / "data", "--epochs", 1, "--batch-size", 25]
    result = run_example("mnist.py", *arguments, "--out", tmp_path / "run", "--resume")
    assert result.returncode == 2
    assert "was trained with --labels-per-class 3, not without: resume it" in result.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(metrics["per_label"]["class"]["confusion"]) == (10 if data == "mnist" else 2)
    arguments = [tmp_path / "run", "--root", tmp_path / "data", "--oracle-epochs", 1]
    result = run_example("measure.py", *arguments)
    assert result.returncode == 0, result.stderr
    assert "| change of other labels |  | .000 |  |" in result.stdout  # there is one label only


def test_too_few_dimensions_are_refused(tmp_path):
    write_mnist(tmp_path / "data", num_images=30, name="mnist")
    options = ["--root", tmp_path / "data", "--z-dim", 9, "--batch-size", 9]
    options += ["--out", tmp_path / "run"]
    result = run_example("mnist.py", *options)
    assert result.returncode == 2
    assert "need a --z-dim of at least 20, got 9" in result.stderr.splitlines()[-1]


def test_few_labels_are_tabulated_beside_published_results(tmp_path):
    write_mnist(tmp_path, num_images=600, name="mnist")
    arguments = ["--data", "mnist", "--root", tmp_path, "--labels", 100, 20, "--seeds", 1]
    arguments += ["--epochs", 1, "--out", tmp_path / "out"]
    result = run_example("few_labels.py", *arguments)
    assert result.returncode == 0, result.stderr
    few, hundred = rows_of(tmp_path / "out" / "few_labels.csv")
    assert (few["labels"], hundred["labels"]) == ("20", "100")
    assert (few["M1+M2"], hundred["M1+M2"]) == ("", "0.9667")
    assert all(0 <= float(row["bayes_rule"]) <= 1 for row in (few, hundred))
    again = run_example("few_labels.py", *arguments)
    assert "batch/s" not in again.stderr
    result = run_example("few_labels.py", "--labels", 105)
    assert "multiples of 10, got [105]" in result.stderr.splitlines()[-1]


def test_colors_are_compared_as_binary_and_as_categorical_labels(avatars_root, tmp_path):
    arguments = ["--root", avatars_root, "--num-images", 150, "--label-fractions", 0.5]
    arguments += ["--seeds", 0, "--epochs", 1, "--out", tmp_path]
    result = run_example("exclusive.py", *arguments)
    assert result.returncode == 0, result.stderr
    rows = rows_of(tmp_path / "exclusive.csv")
    assert [row["labels"] for row in rows] == ["separate", "one"]
    assert float(rows[1]["at_most_one_color"]) == 1
    assert all(0 <= float(row["conditional_generation_accuracy"]) <= 1 for row in rows)
