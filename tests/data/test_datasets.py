"""Avatars, CelebA's layout, the cache and batches."""

import csv
import itertools
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import write_mnist
from PIL import Image
from torch.testing import assert_close

from ccvae_pyro.data.datasets import avatars
from ccvae_pyro.data import (
    Batches,
    LabeledImages,
    cache,
    hide_labels,
    load_avatars,
    load_celeba,
    load_mnist,
)
from ccvae_pyro.data.augmentation import draw_moves, warped
from ccvae_pyro.data.datasets._avatar_tables import ATTRIBUTES, VISIBLE_ATTRIBUTES
from ccvae_pyro.data.datasets.celeba import download
from ccvae_pyro.labels import Categorical, binaries, index_of

# Avatars


def test_there_are_40_attributes_and_18_that_one_can_see():
    assert len(ATTRIBUTES) == 40
    assert len(set(VISIBLE_ATTRIBUTES)) == 18
    assert set(VISIBLE_ATTRIBUTES) < set(ATTRIBUTES)


def test_each_attribute_is_neither_rare_nor_usual():
    composed = [avatars.compose(np.random.default_rng((0, i)))[1] for i in range(3000)]
    for attribute in ATTRIBUTES:
        frequency = sum(attribute in labels for labels in composed) / len(composed)
        assert 0.04 < frequency < 0.45, attribute


def test_hair_has_a_color_only_where_it_shows():
    for i in range(500):
        _, labels = avatars.compose(np.random.default_rng((1, i)))
        colors = [label for label in labels if label.endswith("_Hair") and label[:4] != "Long"]
        colors = [label for label in colors if label != "Curly_Hair"]
        is_hidden = labels & {"Bald", "Wearing_Hat", "Wearing_Headscarf"}
        assert len(colors) == (0 if is_hidden else 1)


def test_avatars_are_drawn_as_ordered(monkeypatch):
    # Red clothes fill the bottom of the picture, whatever else varies.
    for i in range(60):
        image, labels = avatars.draw(0, i, 64)
        is_red = labels[ATTRIBUTES.index("Red_Clothes")]
        bottom = image[56:, 8:56].astype(int)
        share = ((bottom - [0xE4, 0x43, 0x4F]).__abs__().sum(-1) < 40).mean()
        if is_red:
            assert share > 0.1, i
        elif not labels[ATTRIBUTES.index("Wearing_Headscarf")]:  # which may be red itself
            assert share < 0.1, i


def test_avatars_depend_on_the_seed_and_nothing_else(tmp_path):
    first = load_avatars(tmp_path / "a", 24, size=32, seed=3)
    again = load_avatars(tmp_path / "b", 24, size=32, seed=3)
    other = load_avatars(tmp_path / "c", 24, size=32, seed=4)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.images, other.images)
    assert first.images.shape == (24, 32, 32, 3)
    assert first.labels.shape == (24, 40)


def test_drawn_avatars_are_cached(tmp_path, monkeypatch):
    drawn = load_avatars(tmp_path, 12, size=32)
    monkeypatch.setattr(avatars, "draw", None)
    cached = load_avatars(tmp_path, 12, size=32)
    assert np.array_equal(drawn.images, cached.images)


def test_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(avatars, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'ccvae-pyro\[avatars\]'"):
        load_avatars(tmp_path, 12)


# The cache


def test_a_cache_that_fails_halfway_leaves_nothing(tmp_path):
    def images():
        yield np.zeros((2, 2, 3), dtype=np.uint8)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        cache.write_images(tmp_path / "images.npy", images(), (3, 2, 2, 3))
    assert list(tmp_path.iterdir()) == []


def test_images_without_their_labels_are_no_cache(tmp_path):
    cache.write_images(
        tmp_path / "a.npy", (image for image in np.zeros((1, 2, 2, 3), np.uint8)), (1, 2, 2, 3)
    )
    assert cache.read(tmp_path / "a.npy") is None


# CelebA's layout, written from avatars


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


def test_celeba_is_found_where_torchvision_leaves_it(root):
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
    lines[1] = "000000.png,1,,0,0,1"
    path.write_text("\n".join(lines))
    labels = load_celeba(root, size=16).labels
    assert np.array_equal(labels[0], [1, np.nan, 0, 0, 1], equal_nan=True)
    assert np.isnan(labels).sum() == 1


def test_decoded_images_are_cached(root):
    load_celeba(root, size=16)
    for path in (root / "img_align_celeba").iterdir():
        path.unlink()
    assert len(load_celeba(root, size=16).images) == 36


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
    "no label": (
        lambda root: edit_line(root / "list_attr_celeba.txt", 4, "000001.png 1 -1 1 2 1"),
        ValueError,
        "line 4: Bangs is '2', which is no label",
    ),
    "no split": (
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
        r"000009\.png, which is not there",
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
def test_a_bad_folder_is_one_clear_error_and_no_cache(root, spoil, kind, message):
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
    with pytest.raises(ConnectionError, match=r"quota exceeded.*try again tomorrow, or download"):
        download(tmp_path)


# Labels and batches


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    rows = np.arange(50)
    return LabeledImages(
        rng.integers(0, 256, (50, 4, 4, 3), dtype=np.uint8),
        rng.integers(0, 2, (50, 3)).astype(np.float32),
        binaries(("Bald", "Beard", "Wearing_Hat")),
        {"train": rows[:40], "valid": rows[40:45], "test": rows[45:]},
    )


def test_labels_are_selected_by_name_or_number(data):
    selected = data.select(["Wearing_Hat", 0])
    assert selected.label_names == ("Wearing_Hat", "Bald")
    assert np.array_equal(selected.labels, data.labels[:, [2, 0]])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("Hat", "no label is called 'Hat': did you mean Wearing_Hat"),
        ("wearing_hat", "did you mean Wearing_Hat"),
        ("xyz", "there are Bald, Beard, Wearing_Hat"),
        (3, "label 3 is out of range: there are 3"),
        ("7", "label 7 is out of range"),
    ],
)
def test_a_label_that_is_not_there_has_its_nearest_offered(data, label, message):
    with pytest.raises(ValueError, match=message):
        index_of(label, data.label_names)


