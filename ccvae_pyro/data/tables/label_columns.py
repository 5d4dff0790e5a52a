"""What a column of a CSV says: which kind of label it is, and its values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ccvae_pyro.data.tables.label_table import Column
from ccvae_pyro.labels import Binary, Categorical, Continuous, Label

MANY = 12  # whole numbers, beyond which they are no classes
_WORDS = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
_SIGNS = {1.0: 1.0, 0.0: 0.0, -1.0: 0.0}


def read_column(column: Column, kind: str | Label | None = None) -> tuple[Label, np.ndarray]:
    """A column as a label and its values, NaN where a cell is empty.

    :param kind: ``"binary"``, ``"categorical"``, ``"continuous"``, or a label, whose classes are
        then those wanted; by default what the values look like.
    :raises ValueError: naming the line of a cell that is not of this kind.
    """
    kind = guess_kind(column) if kind is None else kind
    asked = kind if isinstance(kind, str) else type(kind).__name__.lower()
    if asked == "binary":
        label: Label = Binary(column.name)
        wanted = "which is neither yes nor no (1, yes, true; 0, -1, no, false; or empty)"
        values = _read(column, _truth, wanted)
    elif asked == "continuous":
        label = Continuous(column.name)
        values = _read(column, _number, "which is no number: correct it, or leave the cell empty")
    elif asked == "categorical":
        classes = find_classes(column) if isinstance(kind, str) else kind.classes
        label = Categorical(column.name, classes)
        places = {_class_name(name): float(place) for place, name in enumerate(classes)}
        wanted = f"which is none of its classes: {', '.join(classes)}"
        values = _read(column, lambda cell: places.get(_class_name(cell)), wanted)
    else:
        raise ValueError(
            f"the kind of {column.name!r} must be 'binary', 'categorical', 'continuous' or a "
            f"label, got {kind!r}"
        )
    return label if isinstance(kind, str) else replace(kind, name=column.name), values


def guess_kind(column: Column) -> str:
    """The kind of label that a column's values look like.

    :raises ValueError: if it is empty, or has some text among its numbers.
    """
    known = [cell.lower() for cell in column.cells if cell]
    if not known:
        raise ValueError(
            f"{column.path}: every cell of {column.name} is empty: leave the column out, or say "
            "of which kind it is"
        )
    texts = [cell for cell in known if _number(cell) is None]
    numbers = {_number(cell) for cell in known} - {None}
    is_measured = len(numbers) > MANY or any(number % 1 for number in numbers)
    if texts and len(known) > 2 * len(texts) and (is_measured or len(texts) <= 2):
        row = [cell.lower() for cell in column.cells].index(texts[0])
        raise column.error(
            row,
            "where most are numbers: correct it, or leave the cell empty; "
            f"kinds={{{column.name!r}: 'categorical'}} makes each of them a class",
        )
    if texts:
        is_binary = set(known) <= {"yes", "no"} or set(known) <= {"true", "false"}
    else:
        is_binary = numbers <= {0, 1} or numbers <= {-1, 1}
    return "binary" if is_binary else "continuous" if is_measured and not texts else "categorical"


def find_classes(column: Column) -> tuple[str, ...]:
    """The classes of a column, in order: numbers by size, then text by the alphabet.

    :raises ValueError: if there are fewer than two, or one of them is met only once.
    """
    names = [_class_name(cell) for cell in column.cells]
    counts = Counter(filter(None, names))
    if len(counts) < 2:
        got = "".join(f"one class, {name!r}" for name in counts) or "no class"
        raise ValueError(f"{column.path}: {column.name} has {got}: wanted two at least")
    if single := [name for name in names if counts[name] == 1]:
        others = f" (and {len(single) - 1} more are)" if len(single) > 1 else ""
        hint = f"; kinds={{{column.name!r}: 'continuous'}} takes its numbers as numbers"
        raise column.error(
            names.index(single[0]),
            f"the only one of its class{others}: merge it with another class, or leave the cell "
            f"empty{hint if _number(single[0]) is not None else ''}",
        )
    return tuple(sorted(counts, key=_place))


def describe(kinds: Sequence[Label], labels: np.ndarray) -> list[str]:
    """How labels were understood, in a line for each.

    :param labels: shape ``(num_images, num_labels)``, NaN where missing.

    Example:

        >>> from ccvae_pyro import Binary
        >>> describe([Binary("glasses")], np.array([[0], [1], [np.nan], [1]]))
        ['glasses: yes or no, 25 % missing']
    """
    lines = []
    for kind, column in zip(kinds, labels.T, strict=True):
        known = column[~np.isnan(column)]
        percent = round(100 * (1 - len(known) / len(column)))
        if len(known) not in (0, len(column)):
            percent = min(max(percent, 1), 99)  # a few are not none, and most are not all
        missing = {0: "none", 100: "all"}.get(percent, f"{percent} %")
        lines.append(f"{kind.name}: {_meaning(kind, known)}, {missing} missing")
    return lines


def _meaning(kind: Label, known: np.ndarray) -> str:
    if isinstance(kind, Binary):
        return "yes or no"
    if isinstance(kind, Categorical):
        shown = kind.classes if len(kind.classes) <= 3 else (*kind.classes[:2], "...")
        return f"{len(kind.classes)} classes ({', '.join(shown)})"
    if not len(known):
        return "a number"
    return f"a number, {_rounded(known.min())} to {_rounded(known.max())}"


def _rounded(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}"


def _read(column: Column, read: Callable[[str], float | None], wanted: str) -> np.ndarray:
    """The value of each cell; one that ``read`` makes nothing of is an error."""
    values = {cell: read(cell) for cell in set(column.cells)} | {"": math.nan}
    for row, cell in enumerate(column.cells):
        if values[cell] is None:
            raise column.error(row, wanted)
    return np.array([values[cell] for cell in column.cells], dtype=np.float32)


def _truth(cell: str) -> float | None:
    return _WORDS.get(cell.lower(), _SIGNS.get(_number(cell)))


def _number(cell: str) -> float | None:
    """A cell as a number, or None where it is text."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _class_name(cell: str) -> str:
    """What a class is called: numbers alike, whether they were written as 3 or as 3.0."""
    number = _number(cell)
    return cell if number is None else f"{number:.12g}"


def _place(name: str) -> tuple[bool, float, str]:
    number = _number(name)
    return number is None, number or 0.0, name
