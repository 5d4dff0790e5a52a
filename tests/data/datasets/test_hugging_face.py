"""Hugging Face data sets, made here and read from objects, saved folders and parquet files."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ccvae_pyro
from ccvae_pyro import Binary, Categorical, Continuous, Ordinal
from ccvae_pyro.data import cache as image_cache
from ccvae_pyro.data import from_hugging_face, read_image

datasets = pytest.importorskip("datasets")
ClassLabel, Features, List, Value = (
    datasets.ClassLabel, datasets.Features, datasets.List, datasets.Value
)  # fmt: skip

NUM = 36
FEATURES = {
    "image": datasets.Image(),
    "hat": Value("bool"),
    "hair": ClassLabel(names=["black", "red", "blond"]),
    "smiling": ClassLabel(names=["no", "yes"]),
    "attributes": List(Value("string")),
    "age": Value("float32"),
    "name": Value("string"),
}


@pytest.fixture(autouse=True)
def private(tmp_path, monkeypatch):
    """No test leaves anything in the folder of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    datasets.disable_progress_bars()


def file_of(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def shade(number):
    return file_of(Image.new("RGB", (9, 8), (number, 0, 0)))


def columns(num=NUM, first=0):
    """An image of one shade of red for each number, and cells some of which are missing."""
    numbers = range(first, first + num)
    return {
        "image": [{"bytes": shade(i), "path": None} for i in numbers],
        "hat": [(True, False, None)[i % 3] for i in numbers],
        "hair": [(0, 1, 2, -1, None)[i % 5] for i in numbers],
        "smiling": [(0, 1, -1)[i % 3] for i in numbers],
        "attributes": [(["Bangs"], [], ["Bangs", "Young"], None)[i % 4] for i in numbers],
        "age": [(0.1 + i, None, float("nan"))[i % 3] for i in numbers],
        "name": [("a", " b", "", None)[i % 4] for i in numbers],
    }


def make(num=NUM, first=0, features=FEATURES, **changed):
    cells = columns(num, first) | changed
    return datasets.Dataset.from_dict(
        {name: cells[name] for name in features}, features=Features(features)
    )


def load(dataset, *arguments, **options):
    return from_hugging_face(dataset, *arguments, **({"size": 4} | options))


def shades(data, rows=slice(None)):
    return data.images[rows, 0, 0, 0].tolist()


def test_each_type_of_column_becomes_its_labels():
    data = ccvae_pyro.from_hugging_face(make(), size=4)
    assert [type(label) for label in data.label_types] == [Binary, Categorical, *[Binary] * 3]
    assert data.label_names == ("hat", "hair", "smiling", "Bangs", "Young")
    assert data.label_types[1].classes == ("black", "red", "blond")
    nan = np.nan
    expected = [
        [1, 0, 0, 1, 0], [0, 1, 1, 0, 0], [nan, 2, nan, 1, 1], [1, nan, 0, nan, nan],
        [0, nan, 1, 1, 0], [nan, 0, nan, 0, 0],
    ]  # fmt: skip
    assert np.array_equal(data.labels[:6], expected, equal_nan=True)
    assert shades(data) == [*range(NUM)]
    assert data.files[5] == "train/5"


def test_columns_can_be_chosen_and_their_types_given():
    data = load(make(), "image", ["age", "name", "hair"], label_types={"hair": "ordinal"})
    assert isinstance(data.label_types[0], Continuous)
    assert data.label_types[1:] == (
        Categorical("name", ("a", "b")), Ordinal("hair", ("black", "red", "blond"))
    )  # fmt: skip
    assert np.array_equal(
        data.labels[:4, :2],
        np.float32([[0.1, 0], [np.nan, 1], [np.nan, np.nan], [3.1, np.nan]]),
        equal_nan=True,
    )


def test_without_booleans_classes_and_names_all_values_are_labels(capsys):
    features = {name: FEATURES[name] for name in ("image", "age", "name")}
    assert load(make(features=features)).label_names == ("age", "name")
    load(make())
    assert "not taken for labels: age, name" in capsys.readouterr().out


def test_lists_may_hold_classes():
    features = {"image": datasets.Image(), "has": List(ClassLabel(names=["b", "a", "never"]))}
    data = load(make(features=features, has=[([0], [1, 0], [], None)[i % 4] for i in range(NUM)]))
    assert data.label_names == ("b", "a", "never")
    nan = np.nan
    expected = [[1, 0, 0], [1, 1, 0], [0, 0, 0], [nan, nan, nan]]
    assert np.array_equal(data.labels[:4], expected, equal_nan=True)


def save(tmp_path, dataset):
    dataset.save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def write_parquet(tmp_path, dataset):
    (tmp_path / "files").mkdir(parents=True)
    for name, split in dataset.items():
        split.to_parquet(tmp_path / "files" / f"{name}-00000-of-00001.parquet")
    return tmp_path / "files"


WAYS = {
    "object": lambda _, dataset: dataset,
    "saved": save,
    "text": lambda tmp_path, dataset: f"hf:{save(tmp_path, dataset)}",
    "parquet files": write_parquet,
}


@pytest.mark.parametrize("name", ["valid", "validation"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_splits_keep_their_rows_from_wherever_they_are_read(tmp_path, way, name):
    parts = {name: make(3, 50), "train": make(), "test": make(6, 100)}
    data = load(way(tmp_path, datasets.DatasetDict(parts)))
    expected = {"train": [*range(NUM)], "valid": [50, 51, 52], "test": [*range(100, 106)]}
    assert {split: shades(data, rows) for split, rows in data.splits.items()} == expected
    first = data.splits["test"][0]
    assert np.array_equal(data.labels[first], [0, 0, 1, 1, 0])  # those of image 100
    again = load(way(tmp_path / "again", datasets.DatasetDict(parts)))
    assert np.array_equal(again.labels, data.labels, equal_nan=True)


def test_a_parquet_file_is_split_at_random(tmp_path):
    make().to_parquet(tmp_path / "a.parquet")
    data = load(tmp_path / "a.parquet", seed=1)
    assert [len(data.splits[name]) for name in ("train", "valid", "test")] == [30, 3, 3]
    assert sorted(np.concatenate(list(data.splits.values()))) == [*range(NUM)]
    assert not np.array_equal(load(tmp_path / "a.parquet").splits["test"], data.splits["test"])
    assert list((tmp_path / "ccvae_cache").glob("*.npy"))


def test_validation_images_are_taken_from_those_for_training_where_there_are_none(capsys):
    parts = {"train": make(), "test": make(6, 100), "unlabeled": make(6, 200)}
    data = load(datasets.DatasetDict(parts))
    assert [len(data.splits[name]) for name in ("train", "valid", "test")] == [33, 3, 6]
    assert shades(data, data.splits["test"]) == [*range(100, 106)]
    assert "the splits unlabeled are not used" in capsys.readouterr().out


def test_parquet_without_types_of_its_own_is_read(tmp_path):
    """As pandas writes it: bytes, and nothing that says that they are images."""
    import pandas as pd

    table = pd.DataFrame({"picture": [shade(i) for i in range(12)], "hat": [True, False] * 6})
    table.to_parquet(tmp_path / "a.parquet")
    data = load(tmp_path / "a.parquet")
    assert (data.label_names, shades(data)) == (("hat",), [*range(12)])


def test_images_may_be_files(tmp_path):
    for i in range(12):
        folder = tmp_path / ("cat", "dog")[i % 2]
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (9, 8), (i, 0, 0)).save(folder / f"{i:02}.png")
    data = load(tmp_path)
    assert data.label_types == (Categorical("label", ("cat", "dog")),)
    assert shades(data) == [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]
    paths = [str(path) for path in sorted(tmp_path.glob("*/*.png"))]
    dataset = datasets.Dataset.from_dict(
        {"image": paths, "x": [True, False] * 6},
        features=Features({"image": datasets.Image(), "x": Value("bool")}),
    )
    assert shades(load(dataset)) == shades(data)


def test_pixels_are_those_of_a_file(tmp_path):
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(256, size=(20, 30, 4), dtype=np.uint8)) for _ in "abc"]
    cells = {"image": [{"bytes": file_of(image), "path": None} for image in images]}
    features = {"image": datasets.Image(), "hat": Value("bool")}
    data = load(make(3, features=features, **cells), size=8, resize="pad")
    images[1].save(tmp_path / "1.png")
    assert torch.equal(
        read_image(tmp_path / "1.png", data.preprocessing), data.batch(np.array([1]))[0]
    )


