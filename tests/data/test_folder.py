"""Your own images: a folder and a CSV of labels, and a folder of class folders."""

import csv

import numpy as np
import pytest
from PIL import Image

from ccvae_pyro.data import describe, load_class_folders, load_folder
from ccvae_pyro.labels import Binary, Categorical, Continuous

HAIR = ("black", "blond", "red")
NUM = 36


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def write_images(root, num=NUM, suffix="png"):
    """Images of many sizes, each of one color; returns their names."""
    (root / "faces").mkdir(parents=True, exist_ok=True)
    for i in range(num):
        image = Image.new("RGB", (20 + i, 30), (5 * i, 100, 200))
        image.save(root / "faces" / f"{i}.{suffix}")
    return [f"faces/{i}.{suffix}" for i in range(num)]


def make_rows(files):
    """Three labels, a quarter of whose cells are empty, and a header."""
    rows = [["file", "hair", "glasses", "angle"]]
    for i, file in enumerate(files):
        cells = [HAIR[i % 3], "no" if i % 2 else "Yes", f"{7.5 * i}"]
        rows.append([file, *("" if (i + j) % 4 == 0 else cell for j, cell in enumerate(cells))])
    return rows


@pytest.fixture
def root(tmp_path):
    write_csv(tmp_path / "labels.csv", make_rows(write_images(tmp_path)))
    return tmp_path


def load(root, **options):
    return load_folder(root, root / "labels.csv", **{"size": 8, **options})


def edit(root, change):
    """Changes the rows of the CSV, the header being the first."""
    path = root / "labels.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    write_csv(path, change(rows) or rows)


def read_as(tmp_path, cells, **options):
    """The label and the values that a column of these cells is understood as."""
    files = write_images(tmp_path, len(cells))
    rows = [["file", "x"], *zip(files, cells, strict=True)]
    write_csv(tmp_path / "labels.csv", rows)
    data = load(tmp_path, **options)
    return data.kinds[0], data.labels[:, 0].tolist()


# What is read


def test_labels_and_images_are_read_as_they_were_written(root):
    data = load(root)
    assert data.kinds == (Categorical("hair", HAIR), Binary("glasses"), Continuous("angle"))
    assert data.images.shape == (NUM, 8, 8, 3)
    assert data.images[7, 4, 4].tolist() == [35, 100, 200]
    assert np.array_equal(data.labels[7], [1, np.nan, 52.5], equal_nan=True)
    assert data.labels[1].tolist() == [1, 0, 7.5]
    assert np.isnan(data.labels).sum(axis=0).tolist() == [9, 9, 9]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["0", "1", "1"], [0, 1, 1]),
        (["0.0", "1.0", "1.0"], [0, 1, 1]),
        (["-1", "1", "-1"], [0, 1, 0]),
        (["YES", "no", "No"], [1, 0, 0]),
        (["True", "false", "TRUE"], [1, 0, 1]),
        (["1", "1", "1"], [1, 1, 1]),
    ],
)
def test_two_values_that_mean_yes_and_no_are_binary(tmp_path, cells, values):
    assert read_as(tmp_path, cells) == (Binary("x"), values)


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["b", "a", "b", "a"], ("a", "b")),
        (["10", "9", "9", "10"], ("9", "10")),
        (["3.0", "4", "3", "4.0"], ("3", "4")),
        (["-1", "0", "1"] * 2, ("-1", "0", "1")),
        (["yes", "no", "maybe"] * 2, ("maybe", "no", "yes")),
        (["10", "9", "none"] * 3, ("9", "10", "none")),
    ],
)
def test_few_whole_numbers_and_words_are_classes_in_order(tmp_path, cells, classes):
    label, values = read_as(tmp_path, cells)
    assert label == Categorical("x", classes)
    assert [float(value) for value in values] == [
        classes.index(cell.removesuffix(".0")) for cell in cells
    ]


@pytest.mark.parametrize(
    "cells",
    [["0.5", "1", "2"], [str(i) for i in range(13)], ["-1e3", "2.5"]],
    ids=["no whole one", "many", "written otherwise"],
)
def test_other_numbers_are_continuous(tmp_path, cells):
    assert read_as(tmp_path, cells) == (Continuous("x"), [float(cell) for cell in cells])


