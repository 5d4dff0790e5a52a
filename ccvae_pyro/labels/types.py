"""Descriptions of labels: their kind, their name and the names of their classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from ccvae_pyro.labels._plain_values import (
    plain_float,
    plain_floats,
    plain_int,
    plain_text,
    plain_texts,
    shown,
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
            raise ValueError(f"wanted a Binary, a Categorical or a Continuous, got {shown(label)}")
        if label.name in names:
            raise ValueError(f"labels need names of their own, got several {shown(label.name)}")
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
