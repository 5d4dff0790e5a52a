"""Descriptions of labels hold plain values, as documented, or are refused in one line."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import torch

from ccvae_pyro import Binary, Categorical, Continuous

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
