"""The types of labels, given or guessed from a column of a CSV."""

import csv

import numpy as np
import pytest

from ccvae_pyro.data import describe
from ccvae_pyro.data.tables import read_label, read_table
from ccvae_pyro.labels import Binary, Categorical, Continuous


def read_as(tmp_path, cells, label_type=None):
    """The label and the values that a column of these cells is read as."""
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["file", "x"], *zip(range(len(cells)), cells, strict=True)])
    label, values = read_label(read_table(path), "x", label_type)
    return label, values.tolist()


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
def test_few_whole_numbers_and_words_are_sorted_classes(tmp_path, cells, classes):
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


def test_twelve_whole_numbers_are_still_classes(tmp_path):
    label, _ = read_as(tmp_path, [str(i) for i in range(12)] * 2)
    assert label.classes == tuple(str(i) for i in range(12))


@pytest.mark.parametrize("missing", ["", " ", "NaN"])
def test_an_empty_cell_is_a_missing_label(tmp_path, missing):
    label, values = read_as(tmp_path, ["yes", missing, "no"])
    assert label == Binary("x")
    assert np.array_equal(values, [1, np.nan, 0], equal_nan=True)


@pytest.mark.parametrize(
    ("cells", "label_type", "label", "values"),
    [
        (["1", "2", "5"], "continuous", Continuous("x"), [1, 2, 5]),
        (["0", "1", "0", "1"], "categorical", Categorical("x", ("0", "1")), [0, 1, 0, 1]),
        (["yes", "0", "-1"], "binary", Binary("x"), [1, 0, 0]),
        (["b", "a"], Categorical("y", ("b", "a", "c")), Categorical("x", ("b", "a", "c")), [0, 1]),
        (["1", "0"], Binary("x", extra_dims=2), Binary("x", extra_dims=2), [1, 0]),
        (["1", "0"], Continuous("x", 5.0, 2.0), Continuous("x", 5.0, 2.0), [1, 0]),
    ],
)
def test_the_type_of_a_label_can_be_given(tmp_path, cells, label_type, label, values):
    assert read_as(tmp_path, cells, label_type) == (label, values)


@pytest.mark.parametrize(("num_missing", "said"), [(1, "1 %"), (999, "99 %"), (1000, "all")])
def test_a_few_missing_labels_are_not_rounded_to_none_nor_many_to_all(num_missing, said):
    values = np.zeros((1000, 1))
    values[:num_missing] = np.nan
    assert describe([Continuous("x")], values)[0].endswith(f", {said} missing")