def test_a_label_is_selected_once(data):
    with pytest.raises(ValueError, match="once, got Bald, Bald"):
        data.select(["Bald", "0"])


def test_an_epoch_has_every_image_once(data):
    batches = Batches(data, 7)
    seen = torch.cat([x for x, _ in batches.epoch(1)])
    expected = data.batch(data.splits["train"])[0]
    assert len(seen) == 40
    assert torch.equal(seen.sum((1, 2, 3)).sort().values, expected.sum((1, 2, 3)).sort().values)
    assert len(list(batches.epoch(1))) == len(batches) == 6


def test_images_come_with_their_labels(data):
    for x, y in Batches(data, 8).epoch(3):
        for image, labels in zip(x, y, strict=True):
            pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
            row = np.flatnonzero((data.images == pixels).all((1, 2, 3))).item()
            assert np.array_equal(labels, data.labels[row])


def test_an_epoch_is_an_order_of_its_own_and_can_be_resumed(data):
    batches = Batches(data, 7, seed=5)
    first, again, second = ([x for x, *_ in batches.epoch(number)] for number in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], second[0])
    rest = [x for x, *_ in batches.epoch(1, start=4)]
    assert all(torch.equal(a, b) for a, b in zip(first[4:], rest, strict=True))


def seen(batch):
    """Which rows of a batch have a label."""
    return ~batch[1].isnan().all(dim=1)


def test_images_are_moved_each_its_own_way_and_the_same_again(data):
    near, still = Batches(data, 7, seed=5, shift=2), Batches(data, 7, seed=5)
    ways = set()
    for (x, y), (of, same) in zip(near.epoch(2), still.epoch(2), strict=True):
        assert torch.equal(y, same)
        padded = F.pad(of, (2, 2, 2, 2), mode="replicate")
        for image, around in zip(x, padded, strict=True):
            found = [
                (down, right)
                for down, right in itertools.product(range(5), repeat=2)
                if torch.equal(around[:, down:, right:][:, : x.shape[2], : x.shape[3]], image)
            ]
            assert found
            ways.add(found[0])
        assert x.is_contiguous(memory_format=torch.channels_last)
    assert len(ways) > 5
    resumed = list(near.epoch(2, start=1))
    assert all(
        torch.equal(a[0], b[0]) for a, b in zip(list(near.epoch(2))[1:], resumed, strict=True)
    )
    held_out = zip(near.held_out("test"), still.held_out("test"), strict=True)
    assert all(torch.equal(a[0], b[0]) for a, b in held_out)


