"""A CSV whose empty cells are filled in."""

import numpy as np
import pytest

from ccvae_pyro.data import LabeledImages, write_imputed
from ccvae_pyro.labels import Binary, Categorical, Continuous

CSV = """file,hair,part,glasses,age
a.png,red,,YES,30
b.png,,train,,NaN
c.png,black,test,no,
d.png,,,,
"""


@pytest.fixture
def data():
    """The labels of the CSV; the last image is unreadable."""
    nan = np.nan
    labels = np.array([[1, 1, 30], [nan, nan, nan], [0, 0, nan], [nan, nan, nan]], np.float32)
    label_types = (Categorical("hair", ("black", "red")), Binary("glasses"), Continuous("age"))
    splits = {"train": np.array([0, 1]), "valid": np.array([], int), "test": np.array([2])}
    return LabeledImages(np.zeros((4, 1, 1, 1), np.uint8), labels, label_types, splits)


def test_empty_cells_are_filled_in_spelled_like_the_others(tmp_path, data):
    (tmp_path / "labels.csv").write_text(CSV)
    values = np.array([[0, 0, 0], [1, 1, 41.25], [1, 1, 1234567], [1, 1, 1]])
    confidence = np.array([[0, 0, 0], [0.75, 0.123456, 2], [0, 0, 12.5], [1, 1, 1]])
    num_filled = write_imputed(tmp_path / "labels.csv", tmp_path, data, values, confidence)
    assert num_filled == 4
    assert (tmp_path / "imputed.csv").read_text().split() == [
        "file,hair,part,glasses,age",
        "a.png,red,,YES,30",
        "b.png,red,train,YES,41.25",
        "c.png,black,test,no,1.23457e+06",
        "d.png,,,,",
    ]
    assert (tmp_path / "confidence.csv").read_text().split() == [
        "file,hair,part,glasses,age",
        "a.png,,,,",
        "b.png,0.75,,0.1235,2",
        "c.png,,,,12.5",
        "d.png,,,,",
    ]


def test_a_class_that_the_csv_does_not_have_is_written_by_its_name(tmp_path, data):
    (tmp_path / "labels.csv").write_text(CSV.replace("black", ""))
    data.labels[2, 0] = np.nan
    zeros = np.zeros((4, 3))
    write_imputed(tmp_path / "labels.csv", tmp_path, data, zeros, zeros)
    assert (tmp_path / "imputed.csv").read_text().split()[3] == "c.png,black,test,no,0"


def test_a_csv_that_has_changed_is_an_error(tmp_path, data):
    (tmp_path / "labels.csv").write_text(CSV + "e.png,,,,\n")
    zeros = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"labels\.csv has 5 rows now, but had 4"):
        write_imputed(tmp_path / "labels.csv", tmp_path, data, zeros, zeros)
    assert not (tmp_path / "imputed.csv").exists()
