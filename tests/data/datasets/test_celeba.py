"""CelebA's layout, written from avatars."""

import csv
import shutil
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from ccvae_pyro.data import download_celeba, load_celeba, read_image
from ccvae_pyro.data.datasets import AVATAR_ATTRIBUTES as ATTRIBUTES
from ccvae_pyro.data.datasets import avatars


@pytest.fixture
def root(celeba_root, tmp_path):
    return shutil.copytree(celeba_root, tmp_path / "celeba")


def as_csv(path, header):
    """Rewrites a list as Kaggle has it, with 0 for -1."""
    rows = [line.split() for line in path.read_text().splitlines()]
    rows = [row for row in rows if row[0].endswith(".png")]
    with path.with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *([c.replace("-1", "0") for c in r] for r in rows)])
    path.unlink()


def test_celeba_is_read_as_it_was_written(root):
    data = load_celeba(root, size=32)
    expected = [avatars.draw(0, i, 109) for i in range(36)]
    assert np.array_equal(data.labels, [labels[:5] for _, labels in expected])
    assert data.label_names == ATTRIBUTES[:5]
    assert [len(rows) for rows in data.splits.values()] == [24, 6, 6]
    resized = Image.fromarray(expected[7][0][:, 10:99]).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.array_equal(data.images[7], np.asarray(resized))


def test_celeba_may_be_csv_with_zeros(root):
    as_text = load_celeba(root, size=16)
    as_csv(root / "list_attr_celeba.txt", ["image_id", *ATTRIBUTES[:5]])
    as_csv(root / "list_eval_partition.txt", ["image_id", "partition"])
    read = load_celeba(root, size=16)
    assert np.array_equal(read.labels, as_text.labels)
    assert np.array_equal(read.images, as_text.images)
    assert all(np.array_equal(read.splits[k], as_text.splits[k]) for k in read.splits)


def test_celeba_is_found_where_torchvision_downloads_it(root):
    assert len(load_celeba(root.parent, size=16).images) == 36


def test_celeba_without_a_partition_is_split_at_random(root):
    (root / "list_eval_partition.txt").unlink()
    splits = load_celeba(root, size=16, seed=1).splits
    assert [len(splits[name]) for name in ("train", "valid", "test")] == [30, 3, 3]
    assert sorted(np.concatenate(list(splits.values()))) == list(range(36))
    other = load_celeba(root, size=16, seed=2).splits
    assert not np.array_equal(splits["test"], other["test"])


def test_celeba_can_be_cropped(root):
    data = load_celeba(root, size=40, crop=40)
    with Image.open(root / "img_align_celeba" / "000003.png") as image:
        expected = np.asarray(image)[34:74, 24:64]
    assert np.array_equal(data.images[3], expected)


def test_an_empty_cell_is_a_missing_label(root):
    as_csv(root / "list_attr_celeba.txt", ["image_id", *ATTRIBUTES[:5]])
    path = root / "list_attr_celeba.csv"
    lines = path.read_text().splitlines()
    lines[1] = "000000.png,1,,0,0.0,1.0"
    lines[2] = "000001.png,1,NA,0,0,1"
    path.write_text("\n".join(lines))
    labels = load_celeba(root, size=16).labels
    assert np.array_equal(labels[0], [1, np.nan, 0, 0, 1], equal_nan=True)
    assert np.argwhere(np.isnan(labels)).tolist() == [[0, 1], [1, 1]]


def test_decoded_images_are_cached(root, monkeypatch):
    decoded = load_celeba(root, size=16).images
    monkeypatch.setattr("ccvae_pyro.data.cache.decode_image", None)
    assert np.array_equal(load_celeba(root, size=16).images, decoded)


def test_a_crop_that_is_larger_than_the_images_is_an_error(root):
    with pytest.raises(ValueError, match=r"000000\.png is 89x109: a square of 90 pixels cannot"):
        load_celeba(root, crop=90)


@pytest.mark.parametrize("options", [{}, {"crop": 80}, {"resize": "pad"}, {"resize": "crop"}])
def test_a_file_is_read_as_it_was_for_training(root, options):
    data = load_celeba(root, size=16, **options)
    x = read_image(root / "img_align_celeba" / "000005.png", data.preprocessing)
    assert torch.equal(x, data.batch(np.array([5]))[0])


def test_images_left_out_for_their_size_stay_left_out(root, capsys, monkeypatch):
    Image.new("RGB", (50, 40)).save(root / "img_align_celeba" / "000009.png")
    before = load_celeba(root, size=16, skip_unreadable=True).splits
    assert "changed" not in capsys.readouterr().out
    monkeypatch.setattr("ccvae_pyro.data.cache.decode_into", None)
    again = load_celeba(root, size=16, skip_unreadable=True).splits
    assert "left out 1 of 36 images" in capsys.readouterr().out
    assert all(np.array_equal(before[name], again[name]) for name in before)


def edit_line(path, number, line):
    lines = path.read_text().splitlines()
    lines[number - 1] = line
    path.write_text("\n".join(lines))


