"""Selecting and combining labels, subsets of images, empirical priors."""

import numpy as np
import pytest

from ccvae_pyro.data import LabeledImages
from ccvae_pyro.labels import Binary, Categorical, Continuous, binaries, index_of


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
        (7, "label 7 is out of range"),
    ],
)
def test_an_unknown_label_is_an_error_that_suggests_the_nearest_names(data, label, message):
    with pytest.raises(ValueError, match=message):
        index_of(label, data.label_names)


def test_a_label_can_be_selected_only_once(data):
    with pytest.raises(ValueError, match="once, got Bald, Bald"):
        data.select(["Bald", 0])


def test_prevalences_are_estimated_from_the_training_images_and_never_0_or_1(data):
    labels = np.zeros((50, 2), dtype=np.float32)
    labels[:10, 0] = 1
    labels[:20, 1] = np.nan
    labels[40:] = 1
    some = LabeledImages(data.images, labels, binaries(("a", "b")), data.splits)
    assert some.label_prevalences().tolist() == pytest.approx([11 / 42, 1 / 22])


def test_a_sample_takes_the_same_fraction_of_each_split(data):
    splits = data.sample(25, seed=0).splits
    assert [len(rows) for rows in splits.values()] == [20, 2, 2]
    assert set(splits["train"]) < set(data.splits["train"])


# Combining binary labels that exclude one another


def make_data(labels, label_types):
    labels = np.asarray(labels, dtype=np.float32)
    rows = np.arange(len(labels))
    splits = {"train": rows[:-6], "valid": rows[-6:-3], "test": rows[-3:]}
    return LabeledImages(np.zeros((len(rows), 1, 1, 1), np.uint8), labels, label_types, splits)


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


def test_combined_labels_take_the_position_of_the_first(faces):
    combined = faces.combine(["black", "blond", "red"], "hair", rest="none")
    hair = Categorical("hair", ("black", "blond", "red", "none"))
    assert combined.label_types == (HAIR[0], hair, HAIR[2])
    assert np.array_equal(combined.labels[:5, 1], [0, 2, 1, np.nan, 3], equal_nan=True)
    assert np.array_equal(combined.labels[:, [0, 2]], faces.labels[:, [0, 2]], equal_nan=True)


def test_without_a_rest_each_image_must_have_one_of_the_combined_labels(faces):
    combined = make_data(faces.labels[[0, 1, 2, 3] * 3], HAIR).combine(["red", 1, 3], "hair")
    assert combined.label_types[1].classes == ("red", "black", "blond")
    assert np.array_equal(combined.labels[:4, 1], [1, 0, 2, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("labels", "name", "rest", "message"),
    [
        (
            ["black", "blond", "red"],
            "hair",
            None,
            "row 4 is none of black, blond, red, as are 1 of 11",
        ),
        (["hat", "black"], "hair", "none", "row 0 is both hat and black, .* in 7 of 11 rows"),
        (["black", "age"], "hair", None, r"two binary labels, got black \(Binary\), age \(Cont"),
        (["black"], "hair", None, r"two binary labels, got black \(Binary\)"),
        (["black", "blont"], "hair", None, "no label is called 'blont': did you mean blond"),
        (["black", "red"], "age", "none", "there is another label called 'age'"),
        (["black", "red"], "hair", "red", "the rest needs a name of its own, got 'red'"),
    ],
)
def test_labels_that_cannot_be_combined_are_an_error(faces, labels, name, rest, message):
    with pytest.raises(ValueError, match=message):
        faces.combine(labels, name, rest)
