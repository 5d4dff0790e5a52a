"""celeba.py, folder.py and measure.py with a Hugging Face data set."""

import json

import numpy as np
import pytest
from helpers import assert_refused, rows_of, run_example

from ccvae_pyro.data import load_celeba

datasets = pytest.importorskip("datasets")

SMALL = ["--batch-size", 8, "--epochs", 1]


@pytest.fixture(scope="module")
def saved(celeba_root, tmp_path_factory):
    """The images of ``celeba_root`` as flwrlabs/celeba has them: an identity, and booleans."""
    folder, data = tmp_path_factory.mktemp("sets"), load_celeba(celeba_root, size=8)
    files = sorted((celeba_root / "img_align_celeba").iterdir())
    types = {"image": datasets.Image(), "celeb_id": datasets.Value("int64")}
    types |= {name: datasets.Value("bool") for name in data.label_names}
    parts = {}
    for name, rows in data.splits.items():
        cells = {"image": [{"bytes": files[i].read_bytes(), "path": files[i].name} for i in rows]}
        cells["celeb_id"] = rows.tolist()
        cells |= {
            label: (data.labels[rows, column] == 1).tolist()
            for column, label in enumerate(data.label_names)
        }
        parts[name] = datasets.Dataset.from_dict(cells, features=datasets.Features(types))
    datasets.disable_progress_bars()
    datasets.DatasetDict(parts).save_to_disk(folder / "faces")
    return folder / "faces"


def test_celeba_trains_on_a_set_as_on_the_same_folder(saved, celeba_root, tmp_path):
    outs = tmp_path / "set", tmp_path / "folder"
    given = ["--attributes", 4, *SMALL]
    first = run_example("celeba.py", "--data", f"hf:{saved}", "--out", outs[0], *given)
    assert first.returncode == 0, first.stderr
    other = ["--data", "celeba", "--root", celeba_root, "--cache", tmp_path]
    assert run_example("celeba.py", *other, "--out", outs[1], *given).returncode == 0
    metrics = [json.loads((out / "metrics.json").read_text()) for out in outs]
    for key in ("per_label", "bound", "reconstruction_error"):
        assert metrics[0][key] == metrics[1][key]
    measured = run_example("measure.py", outs[0], "--oracle-epochs", 1, "--num-edited", 6)
    assert measured.returncode == 0, measured.stderr
    assert (outs[0] / "measured" / "measured.csv").exists()


def test_folder_trains_on_a_parquet_file_and_imputes_it(tmp_path, saved):
    table = datasets.load_from_disk(str(saved))["train"]
    hair = [("black", "blond", None)[i % 3] for i in range(len(table))]
    table.add_column("hair", hair).to_parquet(tmp_path / "faces.parquet")
    out = tmp_path / "out"
    given = ["--data", f"hf:{tmp_path / 'faces.parquet'}", "--columns", "hair", "Bald"]
    result = run_example("folder.py", *given, "--out", out, *SMALL, "--size", 32)
    assert result.returncode == 0, result.stderr
    assert "hair: 2 classes (blond, black), 33 % missing" in result.stdout.replace(
        "(black, blond)", "(blond, black)"
    )
    rows = rows_of(out / "imputed.csv")
    assert rows[5]["file"] == "train/5"
    assert [row["hair"] for row in rows[:2]] == ["black", "blond"]
    assert {row["hair"] for row in rows} == {"black", "blond"}
    filled = [row["hair"] != "" for row in rows_of(out / "confidence.csv")]
    assert np.array_equal(np.flatnonzero(filled), np.arange(2, len(rows), 3))


BAD = {
    "neither": ([], "wanted --root and --labels, or --data"),
    "both": (["--data", "hf:a", "--root", "."], "--data has no use for --root"),
    "an option of the CSV": (["--data", "hf:a", "--unlisted", "use"], "no use for --unlisted"),
    "no prefix": (["--data", "a.parquet"], "wanted hf:SET, got 'a.parquet'"),
    "an option of the set": (
        ["--root", ".", "--labels", "a", "--image-column", "x"],
        "needs --da",
    ),
    "no such file": (["--data", "hf:a.parquet"], "a.parquet does not exist"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_input_of_folder_is_one_line(tmp_path, arguments, message):
    result = run_example("folder.py", *arguments, "--out", tmp_path / "out")
    assert_refused(result, message, tmp_path / "out")


def test_a_set_without_that_many_labels_is_one_line(saved, tmp_path):
    result = run_example("celeba.py", "--data", f"hf:{saved}", "--out", tmp_path / "out")
    assert_refused(result, "--attributes must be between 1 and 5, got 18", tmp_path / "out")
