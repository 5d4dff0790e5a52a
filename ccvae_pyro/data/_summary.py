"""Labels in a few words, for the ``repr`` of what has labels."""

from __future__ import annotations

from collections.abc import Sequence

from ccvae_pyro.data.names import one_line, shortened
from ccvae_pyro.labels import Categorical, Classes, Continuous, Label, Ordinal

MAX_NAMES = 8  # in a line

_KINDS = {Categorical: "categorical", Ordinal: "ordinal", Continuous: "continuous"}


def label_lines(labels: Sequence[Label]) -> list[str]:
    """A line for each kind of labels, with their number and the first names.

    Example:

        >>> from ccvae_pyro.labels import Binary
        >>> label_lines([Binary("hat"), Binary("beard"), Ordinal("age", ("young", "old"))])
        ['2 binary labels: hat, beard', '1 ordinal label: age (2 classes)']
    """
    names: dict[str, list[str]] = {}
    for label in labels:
        name = shortened(one_line(label.name))
        if isinstance(label, Classes):
            name += f" ({len(label.classes)} classes)"
        names.setdefault(_KINDS.get(type(label), "binary"), []).append(name)
    return [
        f"{len(each)} {kind} label{'s' * (len(each) > 1)}: {_listed(each)}"
        for kind, each in names.items()
    ] or ["no labels"]


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")