def test_a_set_is_grey_if_its_first_images_are(monkeypatch):
    cells = [{"bytes": file_of(Image.new("L", (9, 8), i)), "path": None} for i in range(NUM)]
    assert load(make(image=cells)).images.shape == (NUM, 4, 4, 1)
    monkeypatch.setattr("ccvae_pyro.data.datasets.hugging_face.NUM_INSPECTED", 20)
    mixed = make(image=[*cells[:30], *columns()["image"][30:]])
    with pytest.raises(OSError, match="row train/30 is in color, but the images before are grey"):
        load(mixed)
    assert load(mixed, channels=3).images.shape == (NUM, 4, 4, 3)


def test_decoded_images_are_cached_until_the_set_changes(monkeypatch, tmp_path):
    folder = save(tmp_path, make())
    before = shades(load(folder))
    other = make(NUM, 100)
    with monkeypatch.context() as patch:
        patch.setattr(image_cache, "decode_into", None)
        patch.setattr("ccvae_pyro.data.datasets.hugging_face.decode_into", None)
        assert shades(load(folder)) == before
        with pytest.raises(TypeError):
            load(other)
    assert shades(load(other)) == [*range(100, 100 + NUM)]
    files = [*(folder / "ccvae_cache").iterdir()]
    other.save_to_disk(tmp_path / "new")
    for path in [*folder.glob("*.*")]:
        path.unlink()
    for path in (tmp_path / "new").iterdir():
        path.rename(folder / path.name)
    assert shades(load(folder)) == [*range(100, 100 + NUM)]
    assert len([*(folder / "ccvae_cache").iterdir()]) == len(files)  # the former is removed


