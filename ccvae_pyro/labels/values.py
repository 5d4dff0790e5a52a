"""Values of labels: those that users give, and those in arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from ccvae_pyro.labels._plain_values import shown, to_plain_scalar
from ccvae_pyro.labels.types import Binary, Classes, Continuous, Label

NO_BOUNDS = (-math.inf, math.inf)
# A continuous label is measured in its standard deviations: so far from its mean, no single
# precision is left, and much farther a loss is not finite.
MAX_DISTANCE = 1e6
# A number with a decimal comma, unless the comma may separate thousands.
DECIMAL_COMMA = r"[-+]?[0-9]+,[0-9]+(?:[eE][-+]?[0-9]+)?"
_THOUSANDS = r"[-+]?[1-9][0-9]{0,2},[0-9]{3}"
MAX_NAMES = 20  # in an error message
# What the words for a binary label mean, in lower case.
TRUTH_OF_WORD = {"false": 0.0, "no": 0.0, "true": 1.0, "yes": 1.0}


def value_of(label: Label, value: Any) -> float:
    """Converts a label's value to the number that ``y`` has for it.

    A class is given by its name, which is text, or by its index, which is a whole number: see
    :func:`index_of`. A binary label is 0, 1 or between them, a bool, ``"yes"`` or ``"no"``,
    ``"true"`` or ``"false"``; a continuous label is a finite number within its bounds, at most a
    million standard deviations from its mean. Text that is a number, also with a decimal comma,
    is taken for it there.

    :raises ValueError: if the label has no such value.

    Example:

        >>> from ccvae_pyro.labels import Categorical
        >>> value_of(Categorical("Hair", ("black", "blond")), "blond")
        1.0
        >>> value_of(Categorical("Stars", ("1", "3", "5")), "3")
        1.0
        >>> value_of(Binary("Smiling"), 2)
        Traceback (most recent call last):
            ...
        ValueError: 'Smiling' is set to a value between 0 and 1, got 2
    """
    value = to_plain_scalar(value)
    if isinstance(label, Classes):
        if isinstance(value, float) and value.is_integer():  # as y has it
            value = int(value)
        return float(index_of(value, label.classes, f"class of {shown(label.name)}"))
    if isinstance(label, Binary):
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, str) and value.lower() in TRUTH_OF_WORD:
            return TRUTH_OF_WORD[value.lower()]
    number = _number(value)
    if number is None:
        wanted = "a finite number"
        if isinstance(label, Binary):
            wanted = "yes or no, true or false, or a value between 0 and 1"
        elif isinstance(value, str) and re.fullmatch(_THOUSANDS, value):
            wanted += f" ({value.replace(',', '')}, or {value.replace(',', '.')}0)"
        raise ValueError(f"{shown(label.name)} is set to {wanted}, got {shown(value)}")
    if isinstance(label, Binary) and not 0 <= number <= 1:
        raise ValueError(
            f"{shown(label.name)} is set to a value between 0 and 1, got {shown(value)}"
        )
    if isinstance(label, Continuous) and not label.bounds[0] <= number <= label.bounds[1]:
        raise ValueError(f"{shown(label.name)} is set to {label.wanted}, got {shown(value)}")
    if isinstance(label, Continuous) and abs(number - label.mean) > MAX_DISTANCE * label.std:
        raise ValueError(f"{shown(label.name)} is set to {number:g}: {_wanted_near(label)}")
    return number


def check_labels(y: Tensor, labels: Sequence[Label], *, soft: bool = False) -> None:
    """Checks that every label has a value of its kind, or NaN where it is missing.

    :param y: the labels, shape ``(num_images, num_labels)``.
    :param soft: whether a binary label may be a probability, anywhere between 0 and 1.
    :raises ValueError: if not; the message names the first wrong value and the valid ones.

    Example:

        >>> from ccvae_pyro.labels import Categorical
        >>> check_labels(torch.tensor([[0.0, 2.0], [1.0, 3.0]]),
        ...              [Binary("Smiling"), Categorical("Hair", ("black", "blond", "red"))])
        Traceback (most recent call last):
            ...
        ValueError: row 1, label 'Hair' is 3: wanted 0 (black) to 2 (red), or NaN where missing
    """
    if y.shape[-1] != len(labels):
        raise ValueError(f"wanted a column for each of {len(labels)} labels, got {y.shape[-1]}")
    num_classes = [len(label.classes) for label in labels]
    last = y.new_tensor(num_classes) - 1
    if torch.equal(y.round().clamp_(min=0).minimum(last), y):
        return  # all are known classes, as in most steps of training
    wrong = is_wrong(y, num_classes)
    if soft:
        is_binary = torch.tensor([isinstance(label, Binary) for label in labels]).to(y.device)
        wrong &= ~(is_binary & (y >= 0) & (y <= 1))
    bounds = [label.bounds if isinstance(label, Continuous) else NO_BOUNDS for label in labels]
    if any(each != NO_BOUNDS for each in bounds):
        low, high = y.new_tensor(bounds).T  # rounded as y is
        wrong |= (y < low) | (y > high)
    if wrong.any():
        row, column = wrong.nonzero()[0].tolist()
        label, value = labels[column], y[row, column].item()
        wanted = label.wanted if isinstance(label, Continuous) else ""
        if label.classes:
            end = len(label.classes) - 1
            names = [_shown_name(label.classes[each]) for each in (0, end)]
            wanted = f"0 ({names[0]}) to {end} ({names[1]})"
        raise ValueError(
            f"row {row}, label {shown(label.name)} is {value:g}: wanted {wanted}, or NaN where "
            "missing"
        )


def check_distances(y: Tensor, labels: Sequence[Label]) -> None:
    """Checks that the continuous labels are within a million standard deviations of their means.

    It is for the labels of a model, whose means and standard deviations are those of the data.

    :param y: the labels, shape ``(num_images, num_labels)``.
    :raises ValueError: if one is not; the message names the first.
    """
    for column, label in enumerate(labels):
        if isinstance(label, Continuous):
            is_far = (y[:, column] - label.mean).abs() > MAX_DISTANCE * label.std
            if is_far.any():
                row = int(is_far.nonzero()[0])
                raise ValueError(
                    f"row {row}, label {shown(label.name)} is {y[row, column].item():g}: "
                    f"{_wanted_near(label)}"
                )


def _wanted_near(label: Continuous) -> str:
    return (
        f"wanted at most {MAX_DISTANCE:g} standard deviations ({label.std:g}) from its mean "
        f"({label.mean:g}), as with_empirical_priors() of the data gives them to a label"
    )


def is_wrong(y: Tensor, num_classes: int | Sequence[int]) -> Tensor:
    """A mask of the labels that are neither missing nor a value of their kind.

    :param num_classes: the number of classes, of all labels or of each column; 0 for a continuous
        label.
    """
    count = torch.as_tensor(num_classes).to(y.device)
    is_class = (y >= 0) & (y < count) & (y == y.round())
    return ~(y.isnan() | torch.where(count > 0, is_class, y.isfinite()))


def index_of(label: str | int, names: Sequence[str], what: str = "label") -> int:
    """The index of a label or a class, given by its name or its index.

    Text is a name, a whole number is an index, counted from 0. A number is refused if it is the
    name of another entry: of the classes "1", "3" and "5", is 1 the first or the second?

    :param what: what to call it in an error message.
    :raises ValueError: if there is none, or two; the message suggests similar names.

    Example:

        >>> index_of("Smiling", ["Bald", "Smiling"])
        1
        >>> index_of("smile", ["Bald", "Smiling"])
        Traceback (most recent call last):
            ...
        ValueError: no label is called 'smile': did you mean Smiling?
        >>> index_of(1, ["1", "3", "5"])
        Traceback (most recent call last):
            ...
        ValueError: label 1 is '3' by its index, and another is called '1': give the name, as text
    """
    label = to_plain_scalar(label)
    if isinstance(label, str):
        if label in names:
            return list(names).index(label)
        raise ValueError(f"no {what} is called {shown(label)}: {_hint(label, names)}")
    if isinstance(label, bool) or not isinstance(label, int):
        raise ValueError(f"wanted the name or the index of a {what}, got {shown(label)}")
    is_index, name = 0 <= label < len(names), str(label)
    if name in names and not (is_index and names[label] == name):
        by_index = f"is {shown(names[label])} by its index" if is_index else "is no index"
        raise ValueError(
            f"{what} {label} {by_index}, and another is called {name!r}: give the name, as text"
        )
    if not is_index:
        raise ValueError(f"{what} {label} is out of range: there are {len(names)}, counted from 0")
    return label


def _number(value: Any) -> float | None:
    """A finite number, or text that is one; None for all else."""
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        return None  # float() takes 1_0 for 10
    if isinstance(value, str) and re.fullmatch(DECIMAL_COMMA, value):
        if re.fullmatch(_THOUSANDS, value):
            return None
        value = value.replace(",", ".")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _hint(name: str, names: Sequence[str]) -> str:
    """Names similar to one that there is not, or all names."""
    lower = {each.lower(): each for each in names}
    near = [lower[each] for each in get_close_matches(name.lower(), lower, n=3, cutoff=0.4)]
    if near:
        return f"did you mean {', '.join(map(_shown_name, near))}?"
    listed = [_shown_name(each) for each in names[:MAX_NAMES]]
    listed += [f"{len(names) - MAX_NAMES} more"] * (len(names) > MAX_NAMES)
    return f"there are {', '.join(listed) or 'none'}"


def _shown_name(name: str) -> str:
    """A name in one short line, without quotation marks."""
    return name if shown(name)[1:-1] == name else shown(name)