def test_twelve_whole_numbers_are_classes_still(tmp_path):
    label, _ = read_as(tmp_path, [str(i) for i in range(12)] * 2)
    assert label.classes == tuple(str(i) for i in range(12))


@pytest.mark.parametrize("missing", ["", " ", "NaN"])
def test_an_empty_cell_is_a_missing_label(tmp_path, missing):
    label, values = read_as(tmp_path, ["yes", missing, "no"])
    assert label == Binary("x")
    assert np.array_equal(values, [1, np.nan, 0], equal_nan=True)


@pytest.mark.parametrize(
    ("cells", "kind", "label", "values"),
    [
        (["1", "2", "5"], "continuous", Continuous("x"), [1, 2, 5]),
        (["0", "1", "0", "1"], "categorical", Categorical("x", ("0", "1")), [0, 1, 0, 1]),
        (["yes", "0", "-1"], "binary", Binary("x"), [1, 0, 0]),
        (["b", "a"], Categorical("y", ("b", "a", "c")), Categorical("x", ("b", "a", "c")), [0, 1]),
        (["1", "0"], Binary("x", extra_dims=2), Binary("x", extra_dims=2), [1, 0]),
        (["1", "0"], Continuous("x", 5.0, 2.0), Continuous("x", 5.0, 2.0), [1, 0]),
    ],
)
def test_a_kind_can_be_given(tmp_path, cells, kind, label, values):
    assert read_as(tmp_path, cells, kinds={"x": kind}) == (label, values)


def test_labels_are_described_in_a_line_each(root):
    edit(root, lambda rows: [[*row, i % 5 or 5] for i, row in enumerate(rows)])
    edit(root, lambda rows: rows[0].__setitem__(4, "mood"))
    data = load(root)
    assert describe(data.kinds, data.labels) == [
        "hair: 3 classes (black, blond, red), 25 % missing",
        "glasses: yes or no, 25 % missing",
        "angle: a number, 0 to 262.5, 25 % missing",
        "mood: 5 classes (1, 2, ...), none missing",
    ]


@pytest.mark.parametrize(("num_missing", "said"), [(1, "1 %"), (999, "99 %"), (1000, "all")])
def test_few_missing_labels_are_not_none_and_most_are_not_all(num_missing, said):
    values = np.zeros((1000, 1))
    values[:num_missing] = np.nan
    assert describe([Continuous("x")], values)[0].endswith(f", {said} missing")


# Images of any mode


def grey(mode, value):
    return Image.new(mode, (12, 9), value)


def transparent():
    image = Image.new("RGBA", (12, 9), (200, 0, 0, 0))
    image.paste((200, 0, 0, 255), (0, 0, 6, 9))
    return image


IMAGES = {
    "grey": (grey("L", 77), (1,), [77]),
    "one bit": (grey("1", 1), (1,), [255]),
    "16 bits": (Image.fromarray(np.full((9, 12), 77 * 256, np.uint16)), (1,), [77]),
    "grey over white": (grey("LA", (77, 0)), (1,), [255]),
    "color": (grey("RGB", (1, 2, 3)), (3,), [1, 2, 3]),
    "palette": (grey("RGB", (1, 2, 3)).quantize(2), (3,), [1, 2, 3]),
    "color over white": (transparent(), (3,), [255, 255, 255]),
}


@pytest.mark.parametrize(("image", "channels", "pixel"), IMAGES.values(), ids=IMAGES)
def test_images_of_any_mode_are_read(tmp_path, image, channels, pixel):
    for i in range(3):
        image.save(tmp_path / f"{i}.png")
    write_csv(tmp_path / "labels.csv", [["file", "x"], ["0.png", 1], ["1.png", 0], ["2.png", 1]])
    data = load(tmp_path)
    assert data.images.shape[3:] == channels
    assert data.images[2, 4, 7].tolist() == pixel


