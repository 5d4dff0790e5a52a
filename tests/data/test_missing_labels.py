"""Hiding labels of training images."""

import numpy as np
import pytest

from ccvae_pyro.data import Batches, LabeledImages, hide_labels, keep_labels_per_class
from ccvae_pyro.labels import Binary, Categorical, Continuous


def is_labeled(batch):
    """Whether each image of a batch has a label."""
    return ~batch[1].isnan().all(dim=1)


@pytest.mark.parametrize(("fraction", "num_labeled"), [(0.25, 10), (0.5, 20), (1.0, 40)])
def test_hide_labels_keeps_a_fraction_of_them(data, fraction, num_labeled):
    batches = list(Batches(hide_labels(data, fraction), 7).epoch(1))
    assert sum(len(batch[0]) for batch in batches) == 40
    assert sum(is_labeled(batch).sum() for batch in batches) == num_labeled


def test_the_seed_decides_which_labels_are_hidden(data):
    hidden = [np.isnan(hide_labels(data, 0.25, seed=seed).labels) for seed in (0, 0, 1)]
    assert np.array_equal(hidden[0], hidden[1])
    assert not np.array_equal(hidden[0], hidden[2])


def test_single_entries_can_be_hidden(data):
    hidden = np.isnan(hide_labels(data, 0.5, missing="entries").labels)
    assert 0.3 < hidden[data.splits["train"]].mean() < 0.7
    assert len(np.unique(hidden[data.splits["train"]], axis=0)) > 2
    assert not hidden[data.splits["test"]].any()


def test_hide_labels_does_not_change_its_argument(data):
    hide_labels(data, 0.0)
    assert not np.isnan(data.labels).any()


def test_arguments_out_of_range_are_errors(data):
    with pytest.raises(ValueError, match=r"label_fraction .* between 0 and 1, got 1\.5"):
        hide_labels(data, 1.5)
    with pytest.raises(ValueError, match=r"'rows' or 'entries', got 'all'"):
        hide_labels(data, 0.5, missing="all")


# The same number of labels of each class


def make_data(labels, label_types):
    labels = np.asarray(labels, dtype=np.float32)
    rows = np.arange(len(labels))
    splits = {"train": rows[:-6], "valid": rows[-6:-3], "test": rows[-3:]}
    return LabeledImages(np.zeros((len(rows), 1, 1, 1), np.uint8), labels, label_types, splits)


@pytest.fixture
def shirts():
    """20 training images of one class, 10 of another and 3 that have no label."""
    values = np.repeat([0, 1, np.nan, 0, 1], [20, 10, 3, 3, 3])
    return make_data(values[:, None], (Categorical("shirt", ("plain", "striped")),))


def known(data):
    return np.flatnonzero(~np.isnan(data.labels[data.splits["train"], 0]))


def test_the_same_number_of_labels_of_each_class_is_kept(shirts):
    kept = keep_labels_per_class(shirts, 4)
    assert np.bincount(kept.labels[known(kept), 0].astype(int)).tolist() == [4, 4]
    assert np.array_equal(kept.labels[known(kept)], shirts.labels[known(kept)])
    assert np.array_equal(kept.labels[33:], shirts.labels[33:])
    assert len(known(shirts)) == 30


def test_more_labels_include_fewer_labels_of_the_same_seed(shirts):
    few, more, other = (known(keep_labels_per_class(shirts, *a)) for a in ((3,), (6,), (3, 1)))
    assert set(few) < set(more)
    assert not np.array_equal(few, other)


def test_labels_per_class_can_be_kept_of_a_binary_label(shirts):
    data = make_data(shirts.labels, (Binary("striped"),))
    assert len(known(keep_labels_per_class(data, 10))) == 20


@pytest.mark.parametrize(
    ("label_types", "num", "message"),
    [
        ((Categorical("shirt", ("plain", "striped")),), 11, "only 10 .* are of class 'striped'"),
        ((Categorical("shirt", ("plain", "striped")),), 0, "at least one label of each class"),
        ((Continuous("size"),), 3, r"categorical or binary, got size \(Continuous\)"),
        ((Binary("a"), Binary("b")), 3, r"got a \(Binary\), b \(Binary\)"),
        ((), 3, "got none"),
    ],
)
def test_labels_per_class_that_cannot_be_kept_are_an_error(shirts, label_types, num, message):
    data = make_data(np.repeat(shirts.labels, len(label_types), axis=1), label_types)
    with pytest.raises(ValueError, match=message):
        keep_labels_per_class(data, num)
