"""What a label is: its kind, its name, what its values are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Binary:
    """A label that is true, 1, or false, 0.

    :param name: what it is called.
    :param frequency: how often it is true, strictly between 0 and 1.
    :param extra_dims: characteristics beside the one that the classifier reads, for more of how
        it is true.
    :param excludes: names of the labels that are never true beside it: who is bald has no red
        hair. Interventions that put it on take these away.
    """

    name: str
    frequency: float = 0.5
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
    :param frequencies: how often each is met, all positive; by default, all alike.
    :param extra_dims: characteristics beside those that the classifier reads, of which there is
        one for each decision between classes: see :class:`~ccvae_pyro.NestedCategorical`.
    """

    name: str
    classes: tuple[str, ...]
    frequencies: tuple[float, ...] = ()
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
    :param deviation: of its values, positive.
    :param extra_dims: characteristics beside the one that the classifier reads.
    """

    name: str
    mean: float = 0.0
    deviation: float = 1.0
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
        arguments: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
        labels.append(_KINDS[arguments.pop("kind")](**arguments))
    return tuple(labels)
