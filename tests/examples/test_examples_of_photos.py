"""A folder of photographs as phones and scanners leave them: trained on, imputed, edited."""

import importlib

import numpy as np
import pytest
import torch
from helpers import rows_of, run_example
from PIL import Image

import ccvae_pyro
from ccvae_pyro.data import Preprocessing, load_image_csv, read_image
from ccvae_pyro.labels import value_of

NUM = 36


@pytest.fixture(scope="module", params=["squash", "crop", "pad"])
def run(request, tmp_path_factory):
    """A small run on photographs of all orientations, modes and depths."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    lines = ["file,shade,side,size"]
    for i in range(NUM):
        pixels = rng.integers(256, size=(30 + 2 * (i % 5), 44, 3), dtype=np.uint8)
        image, suffix, exif = Image.fromarray(pixels), "jpg", Image.Exif()
        exif[0x0112] = 1 + i % 8
        if i % 6 == 1:
            image, suffix = image.convert("CMYK"), "tif"
        elif i % 6 == 2:
            image.putalpha(Image.fromarray(pixels[..., 0]))
            suffix = "png"
        elif i % 6 == 3:
            image, suffix = Image.fromarray(pixels[..., 0].astype(np.uint16) * 16), "png"
        image.save(root / f"{i:02}.{suffix}", exif=exif)
        size = f"{i / 10:.1f}" if i % 3 else ""
        shade = ("dark", "light", "grey")[i % 3] if i % 4 else ""
        lines.append(f"{i:02}.{suffix},{shade},{'' if i % 5 == 0 else i % 2},{size}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    arguments = ["--root", root, "--labels", root / "labels.csv", "--out", root / "run"]
    arguments += ["--epochs", 1, "--batch-size", 10, "--resize", request.param]
    result = run_example("folder.py", *arguments, "--device", "cpu", "--precision", "float32")
    assert result.returncode == 0, result.stderr
    assert "white is taken to be 4095" in result.stdout
    torch.set_default_dtype(torch.float32)
    yield root, request.param
    torch.set_default_dtype(torch.float64)


def test_a_file_has_the_same_pixels_wherever_it_is_opened(run):
    root, rule = run
    torch.set_default_dtype(torch.float32)
    model = ccvae_pyro.load(root / "run")
    assert model.preprocessing == Preprocessing(64, 3, rule, white=4095)
    assert ccvae_pyro.with_bayes_classifier(model).preprocessing == model.preprocessing
    data = load_image_csv(root, root / "labels.csv", resize=rule)
    edit = importlib.import_module("edit")
    for row, cells in enumerate(rows_of(root / "labels.csv")):
        x = read_image(root / cells["file"], model.preprocessing)
        assert torch.equal(x, data.batch(np.array([row]))[0])
        assert torch.equal(x, edit.read_for(model, root / cells["file"]))


def test_a_file_has_the_same_prediction_wherever_it_is_opened(run):
    root, _ = run
    torch.set_default_dtype(torch.float32)
    model = ccvae_pyro.load(root / "run").eval()
    given, imputed = (
        rows_of(path) for path in (root / "labels.csv", root / "run" / "imputed.csv")
    )
    num_compared = 0
    for before, after in zip(given, imputed, strict=True):
        x = read_image(root / before["file"], model.preprocessing)
        values, _ = ccvae_pyro.predict(model, x)
        for label, value in zip(model.labels, values[0].tolist(), strict=True):
            if before[label.name]:
                continue
            num_compared += 1
            expected = value_of(label, after[label.name])
            assert value == pytest.approx(expected, rel=1e-3)  # the CSV has as many digits as tell
    assert num_compared > 20


def test_an_edit_opens_the_file_by_the_rule_of_the_checkpoint(run, tmp_path):
    root, _ = run
    arguments = [root / "run", root / "05.jpg", "--walk", "side"]
    result = run_example("edit.py", *arguments, "--out", tmp_path / "walk.png")
    assert result.returncode == 0, result.stderr
    assert "does not say" not in result.stdout


def test_a_run_is_not_resumed_with_another_rule(run, tmp_path):
    root, rule = run
    other = {"squash": "pad", "pad": "crop", "crop": "squash"}[rule]
    arguments = ["--root", root, "--labels", root / "labels.csv", "--out", root / "run"]
    arguments += ["--epochs", 2, "--batch-size", 10, "--resize", other, "--resume"]
    result = run_example("folder.py", *arguments, "--device", "cpu", "--precision", "float32")
    assert result.returncode == 2
    assert f"was trained with --resize {rule}, not {other}" in result.stderr
