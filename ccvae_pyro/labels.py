"""Descriptions of labels: their kind, their name and the names of their classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro._plain_values import (
    plain_float,
    plain_floats,
    plain_int,
    plain_text,
    plain_texts,
)


@dataclass(frozen=True)
class Binary:
    """A binary label, which is 1 (true) or 0 (false).

    :param name: the label's name.
    :param prevalence: the fraction of images for which it is true, strictly between 0 and 1.
    :param extra_dims: the number of characteristics in addition to the one that the classifier
        uses. They can represent variation among the images for which the label is true.
    :param excludes: names of labels that cannot be true at the same time, such as hair colors for
        the label "Bald". Interventions that set this label to true set these to false.
    :raises ValueError: if a value is not as described. Scalars of numpy and torch are converted.
    """

    name: str
    prevalence: float = 0.5
    extra_dims: int = 0
    excludes: tuple[str, ...] = ()
    classes: ClassVar[tuple[str, ...]] = ("false", "true")

    def __post_init__(self) -> None:
        name = plain_text(self.name, "the name of a label")
        prevalence = plain_float(self.prevalence, f"the prevalence of {name!r}")
        if not 0 < prevalence < 1:
            raise ValueError(
                f"the prevalence of {name!r} must lie strictly between 0 and 1, got {prevalence}"
            )
        excludes = plain_texts(self.excludes, f"name of a label that {name!r} excludes")
        if name in excludes:
            raise ValueError(f"the label {name!r} cannot exclude itself")
        _set(self, name=name, prevalence=prevalence, excludes=excludes)

    @property
    def dim(self) -> int:
        """The number of its characteristics."""
        return 1 + self.extra_dims


@dataclass(frozen=True)
class Categorical:
    """A categorical label; its value is the index of a class.

    :param name: the label's name.
    :param classes: the names of the classes, at least two.
    :param class_frequencies: the frequency of each class, all positive; equal by default.
    :param extra_dims: the number of characteristics in addition to those that the classifier
        uses. It uses one for each nested dichotomy, one fewer than there are classes; see
        :class:`~ccvae_pyro.NestedCategorical`.
    :raises ValueError: if a value is not as described. Scalars of numpy and torch are converted.
    """

    name: str
    classes: tuple[str, ...]
    class_frequencies: tuple[float, ...] = ()
    extra_dims: int = 0
    excludes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        name = plain_text(self.name, "the name of a label")
        classes = plain_texts(self.classes, f"class name of {name!r}")
        if len(classes) < 2:
            raise ValueError(f"{name!r} needs at least two classes, got {len(classes)}")
        frequencies = plain_floats(self.class_frequencies, f"class frequency of {name!r}")
        if frequencies and (len(frequencies) != len(classes) or min(frequencies) <= 0):
            raise ValueError(
                f"{name!r} needs a positive frequency for each of {len(classes)} classes, got "
                f"{len(frequencies)}: {frequencies}"
            )
        _set(self, name=name, classes=classes, class_frequencies=frequencies)

    @property
    def dim(self) -> int:
        """The number of its characteristics."""
        return len(self.classes) - 1 + self.extra_dims


@dataclass(frozen=True)
class Continuous:
    """A continuous label.

    :param name: the label's name.
    :param mean: the mean of its values, in their unit.
    :param std: the standard deviation of its values, positive.
    :param extra_dims: the number of characteristics in addition to the one that the classifier
        uses.
    :raises ValueError: if a value is not as described. Scalars of numpy and torch are converted.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    extra_dims: int = 0
    classes: ClassVar[tuple[str, ...]] = ()
    excludes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        name = plain_text(self.name, "the name of a label")
        mean = plain_float(self.mean, f"the mean of {name!r}")
        std = plain_float(self.std, f"the standard deviation of {name!r}")
        if std <= 0:
            raise ValueError(f"the standard deviation of {name!r} must be positive, got {std}")
        _set(self, name=name, mean=mean, std=std)

    @property
    def dim(self) -> int:
        """The number of its characteristics."""
        return 1 + self.extra_dims


def _set(label: Any, **values: Any) -> None:
    """Sets the checked values of a label, which is frozen."""
    extra_dims = plain_int(label.extra_dims, f"extra_dims of {values['name']!r}", minimum=0)
    for field, value in {**values, "extra_dims": extra_dims}.items():
        object.__setattr__(label, field, value)


Label = Binary | Categorical | Continuous
_TRUTHS = {"false": 0.0, "no": 0.0, "true": 1.0, "yes": 1.0}
_KINDS: dict[str, type[Label]] = {
    "binary": Binary, "categorical": Categorical, "continuous": Continuous
}  # fmt: skip


def check_distinct(labels: Sequence[Label]) -> None:
    """Checks that labels are descriptions with names of their own.

    :raises ValueError: if one is not.
    """
    names: set[str] = set()
    for label in labels:
        if not isinstance(label, Label):
            raise ValueError(f"wanted a Binary, a Categorical or a Continuous, got {label!r}")
        if label.name in names:
            raise ValueError(f"labels need names of their own, got several {label.name!r}")
        names.add(label.name)


