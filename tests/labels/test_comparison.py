"""Whether labels of a model and of data are the same columns."""

from dataclasses import replace

import pytest

from ccvae_pyro import Binary, Categorical, Continuous
from ccvae_pyro.labels import check_same_labels

HAIR = Categorical("Hair", ("black", "blond"))
LABELS = (Binary("Hat"), HAIR, Continuous("Age", 40.0, 10.0))
OTHERS = {
    "another name": (
        (Binary("Beard"), *LABELS[1:]),
        r"label 1 of the data is 'Beard' \(binary\), that of the model 'Hat' \(binary\): wanted",
    ),
    "another order": (LABELS[::-1], r"label 1 of the data is 'Age' \(continuous\), that of the "),
    "classes in another order": (
        (LABELS[0], replace(HAIR, classes=("blond", "black")), LABELS[2]),
        r"label 2 of the data is 'Hair' \(categorical: blond, black\), that of the model 'Hair' ",
    ),
    "another kind": (
        (*LABELS[:2], Binary("Age")),
        r"label 3 of the data is 'Age' \(binary\), that of the model 'Age' \(continuous\)",
    ),
    "one less": (LABELS[:2], r"label 3 of the data is none, that of the model 'Age' \(contin"),
    "one more": (
        (*LABELS, Binary("x")),
        r"label 4 of the data is 'x' \(binary\), that of .* none",
    ),
    "none": ((), "label 1 of the data is none"),
    "a long name": ((Binary("x" * 10_000),), r"is 'x{79}\.\.\. \(binary\), that of"),
}


@pytest.mark.parametrize(("others", "message"), OTHERS.values(), ids=OTHERS)
def test_other_labels_are_one_line(others, message):
    with pytest.raises(ValueError, match=message) as error:
        check_same_labels(LABELS, others, "the data")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_prevalences_means_and_numbers_of_characteristics_may_differ():
    others = (
        Binary("Hat", 0.1, 2, ("Hair",)),
        replace(HAIR, class_frequencies=(0.9, 0.1)),
        Continuous("Age", 3.0, 0.1),
    )
    check_same_labels(LABELS, others, "the data")


def test_labels_that_were_never_named_may_have_any_names():
    unnamed = [replace(label, name=str(i)) for i, label in enumerate(LABELS)]
    check_same_labels(unnamed, LABELS, "the data")
    with pytest.raises(ValueError, match="label 1 of the data is 'Age'"):
        check_same_labels(unnamed, LABELS[::-1], "the data")
