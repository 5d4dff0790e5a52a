"""Descriptions of labels hold plain values, as documented, or are refused in one line."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import torch

from ccvae_pyro import Binary, Categorical, Continuous, Ordinal
from ccvae_pyro.labels import from_plain, outcome_names, to_plain

AGES = np.array([31.0, 40.0, 52.0])


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (Binary("a", np.float64(0.3)), Binary("a", 0.3)),
        (Binary(np.str_("a"), torch.tensor(0.25), np.int64(2)), Binary("a", 0.25, 2)),
        (Binary("a", np.array(0.5), excludes=["b"]), Binary("a", excludes=("b",))),
        (Continuous("age", AGES.mean(), AGES.std()), Continuous("age", 41.0, float(AGES.std()))),
        (Continuous("age", pd.Series(AGES).mean(), 9), Continuous("age", 41.0, 9.0)),
        (Continuous("age", torch.tensor(41), np.float32(9)), Continuous("age", 41.0, 9.0)),
        (
            Categorical("hair", np.array(["red", "no"]), np.array([0.25, 0.75])),
            Categorical("hair", ("red", "no"), (0.25, 0.75)),
        ),
        (
            Continuous("age", 41, 9, minimum=np.int64(0), observed_range=np.array([2.5, 80])),
            Continuous("age", 41.0, 9.0, 0, 0.0, None, (2.5, 80.0)),
        ),
        (Ordinal("n", np.array(["1", "2"])), Ordinal("n", ("1", "2"))),
        (
            Categorical("hair", ["red", "no"], torch.ones(2)),
            Categorical("hair", ("red", "no"), (1, 1)),
        ),
    ],
)
def test_scalars_of_numpy_pandas_and_torch_become_plain_values(label, expected):
    assert label == expected
    for field in fields(label):
        value = getattr(label, field.name)
        assert type(value) in (str, int, float, tuple, type(None))
        assert all(type(each) in (str, float) for each in (value if type(value) is tuple else ()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Binary("a", 0.0), "prevalence of 'a' must lie strictly between 0 and 1, got 0.0"),
        (lambda: Binary("a", 1), "prevalence of 'a' must lie strictly between 0 and 1, got 1.0"),
        (lambda: Binary("a", np.nan), "prevalence of 'a' must be a finite number, got nan"),
        (lambda: Binary("a", "0.5"), "prevalence of 'a' must be a finite number, got '0.5'"),
        (lambda: Binary("a", True), "prevalence of 'a' must be a finite number, got True"),
        (lambda: Binary("a", torch.ones(2)), r"must be a finite number, got tensor\(\[1., 1.\]"),
        (lambda: Binary(3), "the name of a label must be text"),
        (
            lambda: Binary("a", extra_dims=-1),
            "extra_dims of 'a' must be .* of at least 0",
        ),
        (
            lambda: Binary("a", extra_dims=1.0),
            "extra_dims of 'a' must be .* of at least 0",
        ),
        (lambda: Binary("a", excludes="Bald"), "each name of a label that 'a' excludes"),
        (lambda: Binary("a", excludes=("a",)), "the label 'a' cannot exclude itself"),
        (lambda: Continuous("a", std=0), "standard deviation of 'a' must be positive, got 0.0"),
        (lambda: Continuous("a", std=-1), "standard deviation of 'a' must be positive, got -1.0"),
        (lambda: Continuous("a", std=np.inf), "deviation of 'a' must be a finite number, got inf"),
        (lambda: Continuous("a", np.nan), "mean of 'a' must be a finite number, got nan"),
        (lambda: Continuous("a", extra_dims="1"), "extra_dims of 'a' must be a whole number"),
        (
            lambda: Continuous("a", minimum=1, maximum=1),
            "minimum of 'a', 1, must be below its max",
        ),
        (lambda: Continuous("a", minimum="0"), "the minimum of 'a' must be a finite number"),
        (lambda: Continuous("a", maximum=np.inf), "the maximum of 'a' must be a finite number"),
        (
            lambda: Continuous("a", observed_range=(2, 1)),
            "observed range of 'a' is a number and a",
        ),
        (lambda: Continuous("a", observed_range=(2,)), "observed range of 'a' is a number and a"),
        (lambda: Ordinal("a", ("low",)), "'a' needs at least two classes, got 1"),
        (lambda: Ordinal("a", ("low", "low")), "class name of 'a' must differ"),
        (lambda: Ordinal("a", ("low", "high"), (1, 0)), "a positive frequency for each of 2"),
        (lambda: Categorical("a", ()), "'a' needs at least two classes, got 0"),
        (lambda: Categorical("a", ("b",)), "'a' needs at least two classes, got 1"),
        (lambda: Categorical("a", ("b", "b")), "class name of 'a' must differ .* got 'b' twice"),
        (lambda: Categorical("a", (0, 1)), r"class name of 'a' must be text \(str\), got 0"),
        (lambda: Categorical("a", "red"), "wanted a sequence with each class name of 'a'"),
        (lambda: Categorical("a", {"b", "c"}), "wanted a sequence with each class name of 'a'"),
        (lambda: Categorical("a", ("b", "c"), (1, 0)), "a positive frequency for each of 2"),
        (lambda: Categorical("a", ("b", "c"), (1,)), "frequency for each of 2 classes, got 1"),
        (lambda: Categorical("a", ("b", "c"), (1, np.nan)), "class frequency of 'a' must be a f"),
        (lambda: Categorical("a", ("b", "c"), 0.5), "wanted a sequence with each class freq"),
    ],
)
def test_a_value_that_is_not_as_documented_is_an_error_of_one_line(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert len(str(caught.value).splitlines()) == 1


def test_an_ordinal_label_has_the_moments_of_its_ranks_and_one_characteristic():
    label = Ordinal("n", ("low", "mid", "high"), (0.5, 0.25, 0.25))
    ranks = np.repeat([0, 1, 2], [2, 1, 1])
    assert (label.mean, label.std) == pytest.approx((ranks.mean(), ranks.std()))
    assert Ordinal("n", ("low", "mid", "high"), extra_dims=2).dim == 3
    assert outcome_names([label]) == ["n: low", "n: mid", "n: high"]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (Continuous("a", 5, 2), (1, 9)),
        (Continuous("a", 5, 2, minimum=2, maximum=6), (2, 6)),
        (Continuous("a", 5, 2, observed_range=(4, 20)), (4, 9)),
        (Continuous("a", 5, 2, maximum=7, observed_range=(4, 20)), (4, 7)),
        (Continuous("a", 5, 2, observed_range=(10, 20)), (10, 20)),  # of other images
        (Continuous("a", -5, 2, minimum=0), (0, 4)),  # the mean is the nearest that there can be
    ],
)
def test_typical_values_lie_within_bounds_and_the_observed_range(label, expected):
    assert label.interval(2) == expected


def test_all_kinds_are_the_same_after_a_checkpoint():
    labels = (
        Ordinal("n", ("low", "high"), (0.5, 0.5), 1),
        Continuous("a", 0.5, 0.1, minimum=0, maximum=1, observed_range=(0.2, 0.9)),
    )
    assert from_plain(to_plain(labels)) == labels
    plain = {"kind": "continuous", "name": "a", "mean": 1.0, "std": 2.0, "extra_dims": 0}
    assert from_plain([plain]) == (Continuous("a", 1.0, 2.0),)  # of an earlier version


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        (Binary("hat"), "Binary('hat')"),
        (
            Binary("bald", 0.2, excludes=("bangs",)),
            "Binary('bald', prevalence=0.2, excludes=('bangs',))",
        ),
        (Categorical("hair", ("a", "b")), "Categorical('hair', classes=('a', 'b'))"),
        (
            Ordinal("age", ("a", "b"), (0.25, 0.75), extra_dims=2),
            "Ordinal('age', classes=('a', 'b'), class_frequencies=(0.25, 0.75), extra_dims=2)",
        ),
        (Continuous("size", std=0.1, minimum=0), "Continuous('size', std=0.1, minimum=0.0)"),
    ],
)
def test_a_label_is_printed_as_the_call_that_makes_it(label, shown):
    assert repr(label) == shown
    assert eval(shown) == label