def remove_folder(root):
    shutil.rmtree(root / "img_align_celeba")


BAD_FOLDERS = {
    "no folder": (remove_folder, FileNotFoundError, "has no folder img_align_celeba"),
    "no list": (
        lambda root: (root / "list_attr_celeba.txt").unlink(),
        FileNotFoundError,
        r"has no list_attr_celeba\.txt or list_attr_celeba\.csv",
    ),
    "empty list": (
        lambda root: (root / "list_attr_celeba.txt").write_text(""),
        ValueError,
        "lists no images",
    ),
    "too few columns": (
        lambda root: edit_line(root / "list_attr_celeba.txt", 5, "000002.png 1 -1 1"),
        ValueError,
        "line 5: 3 labels, where the header names 5",
    ),
    "invalid label": (
        lambda root: edit_line(root / "list_attr_celeba.txt", 4, "000001.png 1 -1 1 2 1"),
        ValueError,
        "line 4: Bangs is '2', which is not a label",
    ),
    "a row twice": (
        lambda root: edit_line(root / "list_attr_celeba.txt", 4, "000000.png 1 -1 1 -1 1"),
        ValueError,
        r"list_attr_celeba\.txt: 000000\.png has two rows, lines 3 and 4",
    ),
    "an attribute twice": (
        lambda root: edit_line(
            root / "list_attr_celeba.txt", 2, " ".join([*ATTRIBUTES[:4], ATTRIBUTES[0]])
        ),
        ValueError,
        f"list_attr_celeba.txt: two attributes are called '{ATTRIBUTES[0]}'",
    ),
    "another count": (
        lambda root: edit_line(root / "list_attr_celeba.txt", 1, "202599"),
        ValueError,
        "line 1: 202599 images, but 36 follow to line 38: is the list complete",
    ),
    "no count": (
        lambda root: edit_line(root / "list_attr_celeba.txt", 1, "the list"),
        ValueError,
        "line 1: wanted the number of images, got 'the list'",
    ),
    "web page": (
        lambda root: (root / "list_attr_celeba.txt").write_text("<html>\n<p>Quota exceeded</p>\n"),
        ValueError,
        r"list_attr_celeba\.txt, line 1: this is a web page",
    ),
    "both noes": (
        lambda root: edit_line(root / "list_attr_celeba.txt", 4, "000001.png 1 -1 1 0 1"),
        ValueError,
        r"list_attr_celeba\.txt: line \d+ has -1 and line 4 has 0, which both are no",
    ),
    "a split twice": (
        lambda root: edit_line(root / "list_eval_partition.txt", 3, "000001.png 2"),
        ValueError,
        r"list_eval_partition\.txt: 000001\.png has two rows, lines 2 and 3",
    ),
    "invalid split": (
        lambda root: edit_line(root / "list_eval_partition.txt", 3, "000002.png 3"),
        ValueError,
        r"line 3: wanted a file name and 0, 1 or 2 \(.*\), got '000002\.png 3'",
    ),
    "not in a split": (
        lambda root: edit_line(root / "list_eval_partition.txt", 3, "other.png 0"),
        ValueError,
        r"does not say which split 000002\.png belongs to",
    ),
    "no image": (
        lambda root: (root / "img_align_celeba" / "000009.png").unlink(),
        FileNotFoundError,
        r"000009\.png, which does not exist",
    ),
    "unreadable image": (
        lambda root: (root / "img_align_celeba" / "000009.png").write_text("no image"),
        ValueError,
        r"000009\.png cannot be read as an image",
    ),
    "another size": (
        lambda root: Image.new("RGB", (50, 40)).save(root / "img_align_celeba" / "000009.png"),
        ValueError,
        r"000009\.png is 50x40, others are 89x109",
    ),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_an_invalid_folder_raises_one_clear_error_and_is_not_cached(root, spoil, kind, message):
    spoil(root)
    with pytest.raises(kind, match=message):
        load_celeba(root, size=16)
    assert not list(root.rglob("*.np*"))


def test_unreadable_images_can_be_left_out(root, capsys):
    (root / "img_align_celeba" / "000009.png").write_text("no image")
    (root / "img_align_celeba" / "000025.png").unlink()
    splits = load_celeba(root, size=16, skip_unreadable=True).splits
    assert "left out 2 of 36 images" in capsys.readouterr().out
    assert [len(rows) for rows in splits.values()] == [23, 5, 6]
    assert 9 not in splits["train"]


def test_a_refused_download_says_what_to_do(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("quota exceeded")

    monkeypatch.setattr("torchvision.datasets.CelebA", refuse)
    with pytest.raises(ConnectionError, match="quota exceeded") as raised:
        download_celeba(tmp_path)
    ways = ("try again tomorrow", "--data hf:flwrlabs/celeba", "Kaggle's archive", "a browser")
    assert all(way in str(raised.value) for way in ways)


def as_kaggle(root, folder):
    """Lays CelebA out as Kaggle's archive does, in a new folder."""
    as_csv(root / "list_attr_celeba.txt", ["image_id", *ATTRIBUTES[:5]])
    as_csv(root / "list_eval_partition.txt", ["image_id", "partition"])
    shutil.copytree(root / "img_align_celeba", folder / "img_align_celeba" / "img_align_celeba")
    for path in root.glob("*.csv"):
        shutil.copy(path, folder / path.name)
    (folder / "list_bbox_celeba.csv").write_text("image_id,x_1\n000000.png,95\n")
    return folder


def pack(folder, path, keep=lambda name: True):
    """Packs a folder, with the members that a Mac adds."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/img_align_celeba/._000000.png", b"of a Mac")
        archive.writestr("__MACOSX/._list_attr_celeba.csv", b"of a Mac")
        for file in sorted(folder.rglob("*")):
            name = str(file.relative_to(folder))
            if keep(name):
                archive.write(file, name)
    return path


def assert_same(data, expected):
    assert data.label_names == expected.label_names
    assert np.array_equal(data.labels, expected.labels)
    assert np.array_equal(data.images, expected.images)
    for name, rows in expected.splits.items():
        assert np.array_equal(data.splits[name], rows)


def test_kaggles_archive_is_read_unpacked_and_packed(root, tmp_path, monkeypatch):
    expected = load_celeba(root, size=16)
    kaggle = as_kaggle(root, tmp_path / "kaggle")
    assert_same(load_celeba(kaggle, size=16), expected)
    (tmp_path / "packed").mkdir()
    archive = pack(kaggle, tmp_path / "packed" / "archive.zip")
    shutil.rmtree(kaggle)
    assert_same(load_celeba(archive, size=16), expected)
    assert {path.name for path in archive.parent.iterdir()} == {"archive.zip", "ccvae_cache"}
    monkeypatch.setattr("ccvae_pyro.data.cache.decode_into", None)
    assert_same(load_celeba(archive.parent, size=16), expected)  # from the cache


def test_images_may_be_packed_beside_their_lists(root):
    expected = load_celeba(root, size=16)
    pack(root, root / "img_align_celeba.zip", lambda name: name.startswith("img_align_celeba/"))
    shutil.rmtree(root / "img_align_celeba")
    assert_same(load_celeba(root.parent, size=16), expected)


def test_another_archive_beside_is_passed_over(root, tmp_path):
    kaggle = as_kaggle(root, tmp_path / "kaggle")
    archive = pack(kaggle, tmp_path / "z.zip")
    shutil.rmtree(kaggle)
    shutil.rmtree(root)
    (tmp_path / "a.zip").write_text("no archive")
    with ZipFile(tmp_path / "b.zip", "w") as other:
        other.writestr("other/1.png", b"")
    assert len(load_celeba(archive.parent, size=16).images) == 36


def damage_member(path):
    content = bytearray(path.read_bytes())
    start = content.index(b"img_align_celeba/img_align_celeba/000009.png") + 60
    content[start : start + 200] = bytes(200)
    path.write_bytes(content)


BAD_ARCHIVES = {
    "cut": (
        lambda path: path.write_bytes(path.read_bytes()[:-500]),
        ValueError,
        r"archive\.zip is not a whole zip archive",
    ),
    "a web page": (
        lambda path: path.write_text("<html>Quota exceeded</html>"),
        ValueError,
        r"archive\.zip is not a whole zip archive",
    ),
    "a damaged image": (
        damage_member,
        ValueError,
        r"archive\.zip/img_align_celeba/img_align_celeba/000009\.png (cannot be|is)",
    ),
    "without images": (
        lambda path: pack(path.parent, path, lambda name: name == "list_attr_celeba.csv"),
        ValueError,
        r"archive\.zip is not CelebA's archive: it has no folder img_align_celeba",
    ),
    "without lists": (
        lambda path: pack(path.parent / "kaggle", path, lambda name: name.endswith("png")),
        FileNotFoundError,
        r"has no list_attr_celeba\.txt or list_attr_celeba\.csv",
    ),
    "without an image": (
        lambda path: pack(path.parent / "kaggle", path, lambda name: "000009" not in name),
        FileNotFoundError,
        r"000009\.png, which does not exist",
    ),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES)
def test_an_invalid_archive_raises_one_clear_error(root, tmp_path, spoil, kind, message):
    archive = pack(as_kaggle(root, tmp_path / "kaggle"), tmp_path / "archive.zip")
    spoil(archive)
    with pytest.raises(kind, match=message):
        load_celeba(archive, size=16)
    assert not list(tmp_path.rglob("*.np*"))


def test_a_member_that_says_it_is_huge_is_not_unpacked(root, tmp_path, monkeypatch):
    archive = pack(as_kaggle(root, tmp_path / "kaggle"), tmp_path / "archive.zip")
    monkeypatch.setattr("ccvae_pyro.data.archives.MAX_BYTES", 3_000)
    with pytest.raises(ValueError, match=r"bytes unpacked, wanted at most 3000"):
        load_celeba(archive, size=16)
