"""A folder of images with a CSV of labels."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

from ccvae_pyro.data import describe, load_image_csv
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
    return load_image_csv(root, root / "labels.csv", **{"size": 8, **options})


def edit(root, change):
    """Changes the rows of the CSV, the header being the first."""
    path = root / "labels.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    write_csv(path, change(rows) or rows)


def test_labels_and_images_are_read_as_they_were_written(root):
    data = load(root)
    assert data.label_types == (Categorical("hair", HAIR), Binary("glasses"), Continuous("angle"))
    assert data.images.shape == (NUM, 8, 8, 3)
    assert data.images[7, 4, 4].tolist() == [35, 100, 200]
    assert np.array_equal(data.labels[7], [1, np.nan, 52.5], equal_nan=True)
    assert data.labels[1].tolist() == [1, 0, 7.5]
    assert np.isnan(data.labels).sum(axis=0).tolist() == [9, 9, 9]


def test_each_label_is_described_in_one_line(root):
    edit(root, lambda rows: [[*row, i % 5 or 5] for i, row in enumerate(rows)])
    edit(root, lambda rows: rows[0].__setitem__(4, "mood"))
    data = load(root)
    assert describe(data.label_types, data.labels) == [
        "hair: 3 classes (black, blond, red), 25 % missing",
        "glasses: yes or no, 25 % missing",
        "angle: a number, 0 to 262.5, 25 % missing",
        "mood: 5 classes (1, 2, ...), none missing",
    ]


@pytest.mark.parametrize(("channels", "expected"), [(None, 3), (1, 1), (3, 3)])
def test_one_color_image_makes_all_images_color_unless_channels_are_given(
    root, channels, expected
):
    Image.new("L", (9, 9), 50).save(root / "faces" / "0.png")
    data = load(root, channels=channels)
    assert data.images.shape[3] == expected
    assert (data.images[0] == 50).all()


def test_labels_can_change_without_decoding_again(root, monkeypatch):
    before = load(root).images
    monkeypatch.setattr("ccvae_pyro.data.cache.decode_image", None)
    edit(root, lambda rows: rows[2].__setitem__(1, "red"))
    data = load(root, seed=1, stratify="hair", label_types={"angle": "continuous"})
    assert data.labels[1, 0] == 2
    assert np.array_equal(data.images, before)


@pytest.mark.parametrize(
    "change", [{"size": 9}, {"channels": 1}, {"skip_unreadable": True}, None], ids=str
)
def test_other_options_or_files_are_decoded_again(root, change):
    load(root)
    if change is None:
        edit(root, lambda rows: rows[:-1])
    data = load(root, unlisted="ignore", **(change or {}))
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


def sizes(data):
    return [len(data.splits[name]) for name in ("train", "valid", "test")]


def test_a_random_split_depends_on_the_seed(root):
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


PARTITION = [0 if i < 20 else 1 if i < 30 else 2 for i in range(NUM)]


WORDS = ["train", "Valid", "test"]


@pytest.mark.parametrize("words", [["0", "1", "2"], WORDS], ids=["numbers", "words"])
def test_a_column_can_give_the_split(root, words):
    edit(
        root, lambda rows: [[*row, words[p]] for row, p in zip(rows, [0, *PARTITION], strict=True)]
    )
    edit(root, lambda rows: rows[0].__setitem__(4, "part"))
    data = load(root, partition="part")
    assert data.label_names == ("hair", "glasses", "angle")
    assert data.splits["valid"].tolist() == list(range(20, 30))
    assert sizes(data) == [20, 10, 6]


@pytest.mark.parametrize("suffix", ["csv", "txt"])
@pytest.mark.parametrize("header", [[], [["file", "part"]]], ids=["no header", "header"])
@pytest.mark.parametrize("words", [["0", "1", "2"], WORDS], ids=["numbers", "words"])
def test_a_list_can_give_the_split(root, suffix, header, words):
    rows = [*header, *([f"faces/{i}.png", words[part]] for i, part in enumerate(PARTITION))]
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


def test_what_excel_writes_is_read_as_what_it_means(root, capsys):
    as_commas = load(root)
    rows = [line.split(",") for line in (root / "labels.csv").read_text().splitlines()]
    rows = [[*row[:3], row[3].replace(".", ","), ""] for row in rows]
    rows = [
        [cell or "NA" if place in (1, 2) else cell for place, cell in enumerate(row)]
        for row in rows
    ]
    for row in rows[1:]:
        row[0] = row[0].replace("/", "\\")
    text = "\r\n".join(";".join(row) for row in [*rows, *[[""] * 5] * 3])
    (root / "labels.csv").write_text("\ufeff" + text, encoding="utf-8", newline="")
    data = load(root)
    assert data.label_types == as_commas.label_types
    assert np.array_equal(data.labels, as_commas.labels, equal_nan=True)
    assert data.files == as_commas.files
    assert "labels.csv: taken for missing: NA (18); keep-values" in capsys.readouterr().out


def test_missing_values_can_be_added_and_kept(root, capsys):
    edit(root, lambda rows: rows[2].__setitem__(1, "None"))
    edit(root, lambda rows: rows[3].__setitem__(1, "None"))
    edit(root, lambda rows: rows[4].__setitem__(3, "-9"))
    assert np.isnan(load(root).labels[1:3, 0]).all()
    assert "taken for missing: None (2);" in capsys.readouterr().out
    data = load(root, missing_values=["-9"], keep_values=["None"])
    assert "taken for missing: -9 (1);" in capsys.readouterr().out
    assert data.label_types[0].classes == ("None", *HAIR)
    assert data.labels[1:3, 0].tolist() == [0, 0]
    assert np.isnan(data.labels[3, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_values": ["none"]}, "keep_values has 'none', which is not taken for missing"),
        ({"keep_values": [""]}, "keep_values has ''"),
        ({"missing_values": ["NA"], "keep_values": ["NA"]}, "'NA' is both in"),
        ({"missing_values": "-9"}, "missing_values must be a list of texts, got '-9'"),
    ],
)
def test_missing_values_that_make_no_sense_are_an_error(root, options, message):
    with pytest.raises(ValueError, match=message):
        load(root, **options)


def test_each_image_has_the_name_of_its_file(root):
    assert load(root).files == tuple(f"faces/{i}.png" for i in range(NUM))


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
    "no CSV": (spoil("labels.csv"), {}, "the CSV of labels, .*, does not exist"),
    "no folder": (None, {"root": "nowhere"}, "the folder of images, .*nowhere, does not exist"),
    "no rows": (write_text("file,hair\n"), {}, "lists no images"),
    "no text": (
        lambda root: (root / "labels.csv").write_bytes(b"file,hair\na.png,\xff\n"),
        {},
        "cannot be read as text in UTF-8",
    ),
    "no label": (write_text("file\na.png\n"), {}, r"has no label: .* got the header 'file'"),
    "other delimiter": (
        write_text("file|x\na.png|1\n"),
        {},
        r"separated by commas, semicolons or tabs, got the header 'file\|x'",
    ),
    "first line is an image": (
        lambda root: edit(root, lambda rows: rows[1:]),
        {},
        r"labels\.csv has no header: .* got the file 'faces/0\.png'",
    ),
    "first line is an image without a suffix": (
        lambda root: (
            (root / "scan").write_text(""),
            (root / "labels.csv").write_text("scan,0\nscan1,0\nscan2,1\n"),
        ),
        {},
        r"labels\.csv has no header: .* got the file 'scan'",
    ),
    "no file name": (put(5, 0, ""), {}, "line 5: the name of the file is empty"),
    "directory": (
        lambda root: ((root / "labels.csv").unlink(), (root / "labels.csv").mkdir()),
        {},
        r"labels\.csv is not a regular file",
    ),
    "named pipe": (
        lambda root: ((root / "labels.csv").unlink(), os.mkfifo(root / "labels.csv")),
        {},
        r"labels\.csv is not a regular file",
    ),
    "NUL": (put(5, 1, "re\0d"), {}, r"labels\.csv, line 5 cannot be read .* NUL byte"),
    "Latin 1": (
        lambda root: (root / "labels.csv").write_bytes("file,x\na.png,caf\xe9\n".encode("cp1252")),
        {},
        r"line 2 cannot be read as text in UTF-8 \(byte 0xE9\): save it in UTF-8, which Excel",
    ),
    "UTF-16 without a byte order mark": (
        lambda root: (root / "labels.csv").write_bytes("file\tx\na.png\t1\n".encode("utf-16-le")),
        {},
        "line 1 cannot be read as text in UTF-8: it has a NUL byte",
    ),
    "UTF-16 that is cut off": (
        lambda root: (root / "labels.csv").write_bytes("file\tx\na.png\t1".encode("utf-16")[:-1]),
        {},
        r"line 2 cannot be read as text in UTF-16 \(byte 0x31\): save it in UTF-8",
    ),
    "web page": (
        write_text("<!DOCTYPE html>\n<html>Sign in</html>\n"),
        {},
        r"labels\.csv, line 1: this is a web page, not a table",
    ),
    "quotation mark": (
        write_text('file,x\na.png,"red\nb.png,blue\n'),
        {},
        "line 2 cannot be read as CSV",
    ),
    "a million columns": (
        lambda root: (root / "labels.csv").write_text(
            "file," + ",".join(map(str, range(10**6))) + "\na.png,1\n"
        ),
        {},
        "line 1: 1000001 columns, wanted at most 10000",
    ),
    "one file, spelled with a dot": (
        put(9, 0, "./faces//2.png"),
        {},
        r"faces/2\.png has two rows, lines 4 and 9",
    ),
    "one file, with a backslash": (
        put(9, 0, r"faces\2.png"),
        {},
        r"faces/2\.png has two rows, lines 4 and 9",
    ),
    "one file, absolute": (
        lambda root: put(9, 0, str(root / "faces" / "2.png"))(root),
        {},
        "lines 4 and 9 are one file",
    ),
    "one file, where case does not matter": (
        # Of a file system that ignores case, as far as names go.
        lambda root: (
            (root / "faces" / "2.PNG").symlink_to(root / "faces" / "2.png"),
            put(9, 0, "faces/2.PNG")(root),
        ),
        {},
        "lines 4 and 9 are one file",
    ),
    "another case": (
        put(9, 0, "faces/7.PNG"),
        {},
        r"line 9: faces/7\.PNG is not in .*: did you mean 7\.png\?$",
    ),
    "partition alone": (
        keep_parts,
        {"partition": "part"},
        "no label beside the partition, 'part'",
    ),
    "same header": (put(1, 3, "hair"), {}, "columns 2 and 4 are both called 'hair'"),
    "no header": (put(1, 2, ""), {}, "column 3 has no name"),
    "label type typo": (
        None,
        {"label_types": {"hiar": "binary"}},
        "is called 'hiar': did you mean hair",
    ),
    "no such label type": (
        None,
        {"label_types": {"hair": "class"}},
        "type of 'hair' must be 'binary', 'categorical', 'ordinal', 'continuous' or a label",
    ),
    "partition typo": (None, {"partition": "hairs"}, "is called 'hairs': did you mean hair"),
    "no partition": (
        None,
        {"partition": "parts.csv"},
        r"the partition, parts\.csv, does not exist",
    ),
    "stratify typo": (None, {"stratify": "glass"}, "is called 'glass': did you mean glasses"),
    "stratify number": (None, {"stratify": "angle"}, "with classes, but 'angle' is continuous"),
    "both": (
        None,
        {"stratify": "hair", "partition": "hair"},
        "has no effect on a given partition, 'hair'",
    ),
    "no split": (
        None,
        {"partition": "hair"},
        r"line 2: hair is '', which is not a split: wanted 0, 1 or 2 \(or train, valid or test\)",
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
        r"line 37: angle is '17', the only one .*label_types=\{'angle': 'continuous'\} takes",
    ),
    "one class": (column_of(["7"] * NUM), {}, "angle has one class, '7': wanted at least two"),
    "text in numbers": (
        column_of([*NUMBERS[:5], "wide", *NUMBERS[6:]]),
        {},
        r"line 7: angle is 'wide', where most are numbers: .*\{'angle': 'categorical'\} makes",
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
        {"label_types": {"hair": "continuous"}},
        "line 3: hair is 'blond', which is not a number",
    ),
    "infinity": (
        put(5, 3, "inf"),
        {"label_types": {"angle": "continuous"}},
        "line 5: angle is 'inf'",
    ),
    "neither yes nor no": (
        put(4, 2, "perhaps"),
        {"label_types": {"glasses": "binary"}},
        "line 4: glasses is 'perhaps', which is neither yes nor no",
    ),
    "class not asked for": (
        None,
        {"label_types": {"hair": Categorical("hair", ("black", "red"))}},
        "line 3: hair is 'blond', which is not one of its classes: black, red",
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
        {"label_types": {"angle": "categorical"}},
        "angle has no class: wanted at least two",
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


FILES = {"no CSV", "no folder", "no partition", "missing image", "missing images", "another case"}


@pytest.mark.parametrize("name", BAD)
def test_invalid_input_raises_one_clear_line_and_is_not_cached(root, name):
    change, options, message = BAD[name]
    if change is not None:
        change(root)
    options = dict(options)
    folder = root / options.pop("root", "")
    kind = FileNotFoundError if name in FILES else ValueError
    with pytest.raises(kind, match=message) as caught:
        load_image_csv(folder, root / "labels.csv", size=8, **options)
    assert "\n" not in str(caught.value)
    assert not list(root.rglob("*.np*"))


def test_a_file_that_a_partition_lists_twice_is_an_error(root):
    lines = [f"faces/{i}.png,{part}" for i, part in enumerate(PARTITION)]
    (root / "parts.csv").write_text("\n".join([*lines, "./faces/3.png,2"]))
    with pytest.raises(ValueError, match=r"parts\.csv: faces/3\.png has two rows, lines 4 and 37"):
        load(root, partition=root / "parts.csv")


@pytest.mark.parametrize("cells", [["faces/3.png", "3"], ["faces/3.png"]], ids=["value", "cells"])
def test_an_invalid_line_of_a_partition_is_named(root, cells):
    lines = [f"faces/{i}.png,{part}" for i, part in enumerate(PARTITION)]
    lines[3] = ",".join(cells)
    (root / "parts.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"parts\.csv, line 4: wanted a file name and 0, 1 or 2"):
        load(root, partition=root / "parts.csv")


def test_columns_can_be_chosen(root, capsys):
    edit(root, lambda rows: [[*row, f"{i:x}!", "NA"] for i, row in enumerate(rows)])
    edit(root, lambda rows: rows[0].__setitem__(slice(4, 6), ["note", "empty"]))
    data = load(root, columns=["angle", "hair"])
    assert data.label_names == ("angle", "hair")
    assert data.labels[1].tolist() == [7.5, 1]
    assert "taken for missing" not in capsys.readouterr().out
    for columns, message in {
        ("angel",): "no column of .* is called 'angel': did you mean angle",
        ("hair", "hair"): "each column can be given once, got hair, hair",
        "hair": r"columns must be a list of names, got 'hair'",
    }.items():
        with pytest.raises(ValueError, match=message):
            load(root, columns=columns)


def test_files_may_be_in_the_last_column(root):
    before = load(root)
    edit(root, lambda rows: [[str(i), *row[1:], row[0]] for i, row in enumerate(rows)])
    edit(root, lambda rows: rows[0].__setitem__(0, ""))
    data = load(root)
    assert data.files == before.files
    assert data.label_types == before.label_types
    assert np.array_equal(data.labels, before.labels, equal_nan=True)
    assert load(root, file_column="file").files == before.files


def unlist(root, num=6):
    """Takes the last rows from the CSV; returns their files."""
    edit(root, lambda rows: rows[:-num])
    return tuple(sorted(f"faces/{i}.png" for i in range(NUM - num, NUM)))


def test_unlisted_images_are_training_images_without_labels(root, capsys):
    others = unlist(root)
    for name in ("faces/notes.txt", "faces/.hidden.png", "other.png", "faces/plot.jpg"):
        (root / name).write_bytes(b"")
    listed = load(root, unlisted="ignore")
    data = load(root)
    assert "does not list 6 images of" in capsys.readouterr().out
    assert data.files == (*listed.files, *others)
    assert np.array_equal(data.labels[:30], listed.labels, equal_nan=True)
    assert np.isnan(data.labels[30:]).all()
    assert data.splits["train"].tolist() == [*listed.splits["train"], *range(30, NUM)]
    for name in ("valid", "test"):
        assert np.array_equal(data.splits[name], listed.splits[name])
    assert np.array_equal(data.images[:30], listed.images)
    for row, file in enumerate(others, start=30):
        assert data.images[row, 4, 4, 0] == 5 * int(file[6:-4])
    assert data.with_empirical_priors() == listed.with_empirical_priors()
    assert load(root, stratify="hair").splits["train"][-6:].tolist() == [*range(30, NUM)]
    with pytest.raises(ValueError, match="unlisted must be 'use' or 'ignore', got 'no'"):
        load(root, unlisted="no")


def test_a_damaged_unlisted_image_is_left_out_and_a_listed_one_is_an_error(root, capsys):
    unlist(root)
    (root / "faces" / "35.png").write_bytes(b"damaged")
    data = load(root)
    assert "left out 1 of 36 images that cannot be read" in capsys.readouterr().out
    assert data.files[35] == "faces/35.png"
    assert data.splits["train"][-5:].tolist() == [*range(30, 35)]
    (root / "faces" / "3.png").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"3\.png.*skip-unreadable"):
        load(root)


def test_unlisted_images_that_a_partition_holds_out_are_not_trained_on(root):
    others = unlist(root)
    files = [*(f"faces/{i}.png" for i in range(30)), *others[:4]]
    parts = [0] * 20 + [1] * 5 + [2] * 5 + [0, 1, 2, 0]
    write_csv(root / "parts.csv", zip(files, parts, strict=True))
    data = load(root, partition=root / "parts.csv")
    assert data.files[30:] == (others[0], others[3], *others[4:])
    assert sizes(data) == [24, 5, 5]


def test_new_images_beside_the_listed_ones_are_decoded(root):
    unlist(root)
    assert load(root).images.shape[0] == NUM
    Image.new("RGB", (30, 30), (250, 0, 0)).save(root / "faces" / "new.png")
    data = load(root)
    assert data.files[-1] == "faces/new.png"
    assert data.images[-1, 0, 0].tolist() == [250, 0, 0]


def test_whole_numbers_without_an_order_are_said(root, capsys):
    edit(root, lambda rows: [[*row, i % 5, i % 3 * 2] for i, row in enumerate(rows)])
    edit(root, lambda rows: rows[0].__setitem__(slice(4, 6), ["digit", "even"]))
    load(root)
    said = capsys.readouterr().out
    assert "the whole numbers of digit are taken for classes without an order" in said
    load(root, label_types={"digit": "categorical"})
    assert "whole numbers" not in capsys.readouterr().out
