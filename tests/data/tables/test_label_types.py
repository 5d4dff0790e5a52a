"""The types of labels, given or guessed from a column of a CSV."""

import csv

import numpy as np
import pytest

from ccvae_pyro.data import describe
from ccvae_pyro.data.tables import read_label, read_table
from ccvae_pyro.labels import Binary, Categorical, Continuous, Ordinal


def read_as(tmp_path, cells, label_type=None, name="x"):
    """The label and the values that a column of these cells is read as."""
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["file", name], *zip(range(len(cells)), cells, strict=True)])
    label, values = read_label(read_table(path), name, label_type)
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
        (["yes", "no", "1", "0"], [1, 0, 1, 0]),
        (["True", "yes", "no"], [1, 1, 0]),
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
        (["02", "01", "10"] * 2, ("01", "02", "10")),
        (["1_2", "1_3"] * 2, ("1_2", "1_3")),
        (["1E5", "2E3", "1A1"] * 2, ("1A1", "1E5", "2E3")),
        (["1234567890123456", "1234567890123457"] * 2, ("1234567890123456", "1234567890123457")),
        (["123456789012345", "123456789012346"] * 2, ("123456789012345", "123456789012346")),
        (["\u0661", "\u0662"] * 2, ("\u0661", "\u0662")),  # digits of another script
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


@pytest.mark.parametrize("missing", ["", " ", "NaN", "NA", "?"])
def test_an_empty_cell_is_a_missing_label(tmp_path, missing):
    label, values = read_as(tmp_path, ["yes", missing, "no"])
    assert label == Binary("x")
    assert np.array_equal(values, [1, np.nan, 0], equal_nan=True)


@pytest.mark.parametrize(
    ("cells", "label_type", "label", "values"),
    [
        (["1", "2", "5"], "continuous", Continuous("x"), [1, 2, 5]),
        (["0", "1", "0", "1"], "categorical", Categorical("x", ("0", "1")), [0, 1, 0, 1]),
        (["yes", "0", "true"], "binary", Binary("x"), [1, 0, 1]),
        (["1e3", "007"], "continuous", Continuous("x"), [1000, 7]),
        (["Blue", "blue"] * 2, "categorical", Categorical("x", ("Blue", "blue")), [0, 1] * 2),
        (["b", "a"], Categorical("y", ("b", "a", "c")), Categorical("x", ("b", "a", "c")), [0, 1]),
        (["1", "0"], Binary("x", extra_dims=2), Binary("x", extra_dims=2), [1, 0]),
        (["1", "0"], Continuous("x", 5.0, 2.0), Continuous("x", 5.0, 2.0), [1, 0]),
    ],
)
def test_the_type_of_a_label_can_be_given(tmp_path, cells, label_type, label, values):
    assert read_as(tmp_path, cells, label_type) == (label, values)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            ["Blue", "blue", "red"] * 2,
            r"line 3: x is 'blue', and in line 2 'Blue': write them alike",
        ),
        (["dark blue", "dark  blue"] * 2, "'dark  blue', and in line 2 'dark blue'"),
        (["caf\u00e9", "cafe\u0301"] * 2, "and in line 2"),
        (["1", "2", "01"] * 2, "line 4: x is '01', and in line 2 '1'"),
        (["yes", "no", "1", "maybe"] * 2, "line 4: x is '1', and in line 2 'yes'"),
        (["12,5", "13,5"] * 2, "line 2: x is '12,5', which may be a number: write it with digits"),
        (["5%", "7 %"] * 2, "line 2: x is '5%', which may be a number"),
        (["1,234.5", "2"] * 2, r"line 2: x is '1,234\.5', which may be a number"),
    ],
)
def test_what_may_be_meant_otherwise_is_a_question(tmp_path, cells, message):
    with pytest.raises(ValueError, match=message):
        read_as(tmp_path, cells)
    label, _ = read_as(tmp_path, cells, "categorical")  # the answer
    assert len(label.classes) == len(set(cells))


def test_zero_and_minus_one_are_not_both_no(tmp_path):
    with pytest.raises(
        ValueError, match="line 2: x is '-1', and in line 3 '0': is one of them unknown"
    ):
        read_as(tmp_path, ["-1", "0", "1"], "binary")


def test_a_class_that_is_taken_for_missing_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"one class, '\+': wanted at least two \(- is taken for miss"
    ):
        read_as(tmp_path, ["+", "-"] * 3)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            [str(1_700_000_000 + 60 * i) for i in range(20)],
            r"values of x, 1700000000 to 1700001140, are too close .* such as 1700000000, or",
        ),
        (["1e-45", "2e-46", "0.0"], "too close together"),
    ],
)
def test_numbers_that_float32_cannot_tell_apart_are_an_error(tmp_path, cells, message):
    with pytest.raises(ValueError, match=message):
        read_as(tmp_path, cells, "continuous")


@pytest.mark.parametrize(
    "cells",
    [["1970", "2024", "1999.5"], ["16777217"] * 3, ["0.1", "0.7"], ["nan", "nan"]],
    ids=["years", "constant", "fractions", "all missing"],
)
def test_numbers_that_float32_tells_apart_are_read(tmp_path, cells):
    label, values = read_as(tmp_path, cells, "continuous")
    assert label == Continuous("x")
    assert np.array_equal(values, np.array(cells, dtype=np.float32), equal_nan=True)


