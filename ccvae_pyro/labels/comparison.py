"""Whether two descriptions of labels are about the same columns of ``y``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from ccvae_pyro.labels._plain_values import shown
from ccvae_pyro.labels.types import Label

MAX_SHOWN = 80  # characters of the names of classes


def identities(labels: Sequence[Label]) -> list[list[str]]:
    """What the columns of ``y`` are, as plain values: name, kind and classes of each label.

    Prevalences, means and numbers of characteristics are no part of it: two data sets of the same
    labels differ in them.
    """
    return [[label.name, type(label).__name__, *label.classes] for label in labels]


def described(identity: Sequence[str]) -> str:
    """One of :func:`identities` in words.

    Example:

        >>> described(["Hair", "Categorical", "black", "blond"])
        "'Hair' (categorical: black, blond)"
    """
    name, kind, *classes = identity
    names = f": {', '.join(classes)[:MAX_SHOWN]}" if kind in ("Categorical", "Ordinal") else ""
    return f"{shown(name)} ({kind.lower()}{names})"


def check_same_labels(labels: Sequence[Label], others: Sequence[Label], whose: str) -> None:
    """Checks that the labels of a model are those of data, or of another model.

    Labels that were never named, and are called by their numbers, may have any names.

    :param labels: those of the model.
    :param others: those that it meets.
    :param whose: whose they are, such as ``"the data"``.
    :raises ValueError: if they differ in number, order, names, kinds or classes; names the first.

    Example:

        >>> from ccvae_pyro import Binary
        >>> check_same_labels([Binary("Hat")], [Binary("Hat", 0.1), Binary("Beard")], "the data")
        Traceback (most recent call last):
            ...
        ValueError: label 2 of the data is 'Beard' (binary), that of the model none: wanted the ...
    """
    if [label.name for label in labels] == [str(i) for i in range(len(others))]:
        labels = [
            replace(label, name=other.name) for label, other in zip(labels, others, strict=True)
        ]
    pairs: Any = zip_longest(identities(labels), identities(others))
    for number, (wanted, got) in enumerate(pairs, start=1):
        if wanted != got:
            first, second = ("none" if each is None else described(each) for each in (got, wanted))
            raise ValueError(
                f"label {number} of {whose} is {first}, that of the model {second}: wanted the "
                "same labels in the same order"
            )