def binaries(
    names: Sequence[str], frequencies: Sequence[float] | None = None
) -> tuple[Label, ...]:
    """A binary label for each name."""
    prevalences = [0.5] * len(names) if frequencies is None else frequencies
    return tuple(
        Binary(name, float(prevalence))
        for name, prevalence in zip(names, prevalences, strict=True)
    )


def are_plain(labels: Sequence[Label]) -> bool:
    """Whether all labels are binary with one characteristic each, as in the paper."""
    return all(isinstance(label, Binary) and not label.extra_dims for label in labels)


def block_of(labels: Sequence[Label], index: int) -> slice:
    """The slice of ``z_c`` that holds the characteristics of a label."""
    start = sum(label.dim for label in labels[:index])
    return slice(start, start + labels[index].dim)


def to_plain(labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Labels as plain values, for a checkpoint."""
    return [{"kind": _kind_of(label), **asdict(label)} for label in labels]


def _kind_of(label: Label) -> str:
    return next(name for name, kind in _KINDS.items() if isinstance(label, kind))


def from_plain(values: Sequence[dict[str, Any]]) -> tuple[Label, ...]:
    """The labels from the plain values of :func:`to_plain`.

    :raises ValueError: if they are no such values.
    """
    if not isinstance(values, list | tuple) or not all(isinstance(each, dict) for each in values):
        raise ValueError("labels must be a list of dicts")
    labels: list[Label] = []
    for plain in values:
        arguments: Any = dict(plain)
        kind = arguments.pop("kind", None)
        if not isinstance(kind, str) or kind not in _KINDS:
            raise ValueError(f"wanted a label of the kinds {', '.join(_KINDS)}, got {kind!r}")
        try:
            labels.append(_KINDS[kind](**arguments))
        except TypeError as error:  # a missing field, or an unknown one
            raise ValueError(f"label {len(labels)}: {error}") from error
    return tuple(labels)


def value_of(label: Label, value: Any) -> float:
    """Converts a label's value to the number that ``y`` has for it.

    A class is given by its name, which is text, or by its index, which is a whole number: see
    :func:`index_of`. A binary label is 0, 1 or between them, a bool, ``"yes"`` or ``"no"``,
    ``"true"`` or ``"false"``; a continuous label is any finite number. Text that is a number is
    taken for it there.

    :raises ValueError: if the label has no such value.

    Example:

        >>> value_of(Categorical("Hair", ("black", "blond")), "blond")
        1.0
        >>> value_of(Categorical("Stars", ("1", "3", "5")), "3")
        1.0
        >>> value_of(Binary("Smiling"), 2)
        Traceback (most recent call last):
            ...
        ValueError: 'Smiling' is set to a value between 0 and 1, got 2
    """
    value = _plain(value)
    if isinstance(label, Categorical):
        if isinstance(value, float) and value.is_integer():  # as y has it
            value = int(value)
        return float(index_of(value, label.classes, f"class of {label.name!r}"))
    if isinstance(label, Binary):
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, str) and value.lower() in _TRUTHS:
            return _TRUTHS[value.lower()]
    number = _number(value)
    if number is None:
        raise ValueError(f"{label.name!r} is set to a finite number, got {value!r}")
    if isinstance(label, Binary) and not 0 <= number <= 1:
        raise ValueError(f"{label.name!r} is set to a value between 0 and 1, got {value}")
    return number


def check_labels(y: Tensor, labels: Sequence[Label], *, soft: bool = False) -> None:
    """Checks that every label has a value of its kind, or NaN where it is missing.

    :param y: the labels, shape ``(num_images, num_labels)``.
    :param soft: whether a binary label may be a probability, anywhere between 0 and 1.
    :raises ValueError: if not; the message names the first wrong value and the valid ones.

    Example:

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
    label = _plain(label)
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


def num_outcomes(label: Label) -> int:
    """The number of columns of a label in the output of :func:`~ccvae_pyro.classify`."""
    return len(label.classes) if isinstance(label, Categorical) else 1


def outcome_names(labels: Sequence[Label]) -> list[str]:
    """The names of the columns in the output of :func:`~ccvae_pyro.classify`.

    A categorical label has a column for each class, any other label has one column.

    Example:

        >>> outcome_names([Binary("Hat"), Categorical("Hair", ("black", "blond"))])
        ['Hat', 'Hair: black', 'Hair: blond']
    """
    names: list[str] = []
    for label in labels:
        is_categorical = isinstance(label, Categorical)
        names += [f"{label.name}: {c}" for c in label.classes] if is_categorical else [label.name]
    return names


def _plain(value: Any) -> Any:
    """A scalar of NumPy or PyTorch as a plain value."""
    is_scalar = isinstance(value, np.generic | np.ndarray | Tensor) and value.ndim == 0
    return value.item() if is_scalar else value


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
