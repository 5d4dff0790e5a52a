"""Descriptions of labels: their kind, their name and the names of their classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, cast

import numpy as np

from ccvae_pyro.labels._plain_values import (
    plain_float,
    plain_floats,
    plain_int,
    plain_text,
    plain_texts,
    shown,
)


class _Described:
    """A ``repr`` with the fields that are not their defaults."""

    def __repr__(self) -> str:
        given = [
            f"{field.name}={value!r}"
            for field in fields(cast(Any, self))
            if (value := getattr(self, field.name)) != field.default
        ]
        return f"{type(self).__name__}({', '.join(given).removeprefix('name=')})"


@dataclass(frozen=True, repr=False)
class Binary(_Described):
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


@dataclass(frozen=True, repr=False)
class Classes(_Described):
    """A label with named classes, of which one is true: categorical or ordinal.

    :param name: the label's name.
    :param classes: the names of the classes, at least two.
    :param class_frequencies: the frequency of each class, all positive; equal by default.
    :param extra_dims: the number of characteristics in addition to those that the classifier
        uses.
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


@dataclass(frozen=True, repr=False)
class Categorical(Classes):
    """A categorical label; its value is the index of a class.

    :param name: the label's name.
    :param classes: the names of the classes, at least two.
    :param class_frequencies: the frequency of each class, all positive; equal by default.
    :param extra_dims: the number of characteristics in addition to those that the classifier
        uses. It uses one for each nested dichotomy, one fewer than there are classes; see
        :class:`~ccvae_pyro.NestedCategorical`.
    :raises ValueError: if a value is not as described. Scalars of numpy and torch are converted.
    """

    @property
    def dim(self) -> int:
        """The number of its characteristics."""
        return len(self.classes) - 1 + self.extra_dims


@dataclass(frozen=True, repr=False)
class Ordinal(Classes):
    r"""An ordinal label: classes that have an order, such as low, mid, high; its value is a rank.

    The rank of a class is its index. The label has one characteristic, and is modelled through its
    rank as a number: a :class:`Continuous` label whose values are 0, 1, 2, ..., so that all
    densities of a bound are those of Normals and have closed forms. Steps between classes are
    equally long. Predictions are of classes: with the mean :math:`m` and the standard deviation
    :math:`s` of :math:`q(y \mid x)`, the class frequencies :math:`\pi_k` and the Normal prior
    :math:`\mathcal{N}(\mu, \sigma)` of ranks, whose place the frequencies take, by Bayes' rule

    .. math:: P(y = k \mid x) \propto \pi_k \,
              \frac{\mathcal{N}(k; m, s)}{\mathcal{N}(k; \mu, \sigma)} .

    The log-odds of neighboring classes are affine in :math:`m`, as in an adjacent-categories model
    (Agresti, 2010). If :math:`s` is small, the most probable class is the one nearest to
    :math:`m`; if the image says nothing, it is the most frequent one.

    :param name: the label's name.
    :param classes: the names of the classes in their order, at least two.
    :param class_frequencies: the frequency of each class, all positive; equal by default. They
        give the mean and the standard deviation of the ranks.
    :param extra_dims: the number of characteristics in addition to the one that the classifier
        uses.
    :raises ValueError: if a value is not as described. Scalars of numpy and torch are converted.

    Example:

        >>> stars = Ordinal("stars", ("1", "2", "3"), class_frequencies=(0.25, 0.5, 0.25))
        >>> stars.dim, stars.mean, round(stars.std, 3)
        (1, 1.0, 0.707)
    """

    @property
    def dim(self) -> int:
        """The number of its characteristics."""
        return 1 + self.extra_dims

    @property
    def mean(self) -> float:
        """The mean rank."""
        return float(np.average(range(len(self.classes)), weights=self._weights))

    @property
    def std(self) -> float:
        """The standard deviation of the ranks."""
        squares = (np.arange(len(self.classes)) - self.mean) ** 2
        return float(np.sqrt(np.average(squares, weights=self._weights)))

    @property
    def _weights(self) -> tuple[float, ...]:
        return self.class_frequencies or (1.0,) * len(self.classes)