def test_a_palette_may_have_a_transparent_color(tmp_path):
    image = transparent().quantize(4)
    image.save(tmp_path / "0.png", transparency=image.getpixel((11, 4)))
    write_csv(tmp_path / "labels.csv", [["file", "x"], ["0.png", 1]])
    left, right = load(tmp_path, size=12).images[0, 4, [0, 11]]
    assert left.tolist() == [200, 0, 0]
    assert right.tolist() == [255, 255, 255]


@pytest.mark.parametrize(("channels", "expected"), [(None, 3), (1, 1), (3, 3)])
def test_one_image_of_color_makes_all_color_unless_told_otherwise(root, channels, expected):
    Image.new("L", (9, 9), 50).save(root / "faces" / "0.png")
    data = load(root, channels=channels)
    assert data.images.shape[3] == expected
    assert (data.images[0] == 50).all()


# The cache


def remove_images(root):
    for path in (root / "faces").iterdir():
        path.unlink()


def test_labels_change_without_decoding_again(root):
    before = load(root).images
    remove_images(root)
    edit(root, lambda rows: rows[2].__setitem__(1, "red"))
    data = load(root, seed=1, stratify="hair", kinds={"angle": "continuous"})
    assert data.labels[1, 0] == 2
    assert np.array_equal(data.images, before)


@pytest.mark.parametrize(
    "change", [{"size": 9}, {"channels": 1}, {"skip_unreadable": True}, None], ids=str
)
def test_another_size_or_list_is_decoded_again(root, change):
    load(root)
    if change is None:
        edit(root, lambda rows: rows[:-1])
    data = load(root, **(change or {}))
    assert (
        data.images.shape
        == {
            "size": (NUM, 9, 9, 3),
            "channels": (NUM, 8, 8, 1),
            "skip_unreadable": (NUM, 8, 8, 3),
            None: (NUM - 1, 8, 8, 3),
        }[next(iter(change)) if change else None]
    )
    assert len(list((root / "ccvae_cache").glob("*.npy"))) == 2


# Splits


def sizes(data):
    return [len(data.splits[name]) for name in ("train", "valid", "test")]


def test_a_split_is_random_by_seed(root):
    first, again, other = (load(root, seed=seed).splits for seed in (1, 1, 2))
    assert [len(rows) for rows in first.values()] == [30, 3, 3]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["test"], other["test"])


def test_a_split_can_be_stratified(root):
    data = load(root, stratify="hair")
    held_out = data.labels[np.concatenate([data.splits["valid"], data.splits["test"]]), 0]
    assert sizes(data) == [30, 3, 3]
    # 9 of each color and 9 without one: each has one or two of the 6 that are held out.
    assert {1, 2} >= {(held_out == value).sum() for value in range(3)} | {np.isnan(held_out).sum()}


PARTS = [0 if i < 20 else 1 if i < 30 else 2 for i in range(NUM)]
WORDS = ["train", "Valid", "test"]


@pytest.mark.parametrize("words", [["0", "1", "2"], WORDS], ids=["numbers", "words"])
def test_a_column_can_say_the_split(root, words):
    edit(root, lambda rows: [[*row, words[p]] for row, p in zip(rows, [0, *PARTS], strict=True)])
    edit(root, lambda rows: rows[0].__setitem__(4, "part"))
    data = load(root, partition="part")
    assert data.label_names == ("hair", "glasses", "angle")
    assert data.splits["valid"].tolist() == list(range(20, 30))
    assert sizes(data) == [20, 10, 6]


@pytest.mark.parametrize("suffix", ["csv", "txt"])
@pytest.mark.parametrize("header", [[], [["file", "part"]]], ids=["no header", "header"])
@pytest.mark.parametrize("words", [["0", "1", "2"], WORDS], ids=["numbers", "words"])
def test_a_list_can_say_the_split(root, suffix, header, words):
    rows = [*header, *([f"faces/{i}.png", words[part]] for i, part in enumerate(PARTS))]
    path = root / f"parts.{suffix}"
    comma = "," if suffix == "csv" else " "
    path.write_text("\n".join(comma.join(row) for row in rows))
    data = load(root, partition=path)
    assert data.splits["test"].tolist() == list(range(30, NUM))
    assert sizes(data) == [20, 10, 6]


