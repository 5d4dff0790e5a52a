"""Text is a name and a whole number is an index, of labels and of classes alike."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import Binary, Categorical, Continuous, Ordinal, edit, mnist
from ccvae_pyro.labels import check_labels, index_of, value_of

STARS = Categorical("Stars", ("1", "3", "5"))
HAIR = Categorical("Hair", ("black", "blond", "red"))
HAT, AGE = Binary("Hat"), Continuous("Age", 40.0, 10.0)


@pytest.mark.parametrize(
    ("label", "value", "number"),
    [
        (Ordinal("Stars", ("1", "3", "5")), "3", 1.0),
        (Continuous("Share", minimum=0, maximum=1), "1", 1.0),
        (STARS, "3", 1.0),
        (STARS, 0, 0.0),
        (STARS, 2, 2.0),
        (HAIR, "red", 2.0),
        (HAIR, 1, 1.0),
        (HAIR, np.int64(1), 1.0),
        (HAIR, torch.tensor(1), 1.0),
        (HAIR, np.float32(2), 2.0),  # as y has it
        (HAIR, np.str_("blond"), 1.0),
        (HAT, True, 1.0),
        (HAT, np.bool_(False), 0.0),
        (HAT, "true", 1.0),
        (HAT, "0.25", 0.25),
        (HAT, np.float64(0.5), 0.5),
        (AGE, "31.5", 31.5),
        (AGE, "31,5", 31.5),  # as the reader of CSVs takes it
        (AGE, "-0,25", -0.25),
        (AGE, "1234,5", 1234.5),
        (AGE, "1,2345", 1.2345),
        (HAT, "0,5", 0.5),
        (AGE, np.int64(60), 60.0),
        (AGE, -3, -3.0),
    ],
)
def test_a_value_is_the_number_that_y_has_for_it(label, value, number):
    assert value_of(label, value) == number


@pytest.mark.parametrize(
    ("label", "value", "message"),
    [
        (STARS, "2", "no class of 'Stars' is called '2': there are 1, 3, 5"),
        (STARS, 1, "class of 'Stars' 1 is '3' by its index, and another is called '1': give the"),
        (STARS, 1.0, "class of 'Stars' 1 is '3' by its index, and another is called '1'"),
        (STARS, 3, "class of 'Stars' 3 is no index, and another is called '3': give the name"),
        (STARS, 4, "class of 'Stars' 4 is out of range: there are 3, counted from 0"),
        (HAIR, 1.7, "wanted the name or the index of a class of 'Hair', got 1.7"),
        (HAIR, math.nan, "wanted the name or the index of a class of 'Hair', got nan"),
        (HAIR, math.inf, "wanted the name or the index of a class of 'Hair', got inf"),
        (HAIR, True, "wanted the name or the index of a class of 'Hair', got True"),
        (HAIR, None, "wanted the name or the index of a class of 'Hair', got None"),
        (HAIR, -1, "class of 'Hair' -1 is out of range"),
        (HAIR, "1", "no class of 'Hair' is called '1'"),
        (HAT, 2, "'Hat' is set to a value between 0 and 1, got 2"),
        (
            HAT,
            math.nan,
            "'Hat' is set to yes or no, true or false, or a value between 0 and 1, got n",
        ),
        (HAT, "maybe", "'Hat' is set to yes or no, true or false, or a value .* got 'maybe'"),
        (HAT, "1,5", "'Hat' is set to a value between 0 and 1, got '1,5'"),
        (AGE, "1,234", r"'Age' is set to a finite number \(1234, or 1.2340\), got '1,234'"),
        (AGE, "1,2,3", "'Age' is set to a finite number, got '1,2,3'"),
        (AGE, 1 + 2j, "'Age' is set to a finite number, got"),
        (AGE, 1e30, "'Age' is set to 1e.30: wanted at most 1e.06 standard deviations"),
        (AGE, "x" * 10_000, r"'Age' is set to a finite number, got 'x{79}\.\.\.$"),
        (AGE, math.inf, "'Age' is set to a finite number, got inf"),
        (AGE, "nan", "'Age' is set to a finite number, got 'nan'"),
        (AGE, "1_0", "'Age' is set to a finite number, got '1_0'"),
        (AGE, True, "'Age' is set to a finite number, got True"),
        (AGE, None, "'Age' is set to a finite number, got None"),
        (AGE, torch.zeros(2), "'Age' is set to a finite number, got tensor"),
    ],
)
def test_what_is_no_value_is_one_line(label, value, message):
    with pytest.raises(ValueError, match=message):
        value_of(label, value)


@pytest.mark.parametrize("index", [1, np.int64(1), torch.tensor(1), np.array(1)])
def test_a_label_is_given_by_its_index(index):
    assert index_of(index, ["Bald", "Smiling"]) == 1


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("1", "no label is called '1': there are Bald, Smiling"),
        (1.0, "wanted the name or the index of a label, got 1.0"),
        (True, "wanted the name or the index of a label, got True"),
        (2, "label 2 is out of range: there are 2, counted from 0"),
        (-1, "label -1 is out of range"),
        ("x" * 300, r"no label is called 'x{79}\.\.\.: there are Bald, Smiling$"),
        ("Bald\n", r"no label is called 'Bald\\n': did you mean Bald\?"),
    ],
)
def test_what_is_no_label_is_one_line(label, message):
    with pytest.raises(ValueError, match=message):
        index_of(label, ["Bald", "Smiling"])


def test_what_there_is_is_listed_in_one_line_of_bounded_length():
    for names in ([f"{'x' * 300}{i}" for i in range(1000)], ["a\nb", "x" * 10_000] * 500):
        with pytest.raises(
            ValueError, match=r"no label is called 'Hat': there are .*, 980 more$"
        ) as e:
            index_of("Hat", names)
        assert "\n" not in str(e.value)
        assert len(str(e.value)) < 2000


def test_labels_whose_names_are_their_indices_are_had_by_either():
    digits = [str(digit) for digit in range(10)]
    assert index_of(7, digits) == index_of("7", digits) == 7


def test_folders_with_numbers_for_names_are_edited_by_name():
    torch.set_default_dtype(torch.float32)
    classes = tuple(sorted(str(number) for number in range(1, 13)))  # as text: 1, 10, 11, 12, 2
    model = mnist(z_dim=20, labels=[Categorical("class", classes)], convolutions=False)
    x = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        z_c, z_style = model.encode(x)
        z_c = model.latent_prior(0, float(classes.index("10")))[0].expand_as(z_c)
        assert_close(edit(model, x, "class", "10"), model.decode(z_c, z_style))
    with pytest.raises(ValueError, match="10 is '8' by its index, and another is called '10'"):
        edit(model, x, "class", 10)


def test_labels_are_checked_by_their_kind():
    labels = (HAIR, HAT, AGE)
    check_labels(torch.tensor([[2.0, 1.0, 1e6], [math.nan] * 3]), labels)
    check_labels(torch.tensor([[2.0, 0.5, 1e6]]), labels, soft=True)
    wrong = {
        (0, 3.0): "row 0, label 'Hair' is 3: wanted 0 .black. to 2 .red., or NaN where missing",
        (0, 0.5): "row 0, label 'Hair' is 0.5",
        (1, 0.5): "row 0, label 'Hat' is 0.5: wanted 0 .false. to 1 .true.",
        (2, -math.inf): "row 0, label 'Age' is -inf: wanted a finite number",
    }
    for (column, value), message in wrong.items():
        y = torch.zeros(1, 3)
        y[0, column] = value
        with pytest.raises(ValueError, match=message):
            check_labels(y, labels)


@pytest.mark.parametrize(
    ("bounds", "value", "wanted"),
    [
        ({"minimum": 0, "maximum": 1}, -0.5, "a number from 0 to 1"),
        ({"minimum": 0, "maximum": 1}, 1.2, "a number from 0 to 1"),
        ({"minimum": 0}, -0.001, "a number of at least 0"),
        ({"maximum": 0.1}, 0.1001, "a number of at most 0.1"),
    ],
)
def test_a_value_outside_of_bounds_is_refused(bounds, value, wanted):
    label = Continuous("Share", **bounds)
    with pytest.raises(ValueError, match=f"'Share' is set to {wanted}, got {value}"):
        value_of(label, value)
    y = torch.tensor([[1.0, torch.nan], [0.0, value]])
    with pytest.raises(ValueError, match=f"row 1, label 'Share' is .*: wanted {wanted}, or NaN"):
        check_labels(y, [HAT, label])


def test_a_bound_is_a_value_in_any_precision():
    label = Continuous("Share", minimum=-0.1, maximum=0.1)
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        check_labels(torch.tensor([[0.1], [-0.1]], dtype=dtype), [label])
