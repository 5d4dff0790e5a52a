"""The values of labels: by name, checked, and in the order of a classifier's columns."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import torch
from torch import Tensor

from ccvae_pyro.labels.kinds import Binary, Categorical, Label


def value_of(label: Label, value: float | str) -> float:
    """A label's value, given as a number or as the name of a class.

    :raises ValueError: if there is no such value.

    Example:

        >>> value_of(Categorical("Hair", ("black", "blond")), "blond")
        1.0
        >>> value_of(Binary("Smiling"), 2)
        Traceback (most recent call last):
            ...
        ValueError: 'Smiling' is set to a value between 0 and 1, got 2
    """
    if isinstance(label, Categorical):
        wanted = value if isinstance(value, str) else int(value)
        return float(index_of(wanted, label.classes, f"class of {label.name!r}"))
    try:
        number = float(label.classes.index(value) if value in label.classes else value)
    except ValueError as error:
        raise ValueError(f"{label.name!r} is set to a number, got {value!r}") from error
    if isinstance(label, Binary) and not 0 <= number <= 1:
        raise ValueError(f"{label.name!r} is set to a value between 0 and 1, got {value}")
    return number


def check_labels(y: Tensor, labels: Sequence[Label]) -> None:
    """Makes sure that every label has a value of its kind, or NaN where it is missing.

    :param y: shape ``(num_images, num_labels)``.
    :raises ValueError: if not; says which row and column is wrong, and what was wanted.

    Example:

        >>> check_labels(torch.tensor([[0.0, 2.0], [1.0, 3.0]]),
        ...              [Binary("Smiling"), Categorical("Hair", ("black", "blond", "red"))])
        Traceback (most recent call last):
            ...
        ValueError: row 1, label 'Hair' is 3: wanted 0 (black) to 2 (red), or NaN where missing
    """
    if y.shape[-1] != len(labels):
        raise ValueError(f"wanted a column for each of {len(labels)} labels, got {y.shape[-1]}")
    wrong = is_wrong(y, [len(label.classes) for label in labels])
    if wrong.any():
        row, column = wrong.nonzero()[0].tolist()
        label, value = labels[column], y[row, column].item()
        wanted = "a finite number"
        if label.classes:
            end = len(label.classes) - 1
            wanted = f"0 ({label.classes[0]}) to {end} ({label.classes[-1]})"
        raise ValueError(
            f"row {row}, label {label.name!r} is {value:g}: wanted {wanted}, or NaN where missing"
        )


def is_wrong(y: Tensor, num_classes: int | Sequence[int]) -> Tensor:
    """Which labels are neither missing nor a value of their kind.

    :param num_classes: how many classes the labels have, or those of each column; 0 for a number.
    """
    count = torch.as_tensor(num_classes, device=y.device)
    is_class = (y >= 0) & (y < count) & (y == y.round())
    return ~(y.isnan() | torch.where(count > 0, is_class, y.isfinite()))


def index_of(label: str | int, names: Sequence[str], what: str = "label") -> int:
    """The place of a label, or a class, that is given by its name or by its number.

    :raises ValueError: if there is no such label; the nearest names are offered.

    Example:

        >>> index_of("Smiling", ["Bald", "Smiling"])
        1
        >>> index_of("smile", ["Bald", "Smiling"])
        Traceback (most recent call last):
            ...
        ValueError: no label is called 'smile': did you mean Smiling?
    """
    if label in names:
        return list(names).index(str(label))
    if isinstance(label, int) or label.isdecimal():
        index = int(label)
        if not names or 0 <= index < len(names):
            return index
        raise ValueError(f"{what} {index} is out of range: there are {len(names)}, counted from 0")
    lower = {name.lower(): name for name in names}
    near = [lower[name] for name in get_close_matches(label.lower(), lower, n=3, cutoff=0.4)]
    hint = (
        f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(names) or 'none'}"
    )
    raise ValueError(f"no {what} is called {label!r}: {hint}")


def num_outcomes(label: Label) -> int:
    """How many columns of what :func:`~ccvae_pyro.classify` returns are of a label."""
    return len(label.classes) if isinstance(label, Categorical) else 1


def outcome_names(labels: Sequence[Label]) -> list[str]:
    """What :func:`~ccvae_pyro.classify` has a column for: a label, or each class of one.

    Example:

        >>> outcome_names([Binary("Hat"), Categorical("Hair", ("black", "blond"))])
        ['Hat', 'Hair: black', 'Hair: blond']
    """
    names: list[str] = []
    for label in labels:
        is_of_classes = isinstance(label, Categorical)
        names += [f"{label.name}: {c}" for c in label.classes] if is_of_classes else [label.name]
    return names
