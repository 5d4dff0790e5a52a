"""Selecting and combining labels, subsets of images, empirical priors."""

import numpy as np
import pytest
import torch

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


# Arrays that are no labeled images


def splits_of(**splits):
    return {"splits": {name: np.array(rows) for name, rows in splits.items()}}


IMAGES = np.zeros((40, 8, 8, 3), np.uint8)
AGES = {"label_types": (Continuous("age"), Continuous("time"))}
BAD_ARRAYS = {
    "floats": ({"images": IMAGES / 255}, r"got float64 of shape \(40, 8, 8, 3\): \(255 \* images"),
    "signed": ({"images": IMAGES.astype(np.int64)}, r"uint8 .*, 0 to 255, got int64"),
    "channels first": (
        {"images": IMAGES.transpose(0, 3, 1, 2)},
        r"got uint8 of shape \(40, 3, 8, 8\): images\.transpose\(0, 2, 3, 1\)",
    ),
    "no channel": ({"images": IMAGES[..., 0]}, r"\(40, 8, 8\): images\[\.\.\., None\] adds"),
    "one image": ({"images": IMAGES[0]}, r"got uint8 of shape \(8, 8, 3\)"),
    "no image": ({"images": IMAGES[:0]}, r"got uint8 of shape \(0, 8, 8, 3\)"),
    "tensor": ({"images": torch.zeros(40, 8, 8, 3)}, "a NumPy array, got a Tensor"),
    "too few labels": (
        {"labels": np.zeros((35, 2), np.float32)},
        r"wanted .* shape \(40, 2\) for 40 images and 2 label types, got float32 .* \(35, 2\)",
    ),
    "too many labels": ({"labels": np.zeros((50, 2), np.float32)}, r"got float32 .* \(50, 2\)"),
    "one column": ({"labels": np.zeros(40, np.float32)}, r"got float32 of shape \(40,\)"),
    "another column": ({"labels": np.zeros((40, 3), np.float32)}, r"got float32 .* \(40, 3\)"),
    "text": ({"labels": np.full((40, 2), "yes")}, "labels as numbers .* got <U3"),
    "label tensor": ({"labels": torch.zeros(40, 2)}, "labels .* a NumPy array, got a Tensor"),
    "overlap": (
        splits_of(train=range(30), valid=range(28, 35)),
        "row 28 is in the splits train and valid, as are 2 rows in all",
    ),
    "twice": (splits_of(train=[1, 1, 2]), "row 1 is in the splits train and train"),
    "out of range": (
        splits_of(train=[0, 40]),
        "holds row 40, but the rows of 40 images are 0 to 39",
    ),
    "negative": (splits_of(train=[-1]), "holds row -1"),
    "mask": (splits_of(train=[True, False]), "'train' as whole numbers, got bool of shape"),
    "one name twice": ({"label_types": binaries("aa")}, "names of their own, got several 'a'"),
    "no labels but names": ({"label_types": ("a", "b")}, "wanted a Binary, .* got 'a'"),
    "one file twice": (
        {"files": (*map(str, range(39)), "7")},
        "rows 7 and 39 are one file, '7'",
    ),
    "too few files": ({"files": ("a", "b")}, "a file name for each of 40 images, or none, got 2"),
    "timestamps": (
        AGES | {"labels": 1.7e9 + np.arange(80.0).reshape(40, 2)},
        "the values of 'age', 1700000000 to 1700000078, are too close together for the 7 digits",
    ),
    "whole timestamps": (
        AGES | {"labels": 1_700_000_000 + np.arange(80).reshape(40, 2)},
        "the values of 'age', 1700000000 to 1700000078, .* subtract an offset from each, such as",
    ),
    "more than float32 holds": (
        AGES | {"labels": np.full((40, 2), 1e39)},
        "row 0, label 'age' is inf: wanted a finite number",
    ),
    "unknown split": (splits_of(validation=[1]), "called train, valid, test, got 'validation'"),
}


@pytest.mark.parametrize(("change", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_arrays_of_another_kind_are_one_line(change, message):
    arrays = {"images": IMAGES, "labels": np.zeros((40, 2), np.float32)}
    arrays |= {"label_types": binaries(("a", "b")), "splits": {"train": np.arange(40)}}
    with pytest.raises(ValueError, match=message) as caught:
        LabeledImages(**arrays | change)
    assert "\n" not in str(caught.value)


def test_numbers_that_float32_tells_apart_are_labels_in_any_precision():
    labels = np.stack([np.linspace(20, 90, 40), np.arange(40) * 1e9], axis=1)
    labels[3] = np.nan
    for dtype in (np.float32, np.float64):
        data = LabeledImages(IMAGES, labels.astype(dtype), AGES["label_types"], {"train": [0]})
        assert data.labels.dtype == dtype


def test_whole_numbers_are_labels_too():
    labels = np.ones((40, 1), dtype=int)
    data = LabeledImages(IMAGES, labels, binaries(["a"]), {"train": np.arange(40)})
    _, y = data.batch(np.arange(2))
    assert y.tolist() == [[1.0], [1.0]]
    assert y.dtype == torch.float32


def test_a_data_set_is_printed_as_its_sizes_splits_and_labels():
    labels = np.array([[1, np.nan], [0, 2.5], [1, 3.5], [np.nan, 1.0]])
    splits = {"train": np.arange(3), "valid": np.arange(3, 4)}
    types = (Binary("hat"), Continuous("age"))
    data = LabeledImages(np.zeros((4, 8, 6, 3), np.uint8), labels, types, splits)
    assert repr(data).splitlines() == [
        "LabeledImages: 4 images of 8x6x3",
        "  train 3, valid 1",
        "  1 binary label: hat",
        "  1 continuous label: age",
        "  25.0% of the labels are missing",
    ]