def test_unreadable_images_can_be_left_out(root, capsys):
    (root / "faces" / "3.png").write_text("no image")
    (root / "faces" / "4.png").unlink()
    data = load(root, skip_unreadable=True)
    assert "left out 2 of 36 images" in capsys.readouterr().out
    assert sorted(np.concatenate(list(data.splits.values()))) == [0, 1, 2, *range(5, NUM)]


# Errors


def put(line, column, cell):
    """Writes a cell; lines are counted as an editor does."""
    return lambda root: edit(root, lambda rows: rows[line - 1].__setitem__(column, cell))


def column_of(cells):
    """Replaces the column of angles."""

    def change(rows):
        for row, cell in zip(rows[1:], cells, strict=True):
            row[3] = cell

    return lambda root: edit(root, change)


def spoil(*paths, text=None):
    def change(root):
        for path in paths:
            (root / path).unlink() if text is None else (root / path).write_text(text)

    return change


def write_text(text):
    return spoil("labels.csv", text=text)


def keep_parts(root):
    edit(root, lambda rows: [[row[0], "part" if row[0] == "file" else "0"] for row in rows])


NUMBERS = [str(i / 2) for i in range(NUM)]
AGES = ["20", "30", "40"] * 12
BAD = {
    "no CSV": (spoil("labels.csv"), {}, "the CSV of labels, .*, is not there"),
    "no folder": (None, {"root": "nowhere"}, "the folder of images, .*nowhere, is not there"),
    "no rows": (write_text("file,hair\n"), {}, "lists no images"),
    "no text": (
        lambda root: (root / "labels.csv").write_bytes(b"file,hair\na.png,\xff\n"),
        {},
        "cannot be read as text in UTF-8",
    ),
    "no label": (write_text("file\na.png\n"), {}, r"has no label: .* got the header 'file'"),
    "semicolons": (
        write_text("file;x\na.png;1\n"),
        {},
        "parted by commas, got the header 'file;x'",
    ),
    "partition alone": (
        keep_parts,
        {"partition": "part"},
        "no label beside the partition, 'part'",
    ),
    "same header": (put(1, 3, "hair"), {}, "columns 2 and 4 are both called 'hair'"),
    "no header": (put(1, 2, ""), {}, "column 3 has no name"),
    "kinds typo": (None, {"kinds": {"hiar": "binary"}}, "is called 'hiar': did you mean hair"),
    "no such kind": (
        None,
        {"kinds": {"hair": "class"}},
        "kind of 'hair' must be 'binary', 'categorical', 'continuous' or a label, got 'class'",
    ),
    "partition typo": (None, {"partition": "hairs"}, "is called 'hairs': did you mean hair"),
    "no partition": (None, {"partition": "parts.csv"}, r"the partition, parts\.csv, is not there"),
    "stratify typo": (None, {"stratify": "glass"}, "is called 'glass': did you mean glasses"),
    "stratify number": (None, {"stratify": "angle"}, "with classes, 'angle' is a number"),
    "both": (None, {"stratify": "hair", "partition": "hair"}, "has no say where partition='hair'"),
    "no split": (
        None,
        {"partition": "hair"},
        r"line 2: hair is '', which is no split: wanted 0, 1 or 2 \(or train, valid or test\)",
    ),
    "class seen once": (
        put(8, 1, "blak"),
        {},
        "line 8: hair is 'blak', the only one of its class",
    ),
    "mostly seen once": (
        column_of([f"id{i}" for i in range(NUM)]),
        {},
        r"line 2: angle is 'id0', the only one of its class \(and 35 more are\): merge it",
    ),
    "number seen once": (
        column_of([*AGES[:-1], "17"]),
        {},
        r"line 37: angle is '17', the only one .*kinds=\{'angle': 'continuous'\} takes",
    ),
    "one class": (column_of(["7"] * NUM), {}, "angle has one class, '7': wanted two at least"),
    "text in numbers": (
        column_of([*NUMBERS[:5], "n/a", *NUMBERS[6:]]),
        {},
        r"line 7: angle is 'n/a', where most are numbers: .*\{'angle': 'categorical'\} makes",
    ),
    "much text in numbers": (
        column_of([*["wide"] * 10, *NUMBERS[10:]]),
        {},
        "line 2: angle is 'wide', where most are numbers",
    ),
    "text in few numbers": (
        column_of([*AGES[:9], "old", *AGES[10:]]),
        {},
        "line 11: angle is 'old', where most are numbers",
    ),
    "text where a number is asked for": (
        None,
        {"kinds": {"hair": "continuous"}},
        "line 3: hair is 'blond', which is no number",
    ),
    "infinity": (put(5, 3, "inf"), {"kinds": {"angle": "continuous"}}, "line 5: angle is 'inf'"),
    "neither yes nor no": (
        put(4, 2, "perhaps"),
        {"kinds": {"glasses": "binary"}},
        "line 4: glasses is 'perhaps', which is neither yes nor no",
    ),
    "class not asked for": (
        None,
        {"kinds": {"hair": Categorical("hair", ("black", "red"))}},
        "line 3: hair is 'blond', which is none of its classes: black, red",
    ),
    "missing image": (
        spoil("faces/9.png"),
        {},
        r"labels\.csv, line 11: faces/9\.png is not in .*(?<!files)$",
    ),
    "missing images": (
        spoil("faces/9.png", "faces/12.png", "faces/30.png"),
        {},
        r"line 11: faces/9\.png is not in .*, nor are 2 more of its 36 files$",
    ),
    "same file": (
        put(9, 0, "faces/2.png"),
        {},
        r"faces/2\.png has two rows, lines 4 and 9",
    ),
    "no value": (
        lambda root: edit(root, lambda rows: [rows[0], *([r[0], "", "", ""] for r in rows[1:])]),
        {},
        "labels none of its 36 images: every cell is empty",
    ),
    "no class": (
        column_of([""] * NUM),
        {"kinds": {"angle": "categorical"}},
        "angle has no class: wanted two at least",
    ),
    "empty column": (column_of([""] * NUM), {}, "every cell of angle is empty"),
    "few cells": (
        lambda root: edit(root, lambda rows: rows[6].__delitem__(3)),
        {},
        "line 7: 3 cells, where the header has 4",
    ),
    "unreadable": (
        spoil("faces/9.png", text="no image"),
        {},
        r"9\.png cannot be read as an image .*skip-unreadable leaves",
    ),
    "none readable": (
        spoil(*(f"faces/{i}.png" for i in range(NUM))),
        {"skip_unreadable": True},
        "none of 36 images can be read",
    ),
    "channels": (
        None,
        {"channels": 2},
        r"channels must be 1 \(grey\), 3 \(color\) or None, got 2",
    ),
}
FILES = {"no CSV", "no folder", "no partition", "missing image", "missing images"}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_one_clear_line_and_no_cache(root, name):
    change, options, message = BAD[name]
    if change is not None:
        change(root)
    options = dict(options)
    folder = root / options.pop("root", "")
    kind = FileNotFoundError if name in FILES else ValueError
    with pytest.raises(kind, match=message) as caught:
        load_folder(folder, root / "labels.csv", size=8, **options)
    assert "\n" not in str(caught.value)
    assert not list(root.rglob("*.np*"))