def test_a_number_beyond_float32_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="line 3: x is '1e39', which is not a number"):
        read_as(tmp_path, ["1", "1e39", "2"], "continuous")


@pytest.mark.parametrize(("num_missing", "said"), [(1, "1 %"), (999, "99 %"), (1000, "all")])
def test_a_few_missing_labels_are_not_rounded_to_none_nor_many_to_all(num_missing, said):
    values = np.zeros((1000, 1))
    values[:num_missing] = np.nan
    assert describe([Continuous("x")], values)[0].endswith(f", {said} missing")


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["mid", "high", "low", "mid"], ("low", "mid", "high")),
        (["severe", "none", "Mild", "moderate"], ("none", "Mild", "moderate", "severe")),
        (["XL", "S", "M", "XS"], ("XS", "S", "M", "XL")),
        (["always", "never", "often"], ("never", "often", "always")),
        (["strongly_agree", "Strongly Disagree", "neutral"],
         ("Strongly Disagree", "neutral", "strongly_agree")),
    ],
)  # fmt: skip
def test_words_of_a_known_scale_are_ordinal(tmp_path, cells, classes):
    label, values = read_as(tmp_path, cells)
    assert label == Ordinal("x", classes)
    assert values == [float(classes.index(cell)) for cell in cells]


@pytest.mark.parametrize(
    "cells", [["low", "high"] * 2, ["low", "mid", "medium", "high"] * 2, ["low", "mid", "up"] * 2]
)
def test_other_words_have_no_order(tmp_path, cells):
    assert isinstance(read_as(tmp_path, cells)[0], Categorical)


@pytest.mark.parametrize("name", ["rating", "num_stars", "painScore", "Severity (0-3)"])
def test_whole_numbers_are_ordinal_where_their_name_says_so(tmp_path, name):
    label, values = read_as(tmp_path, ["3", "1", "10", "1", "2"], name=name)
    assert label == Ordinal(name, ("1", "2", "3", "10"))
    assert values == [2, 0, 3, 0, 1]
    assert isinstance(read_as(tmp_path, ["3", "1", "10", "3", "1", "10"])[0], Categorical)


def test_the_order_of_classes_can_be_given(tmp_path):
    cells = ["cold", "hot", "warm", "hot"]
    with pytest.raises(ValueError, match="x has classes of no known order: give it, by label_typ"):
        read_as(tmp_path, cells, "ordinal")
    label, values = read_as(tmp_path, cells, Ordinal("any", ("ice", "cold", "warm", "hot")))
    assert label == Ordinal("x", ("ice", "cold", "warm", "hot"))
    assert values == [1, 3, 2, 3]
    years = [str(year) for year in range(1990, 2020)]
    assert read_as(tmp_path, years, "ordinal")[0].classes == tuple(years)
    with pytest.raises(ValueError, match="one class, '5': wanted at least two"):
        read_as(tmp_path, ["5", "5"], "ordinal")


@pytest.mark.parametrize("name", ["person", "id", "patientID", "Unnamed: 0"])
def test_whole_numbers_that_may_be_identities_are_asked_about(tmp_path, name):
    cells = [str(number) for number in range(1, 41)] * 2
    with pytest.raises(ValueError, match="has 40 different whole numbers, which may be identit"):
        read_as(tmp_path, cells, name=name)
    assert len(read_as(tmp_path, cells, "categorical", name=name)[0].classes) == 40
    assert read_as(tmp_path, cells, "continuous", name=name)[0] == Continuous(name)
    assert read_as(tmp_path, cells, name="age")[0] == Continuous("age")


@pytest.mark.parametrize(
    ("cells", "label"),
    [
        (["0", "0.25", "1"], Continuous("x", minimum=0, maximum=1)),
        (["0", "12.5", "100", ""], Continuous("x", minimum=0, maximum=100)),
        (["0.01", "0.25", "1"], Continuous("x")),
        (["0", "12.5", "99"], Continuous("x")),
        (["-1", "0.5", "1"], Continuous("x")),
    ],
)
def test_bounds_are_inferred_where_values_touch_both(tmp_path, cells, label):
    assert read_as(tmp_path, cells)[0] == label
    assert read_as(tmp_path, cells, "continuous")[0] == Continuous("x")


def test_a_number_outside_of_given_bounds_is_an_error(tmp_path):
    reason = "line 3: x is '-0.5', which is not a number of at least 0, its bounds"
    with pytest.raises(ValueError, match=reason):
        read_as(tmp_path, ["1", "-0.5"], Continuous("x", minimum=0))


def test_order_and_bounds_are_described():
    labels = [
        Ordinal("size", ("S", "M", "L")),
        Ordinal("year", tuple(str(year) for year in range(1990, 2000))),
        Continuous("share", minimum=0, maximum=1),
        Continuous("length", minimum=0),
        Continuous("loss", maximum=2.5),
    ]
    assert describe(labels, np.array([[0, 0, 0.25, 1, 1], [2, 9, 1, 7, 2]])) == [
        "size: 3 classes in order (S < M < L), none missing",
        "year: 10 classes in order (1990 < 1991 < ...), none missing",
        "share: a number, 0.25 to 1, bounded by 0 and 1, none missing",
        "length: a number, 1 to 7, bounded below by 0, none missing",
        "loss: a number, 1 to 2, bounded above by 2.5, none missing",
    ]
