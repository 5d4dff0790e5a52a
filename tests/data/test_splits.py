"""Random, stratified and given splits."""

import numpy as np
import pytest

from ccvae_pyro.data import partition_splits, random_splits, stratified_splits
from ccvae_pyro.data.splits import complete_splits

SPLIT_NAMES = ("train", "valid", "test")


def sizes(splits):
    return [len(splits[name]) for name in SPLIT_NAMES]


@pytest.mark.parametrize(
    ("num", "expected"), [(120, [100, 10, 10]), (13, [11, 1, 1]), (5, [3, 1, 1]), (2, [2, 0, 0])]
)
def test_one_twelfth_is_held_out_for_each_split_but_at_least_one_image(num, expected):
    rows = 3 * np.arange(num)
    values = np.arange(num) % 2
    for splits in (random_splits(rows, 0), stratified_splits(rows, values, 0)):
        assert sorted(np.concatenate(list(splits.values()))) == rows.tolist()
    assert sizes(random_splits(rows, 0)) == expected


def test_each_class_and_missing_labels_are_split_in_the_same_proportions():
    rng = np.random.default_rng(0)
    values = rng.permutation(np.repeat([0.0, 1.0, 2.0, np.nan], [600, 240, 60, 300]))
    splits = stratified_splits(np.arange(1200), values, seed=0)
    assert sizes(splits) == [1000, 100, 100]
    for name in ("valid", "test"):
        of_split = values[splits[name]]
        counts = [(of_split == value).sum() for value in range(3)] + [np.isnan(of_split).sum()]
        assert np.abs(np.array(counts) - [50, 20, 5, 25]).max() <= 1


def test_a_stratified_split_depends_only_on_the_seed():
    values = np.arange(60) % 3
    first, again, other = (stratified_splits(np.arange(60), values, s)["test"] for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("seed", range(5))
def test_the_smallest_class_keeps_a_training_image(seed):
    values = np.repeat(np.arange(21.0), [40, *[2] * 10, *[1] * 10])
    splits = stratified_splits(np.arange(len(values)), values, seed)
    assert set(values[splits["train"]]) == set(values)
    assert sizes(splits) == [60, 5, 5]


def test_a_partition_is_restricted_to_the_given_rows():
    partition = ["train", "test", "valid", "train", "test"]
    splits = partition_splits(np.array([0, 2, 3, 4]), partition)
    assert {name: rows.tolist() for name, rows in splits.items()} == {
        "train": [0, 3],
        "valid": [2],
        "test": [4],
    }


def test_splits_without_images_take_them_from_those_for_training():
    rows = np.arange(24)
    only = complete_splits({"train": rows}, 3)
    expected = random_splits(rows, 3)
    assert all(np.array_equal(only[name], expected[name]) for name in expected)
    given = {"train": rows, "test": np.arange(24, 30), "valid": np.arange(0)}
    splits = complete_splits(given, 3)
    assert np.array_equal(splits["valid"], expected["valid"])
    assert np.array_equal(splits["test"], given["test"])
    assert np.array_equal(splits["train"], np.setdiff1d(rows, splits["valid"]))
    whole = {"train": rows, "valid": np.array([24]), "test": np.array([25])}
    assert all(np.array_equal(complete_splits(whole, 0)[name], whole[name]) for name in whole)
