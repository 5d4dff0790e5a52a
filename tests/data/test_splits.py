"""Splits, labels that are kept for each class, and binary labels made into one."""

import numpy as np
import pytest

from ccvae_pyro.data import (
    LabeledImages,
    keep_labels_per_class,
    partition_splits,
    random_splits,
    stratified_splits,
)
from ccvae_pyro.labels import Binary, Categorical, Continuous

NAMES = ("train", "valid", "test")


def sizes(splits):
    return [len(splits[name]) for name in NAMES]


@pytest.mark.parametrize(
    ("num", "expected"), [(120, [100, 10, 10]), (13, [11, 1, 1]), (5, [3, 1, 1]), (2, [2, 0, 0])]
)
def test_a_twelfth_each_is_held_out_and_of_a_handful_one(num, expected):
    rows = 3 * np.arange(num)
    values = np.arange(num) % 2
    for splits in (random_splits(rows, 0), stratified_splits(rows, values, 0)):
        assert sorted(np.concatenate(list(splits.values()))) == rows.tolist()
    assert sizes(random_splits(rows, 0)) == expected


def test_each_class_is_split_alike_and_so_are_the_missing():
    rng = np.random.default_rng(0)
    values = rng.permutation(np.repeat([0.0, 1.0, 2.0, np.nan], [600, 240, 60, 300]))
    splits = stratified_splits(np.arange(1200), values, seed=0)
    assert sizes(splits) == [1000, 100, 100]
    for name in ("valid", "test"):
        of_part = values[splits[name]]
        counts = [(of_part == value).sum() for value in range(3)] + [np.isnan(of_part).sum()]
        assert np.abs(np.array(counts) - [50, 20, 5, 25]).max() <= 1


def test_a_stratified_split_depends_on_the_seed_alone():
    values = np.arange(60) % 3
    first, again, other = (stratified_splits(np.arange(60), values, s)["test"] for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("seed", range(5))
def test_the_smallest_class_keeps_an_image_to_train(seed):
    values = np.repeat(np.arange(21.0), [40, *[2] * 10, *[1] * 10])
    splits = stratified_splits(np.arange(len(values)), values, seed)
    assert set(values[splits["train"]]) == set(values)
    assert sizes(splits) == [60, 5, 5]


def test_a_partition_is_that_of_the_rows_given():
    parts = ["train", "test", "valid", "train", "test"]
    splits = partition_splits(np.array([0, 2, 3, 4]), parts)
    assert {name: rows.tolist() for name, rows in splits.items()} == {
        "train": [0, 3],
        "valid": [2],
        "test": [4],
    }


# Labels for each class


def make_data(labels, kinds):
    labels = np.asarray(labels, dtype=np.float32)
    rows = np.arange(len(labels))
    splits = {"train": rows[:-6], "valid": rows[-6:-3], "test": rows[-3:]}
    return LabeledImages(np.zeros((len(rows), 1, 1, 1), np.uint8), labels, kinds, splits)


@pytest.fixture
def shirts():
    """20 training images of one class, 10 of another and 3 that have no label."""
    values = np.repeat([0, 1, np.nan, 0, 1], [20, 10, 3, 3, 3])
    return make_data(values[:, None], (Categorical("shirt", ("plain", "striped")),))


def known(data):
    return np.flatnonzero(~np.isnan(data.labels[data.splits["train"], 0]))


def test_as_many_labels_of_each_class_are_kept(shirts):
    kept = keep_labels_per_class(shirts, 4)
    assert np.bincount(kept.labels[known(kept), 0].astype(int)).tolist() == [4, 4]
    assert np.array_equal(kept.labels[known(kept)], shirts.labels[known(kept)])
    assert np.array_equal(kept.labels[33:], shirts.labels[33:])
    assert len(known(shirts)) == 30


def test_more_labels_include_the_fewer_and_the_seed_chooses(shirts):
    few, more, other = (known(keep_labels_per_class(shirts, *a)) for a in ((3,), (6,), (3, 1)))
    assert set(few) < set(more)
    assert not np.array_equal(few, other)


def test_labels_of_a_binary_label_are_kept_alike(shirts):
    data = make_data(shirts.labels, (Binary("striped"),))
    assert len(known(keep_labels_per_class(data, 10))) == 20


@pytest.mark.parametrize(
    ("kinds", "num", "message"),
    [
        ((Categorical("shirt", ("plain", "striped")),), 11, "only 10 .* are of class 'striped'"),
        ((Categorical("shirt", ("plain", "striped")),), 0, "at least one label of each class"),
        ((Continuous("size"),), 3, r"categorical or binary, got size \(Continuous\)"),
        ((Binary("a"), Binary("b")), 3, r"got a \(Binary\), b \(Binary\)"),
        ((), 3, "got none"),
    ],
)
def test_labels_that_cannot_be_kept_are_told(shirts, kinds, num, message):
    data = make_data(np.repeat(shirts.labels, len(kinds), axis=1), kinds)
    with pytest.raises(ValueError, match=message):
        keep_labels_per_class(data, num)


# Binary labels that exclude one another

HAIR = (Binary("hat"), Binary("black"), Continuous("age"), Binary("blond"), Binary("red"))
ROWS = [
    [1, 1, 30, 0, 0],
    [0, 0, 40, 0, 1],
    [0, 0, 50, 1, np.nan],  # blond, so not red
    [1, 0, 60, 0, np.nan],  # red or not
    [np.nan, 0, 70, 0, 0],
]


@pytest.fixture
def faces():
    return make_data(ROWS + ROWS[:1] * 6, HAIR)


def test_binary_labels_become_classes_in_the_place_of_the_first(faces):
    combined = faces.combine(["black", "blond", "red"], "hair", rest="none")
    hair = Categorical("hair", ("black", "blond", "red", "none"))
    assert combined.kinds == (HAIR[0], hair, HAIR[2])
    assert np.array_equal(combined.labels[:5, 1], [0, 2, 1, np.nan, 3], equal_nan=True)
    assert np.array_equal(combined.labels[:, [0, 2]], faces.labels[:, [0, 2]], equal_nan=True)


def test_without_a_rest_each_image_has_one_of_them(faces):
    combined = make_data(faces.labels[[0, 1, 2, 3] * 3], HAIR).combine(["red", 1, 3], "hair")
    assert combined.kinds[1].classes == ("red", "black", "blond")
    assert np.array_equal(combined.labels[:4, 1], [1, 0, 2, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("labels", "name", "rest", "message"),
    [
        (
            ["black", "blond", "red"],
            "hair",
            None,
            "row 4 is none of black, blond, red, as 1 of 11",
        ),
        (["hat", "black"], "hair", "none", "row 0 is both hat and black, .* in 7 of 11 rows"),
        (["black", "age"], "hair", None, r"two binary labels .* got black \(Binary\), age \(Cont"),
        (["black"], "hair", None, r"two binary labels at least, got black \(Binary\)"),
        (["black", "blont"], "hair", None, "no label is called 'blont': did you mean blond"),
        (["black", "red"], "age", "none", "there is another label called 'age'"),
        (["black", "red"], "hair", "red", "the rest needs a name of its own, got 'red'"),
    ],
)
def test_labels_that_cannot_be_combined_are_told(faces, labels, name, rest, message):
    with pytest.raises(ValueError, match=message):
        faces.combine(labels, name, rest)
