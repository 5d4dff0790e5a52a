"""What a label is: its kind, its name, what its values are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Binary:
    """A label that is true, 1, or false, 0.

    :param name: what it is called.
    :param prevalence: how often it is true, strictly between 0 and 1.
    :param extra_dims: characteristics beside the one that the classifier reads, for more of how
        it is true.
    :param excludes: names of the labels that are never true beside it: who is bald has no red
        hair. Interventions that put it on take these away.
    """

    name: str
    prevalence: float = 0.5
    extra_dims: int = 0
    excludes: tuple[str, ...] = ()
    classes: ClassVar[tuple[str, ...]] = ("false", "true")

    @property
    def dim(self) -> int:
        """How many characteristics it has."""
        return 1 + self.extra_dims


@dataclass(frozen=True)
class Categorical:
    """A label that is one of several classes; its value is the class's index.

    :param name: what it is called.
    :param classes: what the classes are called, two of them at least.
    :param class_frequencies: how often each is met, all positive; by default, all alike.
    :param extra_dims: characteristics beside those that the classifier reads, of which there is
        one for each decision between classes: see :class:`~ccvae_pyro.NestedCategorical`.
    """

    name: str
    classes: tuple[str, ...]
    class_frequencies: tuple[float, ...] = ()
    extra_dims: int = 0
    excludes: ClassVar[tuple[str, ...]] = ()

    @property
    def dim(self) -> int:
        """How many characteristics it has."""
        return len(self.classes) - 1 + self.extra_dims


@dataclass(frozen=True)
class Continuous:
    """A label that is a number.

    :param name: what it is called.
    :param mean: of its values, in their own unit.
    :param std: standard deviation of its values, positive.
    :param extra_dims: characteristics beside the one that the classifier reads.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    extra_dims: int = 0
    classes: ClassVar[tuple[str, ...]] = ()
    excludes: ClassVar[tuple[str, ...]] = ()

    @property
    def dim(self) -> int:
        """How many characteristics it has."""
        return 1 + self.extra_dims


Label = Binary | Categorical | Continuous
_KINDS: dict[str, type[Label]] = {
    "binary": Binary, "categorical": Categorical, "continuous": Continuous
}  # fmt: skip


# Fields as checkpoints before version 0.2 call them.
_FORMER_FIELDS = {
    "frequency": "prevalence", "frequencies": "class_frequencies", "deviation": "std"
}  # fmt: skip


def binaries(
    names: Sequence[str], frequencies: Sequence[float] | None = None
) -> tuple[Label, ...]:
    """A binary label for each name."""
    chances = [0.5] * len(names) if frequencies is None else frequencies
    return tuple(
        Binary(name, float(frequency)) for name, frequency in zip(names, chances, strict=True)
    )


def are_plain(labels: Sequence[Label]) -> bool:
    """Whether each is binary and has one characteristic: the paper's case."""
    return all(isinstance(label, Binary) and not label.extra_dims for label in labels)


def block_of(labels: Sequence[Label], index: int) -> slice:
    """Where the characteristics of a label are in ``z_c``."""
    start = sum(label.dim for label in labels[:index])
    return slice(start, start + labels[index].dim)


def to_plain(labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Labels as plain values, for a checkpoint."""
    names = {kind: name for name, kind in _KINDS.items()}
    return [{"kind": names[type(label)], **asdict(label)} for label in labels]


def from_plain(values: Sequence[dict[str, Any]]) -> tuple[Label, ...]:
    """What :func:`to_plain` made plain."""
    labels = []
    for plain in values:
        arguments: Any = {
            _FORMER_FIELDS.get(key, key): tuple(value) if isinstance(value, list) else value
            for key, value in plain.items()
        }
        labels.append(_KINDS[arguments.pop("kind")](**arguments))
    return tuple(labels)


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