@dataclass(frozen=True, repr=False)
class Continuous(_Described):
    """A continuous label, a number that may have bounds.

    A value outside of the bounds is an error, and predictions are clamped to them. Within, the
    label is Normal, as others are: that values near a bound are skewed is not modelled.

    :param name: the label's name.
    :param mean: the mean of its values, in their unit. One outside of the bounds is set to the
        nearest.
    :param std: the standard deviation of its values, positive.
    :param extra_dims: the number of characteristics in addition to the one that the classifier
        uses.
    :param minimum: the least value that there can be, such as 0 for a length.
    :param maximum: the greatest value that there can be.
    :param observed_range: the least and the greatest value that were observed. Figures and walks
        stay between them; an edit may go beyond.
    :raises ValueError: if a value is not as described. Scalars of numpy and torch are converted.

    Example:

        >>> Continuous("opacity", mean=0.9, std=0.2, minimum=0, maximum=1).interval(2)
        (0.5, 1.0)
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    extra_dims: int = 0
    minimum: float | None = None
    maximum: float | None = None
    observed_range: tuple[float, float] | None = None
    classes: ClassVar[tuple[str, ...]] = ()
    excludes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        name = plain_text(self.name, "the name of a label")
        mean = plain_float(self.mean, f"the mean of {name!r}")
        std = plain_float(self.std, f"the standard deviation of {name!r}")
        if std <= 0:
            raise ValueError(f"the standard deviation of {name!r} must be positive, got {std}")
        minimum, maximum = (
            None if bound is None else plain_float(bound, f"the {which} of {name!r}")
            for which, bound in (("minimum", self.minimum), ("maximum", self.maximum))
        )
        low = -math.inf if minimum is None else minimum
        high = math.inf if maximum is None else maximum
        if not low < high:
            raise ValueError(
                f"the minimum of {name!r}, {low:g}, must be below its maximum, {high:g}"
            )
        observed = self.observed_range
        if observed is not None:
            ends = plain_floats(observed, f"end of the observed range of {name!r}")
            if len(ends) != 2 or not ends[0] < ends[1]:
                raise ValueError(
                    f"the observed range of {name!r} is a number and a greater one, got {ends}"
                )
            observed = ends[0], ends[1]
        _set(
            self,
            name=name,
            mean=min(max(mean, low), high),
            std=std,
            minimum=minimum,
            maximum=maximum,
            observed_range=observed,
        )

    @property
    def dim(self) -> int:
        """The number of its characteristics."""
        return 1 + self.extra_dims

    @property
    def bounds(self) -> tuple[float, float]:
        """Minimum and maximum, infinite where there is none."""
        low = -math.inf if self.minimum is None else self.minimum
        return low, math.inf if self.maximum is None else self.maximum

    @property
    def wanted(self) -> str:
        """The values that there can be in words, such as ``"a number from 0 to 1"``."""
        low, high = self.bounds
        if math.isfinite(low) and math.isfinite(high):
            return f"a number from {low:.7g} to {high:.7g}"
        if math.isfinite(low):
            return f"a number of at least {low:.7g}"
        return f"a number of at most {high:.7g}" if math.isfinite(high) else "a finite number"

    def interval(self, num_std: float) -> tuple[float, float]:
        """Values that are typical: some standard deviations below and above the mean.

        They lie within the observed range and the bounds.
        """
        ends = self.mean - num_std * self.std, self.mean + num_std * self.std
        for least, most in filter(None, (self.observed_range, self.bounds)):
            ends = min(max(ends[0], least), most), min(max(ends[1], least), most)
        if ends[0] == ends[1] and self.observed_range is not None:  # which excludes the mean
            return self.observed_range
        return ends


def _set(label: Any, **values: Any) -> None:
    """Sets the checked values of a label, which is frozen."""
    extra_dims = plain_int(label.extra_dims, f"extra_dims of {values['name']!r}", minimum=0)
    for field, value in {**values, "extra_dims": extra_dims}.items():
        object.__setattr__(label, field, value)


Label = Binary | Categorical | Ordinal | Continuous
_KINDS: dict[str, type[Label]] = {
    "binary": Binary, "categorical": Categorical, "ordinal": Ordinal, "continuous": Continuous
}  # fmt: skip


def check_distinct(labels: Sequence[Label]) -> None:
    """Checks that labels are descriptions with names of their own.

    :raises ValueError: if one is not.
    """
    names: set[str] = set()
    for label in labels:
        if not isinstance(label, Label):
            raise ValueError(
                f"wanted a Binary, a Categorical, an Ordinal or a Continuous, got {shown(label)}"
            )
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
    return len(label.classes) if isinstance(label, Classes) else 1


def outcome_names(labels: Sequence[Label]) -> list[str]:
    """The names of the columns in the output of :func:`~ccvae_pyro.classify`.

    A categorical or ordinal label has a column for each class, any other label has one column.

    Example:

        >>> outcome_names([Binary("Hat"), Categorical("Hair", ("black", "blond"))])
        ['Hat', 'Hair: black', 'Hair: blond']
    """
    names: list[str] = []
    for label in labels:
        has_classes = isinstance(label, Classes)
        names += [f"{label.name}: {c}" for c in label.classes] if has_classes else [label.name]
    return names
