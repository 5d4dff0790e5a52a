"""Values of labels: those that users give, and those in arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from ccvae_pyro.labels._plain_values import to_plain_scalar
from ccvae_pyro.labels.types import Binary, Classes, Continuous, Label

NO_BOUNDS = (-math.inf, math.inf)
# What the words for a binary label mean, in lower case.
TRUTH_OF_WORD = {"false": 0.0, "no": 0.0, "true": 1.0, "yes": 1.0}


def value_of(label: Label, value: Any) -> float:
    """Converts a label's value to the number that ``y`` has for it.

    A class is given by its name, which is text, or by its index, which is a whole number: see
    :func:`index_of`. A binary label is 0, 1 or between them, a bool, ``"yes"`` or ``"no"``,
    ``"true"`` or ``"false"``; a continuous label is any finite number within its bounds. Text that
    is a number is taken for it there.

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
        return float(index_of(value, label.classes, f"class of {label.name!r}"))
    if isinstance(label, Binary):
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, str) and value.lower() in TRUTH_OF_WORD:
            return TRUTH_OF_WORD[value.lower()]
    number = _number(value)
    if number is None:
        raise ValueError(f"{label.name!r} is set to a finite number, got {value!r}")
    if isinstance(label, Binary) and not 0 <= number <= 1:
        raise ValueError(f"{label.name!r} is set to a value between 0 and 1, got {value}")
    if isinstance(label, Continuous) and not label.bounds[0] <= number <= label.bounds[1]:
        raise ValueError(f"{label.name!r} is set to {label.wanted}, got {value}")
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
            wanted = f"0 ({label.classes[0]}) to {end} ({label.classes[-1]})"
        raise ValueError(
            f"row {row}, label {label.name!r} is {value:g}: wanted {wanted}, or NaN where missing"
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
        raise ValueError(f"no {what} is called {label!r}: {_hint(label, names)}")
    if isinstance(label, bool) or not isinstance(label, int):
        raise ValueError(f"wanted the name or the index of a {what}, got {label!r}")
    is_index, name = 0 <= label < len(names), str(label)
    if name in names and not (is_index and names[label] == name):
        by_index = f"is {names[label]!r} by its index" if is_index else "is no index"
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
        return f"did you mean {', '.join(near)}?"
    return f"there are {', '.join(names) or 'none'}"
