"""Labels and classes of any name: a run writes all of its results, and nothing elsewhere."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import EXAMPLES, rows_of
from PIL import Image

sys.path.append(str(EXAMPLES))

NAMES = ("x/../../../../pwned", "price $5 or $6", "kind | of\tthing\nhere", "long " * 60)
CLASSES = (
    ("u", "CON", "../v"),
    (r"\frac{1}{$", "$$", "<script>alert(1)</script>", "日本語 😀"),
    ("a" * 10_000, "=cmd()", "\u202etxt \u2192"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sixty images, and a CSV of labels with such names."""
    root = tmp_path_factory.mktemp("names")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        pixels = rng.integers(256, size=(24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{i:02}.png")
        classes = [names[i % len(names)] for names in CLASSES]
        number = round(float(rng.normal()), 3) if i % 7 else ""
        rows.append([f"{i:02}.png", *classes, number])
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", *NAMES], *rows])
    return root


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    """What a run leaves, started from a notebook, with a console and files that are ASCII only."""
    out = tmp_path_factory.mktemp("runs") / "a" / "b" / "c" / "run"
    arguments = ["--root", folder, "--labels", folder / "labels.csv", "--out", out]
    arguments += ["--epochs", "1", "--batch-size", "20"]
    console = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    console |= {"PYTHONIOENCODING": "ascii", "MPLBACKEND": "module://of_a_notebook"}
    before = set(out.parents[3].rglob("*"))
    result = subprocess.run(
        [sys.executable, EXAMPLES / "folder.py", *arguments],
        env=os.environ | console | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    elsewhere = {path for path in set(out.parents[3].rglob("*")) - before if path.is_file()}
    assert [path for path in elsewhere if out not in path.parents] == []
    return result.stdout, out


def test_names_of_figures_are_slugs(finished):
    _, out = finished
    figures = {path.stem for path in (out / "figures").glob("*.png")}
    slugs = {"x-pwned", "price-5-or-6", "kind-of-thing-here"}
    assert {f"classes_{slug}" for slug in slugs} < figures
    assert {f"confusion_{slug}" for slug in slugs} < figures
    for path in (out / "figures").glob("*.png"):
        with Image.open(path) as image:
            assert max(image.size) < 3_000


def test_every_result_is_written_and_has_the_full_names(finished):
    said, out = finished
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Interpolations from one test image to each class of price $5 or $6." in page
    assert "<script" not in page
    metrics = json.loads(
        (out / "metrics.json").read_text(encoding="utf-8"), parse_constant=pytest.fail
    )
    assert tuple(metrics["per_label"]) == tuple(" ".join(name.split()) for name in NAMES)
    rows = rows_of(out / "imputed.csv")
    assert len(rows) == 60
    assert {row["price $5 or $6"] for row in rows} == set(CLASSES[1])
    assert "kind | of thing here: 3 classes (=cmd(), aaaa" in said
    assert max(map(len, said.splitlines())) < 400


def test_markdown_cells_hold_any_name(tmp_path, capsys):
    import tables

    rows = [
        {"labels": "a|b\\", "<b>_c": "two\nlines", "n": 1},
        {"labels": "日本", "<b>_c": "=1", "n": 2},
    ]
    tables.write_rows(tmp_path / "table", rows)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert text.splitlines() == [
        r"| labels | \<b> c | n |",
        "|---|---|---|",
        r"| a\|b\\ | two lines | 1 |",
        "| 日本 | =1 | 2 |",
    ]
    assert capsys.readouterr().out.strip() == text.strip()
    assert rows_of(tmp_path / "table.csv")[0]["labels"] == "a|b\\"  # as it is, for programs


def test_json_has_null_for_what_is_not_finite(tmp_path):
    import outcome

    values = {
        "a": float("nan"),
        "b": {"c": [1.5, float("inf"), [float("-inf")]]},
        "$\ud800": (1, "NaN"),
    }
    outcome.write_json(tmp_path / "values.json", values)
    read = json.loads((tmp_path / "values.json").read_bytes(), parse_constant=pytest.fail)
    assert read == {"a": None, "b": {"c": [1.5, None, [None]]}, "$\ud800": [1, "NaN"]}


def test_runs_of_one_name_are_told_apart(tmp_path):
    from measure import names_of

    first, second = tmp_path / "a" / "run", tmp_path / "b" / "run"
    assert names_of([first, tmp_path / "other"]) == ["run", "other"]
    assert names_of([first, second]) == [str(first), str(second)]
    with pytest.raises(ValueError, match="wanted different runs, got"):
        names_of([first, first])


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_console_shows_any_name(encoding):
    code = r"import _console; print('\u65e5 \u2192 \xb1 \udce9')"
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(EXAMPLES)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert result.returncode == 0, result.stderr
    expected = "\u65e5 \u2192 \xb1 \udce9\n".encode(encoding, "backslashreplace")
    assert result.stdout.replace(b"\r", b"") == expected