@pytest.mark.parametrize("cells", [["faces/3.png", "3"], ["faces/3.png"]], ids=["value", "cells"])
def test_a_bad_line_of_a_partition_is_named(root, cells):
    lines = [f"faces/{i}.png,{part}" for i, part in enumerate(PARTS)]
    lines[3] = ",".join(cells)
    (root / "parts.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"parts\.csv, line 4: wanted a file name and 0, 1 or 2"):
        load(root, partition=root / "parts.csv")


# Class folders


def write_classes(root, num=12, mode="L"):
    """Three classes of images, the second with half as many; one shade each."""
    for place, name in enumerate(("Hand", "CXR", "HeadCT")):
        (root / name).mkdir(parents=True)
        for i in range(num // 2 if name == "CXR" else num):
            Image.new(mode, (16, 16), 40 * place + i).save(root / name / f"{i:03}.png")
    return root


def test_class_folders_are_one_label(tmp_path):
    data = load_class_folders(write_classes(tmp_path), size=8)
    assert data.kinds == (Categorical("class", ("CXR", "Hand", "HeadCT")),)
    assert data.images.shape == (30, 8, 8, 1)
    assert data.labels[:, 0].tolist() == [0] * 6 + [1] * 12 + [2] * 12
    assert data.images[:, 0, 0, 0].tolist() == [*range(40, 46), *range(12), *range(80, 92)]
    assert sizes(data) == [26, 2, 2]


def test_files_that_are_no_images_and_the_cache_are_passed_over(tmp_path):
    root = write_classes(tmp_path)
    (root / ".hidden").mkdir()
    (root / "about.txt").write_text("about")
    (root / "Hand" / ".000.png").write_text("no image")
    (root / "Hand" / "Thumbs.db").write_text("no image")
    first, again = (load_class_folders(root, size=8) for _ in range(2))
    assert again.kinds[0].classes == ("CXR", "Hand", "HeadCT")
    assert len(first.images) == len(again.images) == 30


@pytest.mark.parametrize("stratify", [True, False])
def test_the_split_of_classes_is_stratified_if_asked_for(tmp_path, stratify):
    data = load_class_folders(write_classes(tmp_path, 48), size=4, stratify=stratify, seed=3)
    counts = [np.bincount(data.labels[rows, 0].astype(int)) for rows in data.splits.values()]
    assert sizes(data) == [100, 10, 10]
    is_alike = all(abs(count - share).max() <= 1 for count in counts[1:] for share in ([2, 4, 4],))
    assert is_alike == stratify


def test_some_of_the_images_are_chosen_from_each_class(tmp_path):
    root = write_classes(tmp_path)
    first, again, other = (
        load_class_folders(root, size=8, num_images=10, seed=seed) for seed in (0, 0, 1)
    )
    assert np.bincount(first.labels[:, 0].astype(int)).tolist() == [2, 4, 4]
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)
    assert len(load_class_folders(root, size=8, num_images=1000).images) == 30


def test_unreadable_images_of_classes_can_be_left_out(tmp_path, capsys):
    root = write_classes(tmp_path)
    (root / "Hand" / "003.png").write_text("no image")
    with pytest.raises(ValueError, match=r"003\.png cannot be read as an image"):
        load_class_folders(root, size=8)
    data = load_class_folders(root, size=8, skip_unreadable=True)
    assert "left out 1 of 30 images" in capsys.readouterr().out
    assert 6 + 3 not in np.concatenate(list(data.splits.values()))


def keep_only(*names):
    def change(root):
        for folder in root.iterdir():
            if folder.name not in names:
                folder.rename(root.parent / folder.name)

    return change


def thin_out(num):
    def change(root):
        for path in sorted((root / "CXR").iterdir())[num:]:
            path.unlink()

    return change


BAD_CLASSES = {
    "nothing": (keep_only(), {}, "a folder for each class, two at least, got none"),
    "one": (keep_only("Hand"), {}, "two at least, got only 'Hand'"),
    "empty": (thin_out(0), {}, "CXR: wanted two images of a class at least, got 0"),
    "one image": (thin_out(1), {}, "CXR: wanted two images of a class at least, got 1"),
    "too few": (thin_out(4), {"num_images": 5}, "two for each of 3 classes at least, got 5"),
}


@pytest.mark.parametrize(("change", "options", "message"), BAD_CLASSES.values(), ids=BAD_CLASSES)
def test_class_folders_that_are_amiss_are_told(tmp_path, change, options, message):
    root = write_classes(tmp_path / "images")
    change(root)
    with pytest.raises(ValueError, match=message):
        load_class_folders(root, size=8, **options)


def test_class_folders_that_are_not_there_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere, is not there"):
        load_class_folders(tmp_path / "nowhere")