def test_sets_without_a_name_keep_their_caches_beside_each_other(monkeypatch):
    sets = make(), make(NUM, 100)
    expected = [shades(load(dataset)) for dataset in sets]
    monkeypatch.setattr("ccvae_pyro.data.datasets.hugging_face.decode_into", None)
    assert [shades(load(dataset)) for dataset in sets] == expected


def test_a_saved_set_keeps_its_cache_when_it_is_moved(monkeypatch, tmp_path):
    folder = save(tmp_path, make())
    expected = shades(load(folder))
    (tmp_path / "elsewhere").mkdir()
    folder.rename(tmp_path / "elsewhere" / "saved")
    monkeypatch.setattr("ccvae_pyro.data.datasets.hugging_face.decode_into", None)
    monkeypatch.chdir(tmp_path)
    assert shades(load("hf:elsewhere/saved")) == expected


def stop_after(monkeypatch, num_images):
    """Ends the process, as SIGTERM does, once so many images are written."""
    write, written = image_cache._BegunArray.write, []

    def counted(self, row, image):
        if len(written) == num_images:
            raise SystemExit(143)
        written.append(row)
        write(self, row, image)

    monkeypatch.setattr(image_cache._BegunArray, "write", counted)
    return written


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_decoding_goes_on_where_it_was_stopped(tmp_path, way, monkeypatch, capsys):
    parts = {"train": make(NUM, 1), "test": make(10, 100)}
    dataset = way(tmp_path, datasets.DatasetDict(parts))
    with monkeypatch.context() as patch:
        stop_after(patch, 40)
        with pytest.raises(SystemExit):
            load(dataset)
    written = stop_after(monkeypatch, 1000)
    data = load(dataset)
    assert written == [*range(40, 46)]
    assert "decoding goes on after 40 of 46 images" in capsys.readouterr().out
    assert shades(data) == [*range(1, NUM + 1), *range(100, 110)]
    assert not [*tmp_path.rglob("*.partial")]


def test_what_was_left_out_before_a_stop_is_left_out_after_it(monkeypatch):
    cells = columns()["image"]
    cells[3], cells[20] = {"bytes": b"no image", "path": None}, None
    dataset = make(image=cells)
    with monkeypatch.context() as patch:
        stop_after(patch, 15)
        with pytest.raises(SystemExit):
            load(dataset, skip_unreadable=True)
    written = stop_after(monkeypatch, 1000)
    data = load(dataset, skip_unreadable=True)
    assert written == [0, 3, *range(15, NUM)]  # black ones are tried again
    assert set(range(NUM)) - set(np.concatenate(list(data.splits.values()))) == {3, 20}
    assert shades(data)[:3] == [0, 1, 2]


