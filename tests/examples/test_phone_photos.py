"""A folder as people have it: photos of phones and scanners, and a CSV that Excel wrote."""

import csv
from io import StringIO

import numpy as np
import pytest
import torch
from helpers import run_example
from PIL import Image

import ccvae_pyro
from ccvae_pyro.data import Preprocessing, read_image

NUM_PHOTOS = 64
ORIENTATION_TAG = 0x0112
# How a photo must be stored so that a viewer, told its EXIF orientation, shows it upright.
STORED_AS = {
    1: [],
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}
HAIR = {"black": (20, 20, 25), "blond": (230, 200, 90), "red": (190, 50, 20)}


def draw_face(rng, hair, has_glasses, age):
    """A portrait: hair above, a face, dark glasses or none; greyer with age."""
    pixels = np.full((120, 90, 3), rng.integers(150, 220), dtype=np.float64)
    pixels[20:50, 20:70] = HAIR[hair]
    pixels[50:110, 25:65] = 240 - 2 * age
    if has_glasses:
        pixels[60:72, 25:65] = 10
    return Image.fromarray((pixels + rng.normal(0, 3, pixels.shape)).clip(0, 255).astype(np.uint8))


def save_as_found(image, path, index):
    """Saves a portrait as one of eight kinds of file; those of color keep the same picture."""
    orientation = 1 + index % 8
    stored = image
    for step in STORED_AS[orientation]:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    if path.suffix == ".png" and index % 16 == 3:
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
        Image.fromarray(grey).save(path)
    elif path.suffix == ".png":
        stored.convert("RGBA").save(path, exif=exif)
    elif index % 5 == 0:
        stored.convert("CMYK").save(path, exif=exif, quality=95)
    else:
        stored.save(path, exif=exif, quality=95)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The folder, its CSV, and the truth: the labels of every photo."""
    folder = tmp_path_factory.mktemp("photos")
    rng, truth, lines = np.random.default_rng(0), [], ["file;glasses;hair;age"]
    for index in range(NUM_PHOTOS):
        name = f"IMG_{index:04d}.{'png' if index % 4 == 3 else 'jpg'}"
        hair, age = list(HAIR)[rng.integers(3)], int(rng.integers(20, 80))
        has_glasses = rng.random() < 0.5
        save_as_found(draw_face(rng, hair, has_glasses, age), folder / name, index)
        cells = ["yes" if has_glasses else "no", hair, f"{age},5"]
        truth.append([name, *cells])
        missing = ("NA", "n/a", "", "-")[index // 4 % 4]
        lines.append(";".join([name, *(missing if rng.random() < 0.2 else c for c in cells)]))
    text = "\r\n".join([*lines, ";;;", ";;;", ""])
    (folder / "labels.csv").write_bytes(text.encode("utf-8-sig"))
    return folder, truth


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    """The folder of a small run on the photos."""
    folder, _ = photos
    out = tmp_path_factory.mktemp("runs") / "photos"
    options = ["--root", folder, "--labels", folder / "labels.csv", "--out", out]
    result = run_example("folder.py", *options, "--epochs", 2, "--batch-size", 16)
    assert result.returncode == 0, result.stderr
    return out


def cells_of(path):
    """The rows of a CSV that Excel could have written, as dictionaries."""
    text = path.read_text(encoding="utf-8-sig")
    dialect = csv.Sniffer().sniff(text.splitlines()[0], delimiters=",;")
    return [row for row in csv.DictReader(StringIO(text), dialect=dialect) if row["file"]]


def test_all_orientations_show_the_same_upright_picture(tmp_path):
    image = draw_face(np.random.default_rng(1), "red", True, 40)
    shapes, pixels = [], []
    for orientation, steps in STORED_AS.items():
        stored = image
        for step in steps:
            stored = stored.transpose(step)
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        stored.save(tmp_path / f"{orientation}.png", exif=exif)
        shapes.append(stored.size)
        pixels.append(read_image(tmp_path / f"{orientation}.png", Preprocessing(size=32)))
    assert shapes == [(90, 120)] * 4 + [(120, 90)] * 4
    assert all(torch.equal(seen, pixels[0]) for seen in pixels)


def test_what_was_missing_is_imputed_and_nothing_else(photos, run):
    given, filled = cells_of(photos[0] / "labels.csv"), cells_of(run / "imputed.csv")
    missing = {"", "NA", "n/a", "-"}
    assert [row["file"] for row in given] == [row["file"] for row in filled]
    num_filled = 0
    for before, after in zip(given, filled, strict=True):
        for name in ("glasses", "hair", "age"):
            if before[name] in missing:
                num_filled += 1
                assert after[name] not in missing
            else:
                assert after[name] == before[name]
        assert after["glasses"] in ("yes", "no")
        assert after["hair"] in HAIR
    assert num_filled > 20


def test_a_file_has_one_prediction_everywhere(photos, run):
    folder, _ = photos
    torch.set_default_dtype(torch.float32)
    model = ccvae_pyro.load(run)
    given, filled = cells_of(folder / "labels.csv"), cells_of(run / "imputed.csv")
    hair = model.label_of("hair").classes
    for before, after in zip(given, filled, strict=True):
        x = read_image(folder / before["file"], model.preprocessing)
        values = dict(zip(model.label_names, ccvae_pyro.predict(model, x)[0][0], strict=True))
        if before["hair"] not in HAIR:
            assert after["hair"] == hair[int(values["hair"])]
        if before["glasses"] not in ("yes", "no"):
            assert after["glasses"] == ("no", "yes")[int(values["glasses"])]
        if not before["age"][:1].isdigit():
            imputed = float(after["age"].replace(",", "."))
            assert imputed == pytest.approx(float(values["age"]), rel=1e-3)


def test_a_phone_photo_is_edited_upright(run, tmp_path):
    figures = []
    image = draw_face(np.random.default_rng(2), "blond", False, 30)
    for index in (0, 5):  # the same portrait, stored upright and turned
        save_as_found(image, tmp_path / f"{index}.jpg", index + 8)
        out = tmp_path / f"edited-{index}.png"
        arguments = [run, tmp_path / f"{index}.jpg", "--set", "glasses=yes"]
        result = run_example("edit.py", *arguments, "--out", out)
        assert result.returncode == 0, result.stderr
        figures.append(torch.from_numpy(np.asarray(Image.open(out).convert("RGB")).copy()))
    assert figures[0].shape == figures[1].shape
    # JPEG compression differs a little between the two; a turned portrait would differ a lot.
    assert (figures[0].float() - figures[1].float()).abs().mean() < 2