def test_images_are_warped_the_same_way_again(data):
    batches = Batches(data, 7, warp=0.2)
    first, again = ([x for x, _ in batches.epoch(1)] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    still = [x for x, _ in Batches(data, 7).epoch(1)]
    assert not torch.equal(first[0], still[0])


def test_images_are_warped_by_a_linear_map_each_its_own():
    # Of an image that is linear in its pixel's place, one can read off where each pixel came from.
    places = (torch.arange(20.0) + 0.5) - 10
    down, right = torch.meshgrid(places, places, indexing="ij")
    x = torch.stack([right, down]).expand(50, 2, 20, 20)
    moves = draw_moves(50, 2, 0.2, np.random.default_rng(0))
    came_from = warped(x, moves)[:, :, 6:14, 6:14].flatten(2)
    inner = torch.stack([right, down, torch.ones(20, 20)])[:, 6:14, 6:14].flatten(1)
    maps = came_from @ torch.linalg.pinv(inner)  # (image, from which axis, right and down and 1)
    assert_close(maps @ inner, came_from)
    turns, moves = maps[:, :, :2] - torch.eye(2), maps[:, :, 2]
    assert 0.15 < turns.abs().amax(0).min() < turns.abs().max() < 0.2
    assert 1.5 < moves.abs().amax(0).min() < moves.abs().max() < 2
    assert turns.std(0).min() > 0.08


@pytest.mark.parametrize(("fraction", "num_labeled"), [(0.25, 10), (0.5, 20), (1.0, 40)])
def test_a_fraction_of_the_images_is_labeled(data, fraction, num_labeled):
    batches = list(Batches(hide_labels(data, fraction), 7).epoch(1))
    assert sum(len(batch[0]) for batch in batches) == 40
    assert sum(seen(batch).sum() for batch in batches) == num_labeled


def test_without_labels_a_batch_is_images_alone(data):
    assert [len(batch) for batch in Batches(hide_labels(data, 0.0), 20).epoch(1)] == [1, 1]


def test_few_labeled_images_are_mixed_into_every_batch(data):
    batches = Batches(hide_labels(data, 0.05), 8, labeled_share=0.25)
    epoch = list(batches.epoch(1))
    assert [seen(batch).sum() for batch in epoch] == [2] * len(epoch)
    assert len(epoch) == len(batches) == 7  # 38 images without labels, 6 a batch
    assert sum(len(batch[0]) for batch in epoch) == batches.num_images == 38 + 2 * 7
    unlabeled = torch.cat([x[~seen((x, y))] for x, y in epoch]).sum((1, 2, 3))
    assert len(unlabeled.unique()) == 38


@pytest.mark.parametrize(
    ("fraction", "share"), [(1.0, 1.0), (0.5, 0.5), (0.05, 14 / 52), (0.0, 0.0)]
)
def test_the_share_of_labels_is_that_of_the_batches(data, fraction, share):
    batches = Batches(hide_labels(data, fraction), 8, labeled_share=0.25)
    assert batches.label_share == pytest.approx(share)
    if share:
        y = torch.cat([y for _, y in batches.epoch(1)])
        assert (~y.isnan()).float().mean().item() == pytest.approx(share)


def test_the_same_images_stay_labeled(data):
    hidden = [np.isnan(hide_labels(data, 0.25, seed=seed).labels) for seed in (0, 0, 1)]
    assert np.array_equal(hidden[0], hidden[1])
    assert not np.array_equal(hidden[0], hidden[2])


def test_single_entries_can_be_hidden(data):
    hidden = np.isnan(hide_labels(data, 0.5, missing="entries").labels)
    assert 0.3 < hidden[data.splits["train"]].mean() < 0.7
    assert len(np.unique(hidden[data.splits["train"]], axis=0)) > 2
    assert not hidden[data.splits["test"]].any()


def test_what_was_given_keeps_its_labels(data):
    hide_labels(data, 0.0)
    assert not np.isnan(data.labels).any()


@pytest.mark.parametrize("batch_size", [0, 41])
def test_a_batch_has_at_least_one_image_and_at_most_all(data, batch_size):
    with pytest.raises(ValueError, match=rf"training images, 40, got {batch_size}"):
        Batches(data, batch_size)


def test_a_fraction_is_a_fraction(data):
    with pytest.raises(ValueError, match=r"label_fraction .* between 0 and 1, got 1\.5"):
        hide_labels(data, 1.5)
    with pytest.raises(ValueError, match=r"labeled_share must be at least 0 and below 1, got 1"):
        Batches(data, 5, labeled_share=1)
    with pytest.raises(ValueError, match="0 pixels or more, within them, got -1"):
        Batches(data, 5, shift=-1)
    with pytest.raises(ValueError, match=r"warp must be at least 0 and below 1, got 1\.5"):
        Batches(data, 5, warp=1.5)
    with pytest.raises(ValueError, match=r"'rows' or 'entries', got 'all'"):
        hide_labels(data, 0.5, missing="all")


def test_frequencies_are_of_the_training_images_and_never_0_or_1(data):
    labels = np.zeros((50, 2), dtype=np.float32)
    labels[:10, 0] = 1
    labels[:20, 1] = np.nan
    labels[40:] = 1
    some = LabeledImages(data.images, labels, binaries(("a", "b")), data.splits)
    assert some.label_frequencies().tolist() == pytest.approx([11 / 42, 1 / 22])


def test_a_sample_takes_from_each_split_alike(data):
    splits = data.sample(25, seed=0).splits
    assert [len(rows) for rows in splits.values()] == [20, 2, 2]
    assert set(splits["train"]) < set(data.splits["train"])


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_mnist_and_its_like_are_read(tmp_path, name):
    images, classes = write_mnist(tmp_path, num_images=30, name=name)
    data = load_mnist(tmp_path, name)
    x, y = data.batch(np.arange(30))
    assert x.shape == (30, 1, 28, 28)
    assert torch.equal(x[:, 0], torch.from_numpy(images).float() / 255)
    assert y[:, 0].tolist() == classes.tolist()
    assert {part: len(rows) for part, rows in data.splits.items()} == {
        "train": 18,
        "valid": 2,
        "test": 10,
    }
    assert data.splits["test"].tolist() == list(range(20, 30))
    assert [type(kind) for kind in data.kinds] == [Categorical]
    assert len(data.kinds[0].classes) == 10


def test_mnist_that_is_not_there_or_unknown_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"MNIST is not in .*raw"):
        load_mnist(tmp_path)
    with pytest.raises(ValueError, match="'mnist' or 'fashion', got 'cifar'"):
        load_mnist(tmp_path, "cifar")