def test_a_killed_process_is_continued(tmp_path, capsys):
    folder = save(tmp_path, make(250))
    program = (
        "import sys, time\n"
        "from ccvae_pyro.data import cache, from_hugging_face\n"
        "write = cache._BegunArray.write\n"
        "def slow(self, row, image):\n"
        "    write(self, row, image)\n"
        "    self._file.flush()\n"
        "    row < 100 or time.sleep(0.1)\n"
        "cache._BegunArray.write = slow\n"
        f"from_hugging_face({str(folder)!r}, size=4)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.DEVNULL, env=os.environ
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = [*folder.glob("ccvae_cache/.*.partial")]
        if found and found[0].stat().st_size > 128 + 100 * 48:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    data = load(folder)
    assert "decoding goes on after 1" in capsys.readouterr().out
    assert shades(data) == [*range(250)]


def damage(tmp_path):
    make().to_parquet(tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[: len(content) // 2])
    return tmp_path / "a.parquet"


def overwrite_images(tmp_path):
    """Parquet whose footer is whole, but not its pages."""
    make().to_parquet(tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[4:end] = bytes(end - 4)
    (tmp_path / "a.parquet").write_bytes(content)
    return tmp_path / "a.parquet"


def without(*names):
    features = {name: each for name, each in FEATURES.items() if name not in names}
    return lambda _: make(features=features)


BAD = {
    "no such image column": (without(), {"image": "imag"}, "column of the data set.*image"),
    "no such label": (without(), {"labels": ["hats"]}, "column of the data set.*hat"),
    "labels are text": (without(), {"labels": "hat"}, "labels must be a list of columns"),
    "label twice": (without(), {"labels": ["hat", "hat"]}, "wanted different columns"),
    "no labels": (without(), {"labels": []}, "wanted different columns .* got none"),
    "image as label": (without(), {"labels": ["image"]}, "image cannot be a label"),
    "text as image": (without(), {"image": "name"}, "wanted a column of images, got name"),
    "no image": (without("image"), {}, "has no column of images, only hat, hair"),
    "only images": (
        lambda _: make(features={"image": datasets.Image()}),
        {},
        "the data set has no label",
    ),
    "no label type": (without(), {"label_types": {"hut": "binary"}}, "label of the data set"),
    "two images": (
        lambda _: make(features=FEATURES | {"b": datasets.Image()}, b=columns()["image"]),
        {},
        "several columns of images, image, b: choose one",
    ),
    "an unreadable image": (
        lambda _: make(image=[*columns()["image"][:35], {"bytes": b"x", "path": None}]),
        {},
        r"the data set, row train/35 cannot be read as an image \(its format is unknown\)",
    ),
    "an empty cell": (
        lambda _: make(image=[None, *columns()["image"][1:]]),
        {},
        r"row train/0 cannot be read as an image \(the cell is empty\)",
    ),
    "text among numbers": (
        lambda _: make(name=[*map(str, np.arange(35) / 2), "x"]),
        {"labels": ["name"]},
        "the data set, row train/35: name is 'x', where most are numbers",
    ),
    "one name twice": (
        lambda _: make(attributes=[["hat"]] * NUM),
        {},
        "two labels are called 'hat'",
    ),
    "no training images": (
        lambda _: datasets.DatasetDict(valid=make(), test=make()),
        {},
        "no split called train",
    ),
    "two validation splits": (
        lambda _: datasets.DatasetDict(train=make(), val=make(), valid=make()),
        {},
        "two splits for one: val and valid",
    ),
    "other columns in one split": (
        lambda t: datasets.DatasetDict(train=make(), test=without("hat")(t)),
        {},
        "the columns of 'test' are not those of 'train'",
    ),
    "empty": (lambda _: make(0), {}, "has no training images"),
    "damaged parquet": (damage, {}, r"a\.parquet cannot be read as a data set"),
    "damaged pages": (overwrite_images, {}, r"a\.parquet cannot be read as a data set"),
    "a stream": (lambda _: make().to_iterable_dataset(), {}, "got a IterableDataset"),
    "another object": (lambda _: {"image": []}, {}, "got a dict"),
    "no parquet file": (lambda t: t / "b.parquet", {}, r"b\.parquet does not exist"),
    "another file": (lambda _: Path(__file__), {}, "wanted a folder or a parquet file"),
    "an empty folder": (lambda t: t, {}, "cannot be read as a data set|does not exist"),
}


@pytest.mark.parametrize(("build", "options", "message"), BAD.values(), ids=BAD)
def test_an_invalid_set_raises_one_line_and_is_not_cached(tmp_path, build, options, message):
    with pytest.raises((ValueError, OSError), match=message) as raised:
        load(build(tmp_path), **options)
    assert "\n" not in str(raised.value)
    assert not [*tmp_path.rglob("*.np[yz]"), *tmp_path.rglob("*.partial")]


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'ccvae-pyro\[huggingface\]'"):
        from_hugging_face("flwrlabs/celeba")


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    def refuse(**options):
        raise ConnectionError("Couldn't reach it\nat all")

    monkeypatch.setattr(datasets, "load_dataset_builder", refuse)
    with pytest.raises(ConnectionError, match=r"^someone/faces cannot be reached \(Couldn't"):
        from_hugging_face("hf:someone/faces")
