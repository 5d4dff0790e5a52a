"""The type and the values of the label in each column of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ccvae_pyro.data.names import one_line, shortened
from ccvae_pyro.data.tables.label_table import LabelTable
from ccvae_pyro.labels import Binary, Categorical, Continuous, Label

MAX_NUMERIC_CLASSES = 12  # more different whole numbers than this are a continuous label
_TRUTH_OF_WORD = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
_TRUTH_OF_NUMBER = {1.0: 1.0, 0.0: 0.0, -1.0: 0.0}


def read_label(
    table: LabelTable, name: str, label_type: str | Label | None = None
) -> tuple[Label, np.ndarray]:
    """Reads a column as a label and its values, NaN where a cell is empty.

    :param name: the name of the column.
    :param label_type: ``"binary"``, ``"categorical"`` or ``"continuous"``, or a label, whose
        classes are then used. By default it is guessed from the values.
    :raises ValueError: if a cell is not of this type; names the line.
    """
    if label_type is None:
        label_type = guess_type(table, name)
    if isinstance(label_type, str):
        label = _make_label(table, name, label_type)
    else:
        label = replace(label_type, name=name)
    if isinstance(label, Binary):
        reason = "which is neither yes nor no (1, yes, true; 0, -1, no, false; or empty)"
        return label, _read_values(table, name, _truth, reason)
    if isinstance(label, Continuous):
        reason = "which is not a number: correct it, or leave the cell empty"
        return label, _read_values(table, name, _number, reason)
    indices = {_class_name(c): float(index) for index, c in enumerate(label.classes)}
    reason = f"which is not one of its classes: {', '.join(label.classes)}"
    return label, _read_values(table, name, lambda c: indices.get(_class_name(c)), reason)


def _make_label(table: LabelTable, name: str, label_type: str) -> Label:
    """A label of a type that is given by its name, with the classes of a column."""
    if label_type == "binary":
        return Binary(name)
    if label_type == "continuous":
        return Continuous(name)
    if label_type == "categorical":
        return Categorical(name, find_classes(table, name))
    raise ValueError(
        f"the type of {name!r} must be 'binary', 'categorical', 'continuous' or a label, "
        f"got {label_type!r}"
    )


def guess_type(table: LabelTable, name: str) -> str:
    """Guesses the type of label from the values of a column.

    Yes and no, true and false, 0 and 1, and -1 and 1 are binary. Fractions and many different
    numbers are continuous. All else is categorical.

    :raises ValueError: if every cell is empty, or a few cells are text and the rest are numbers.
    """
    cells = table.cells[name]
    known = cells[cells != ""].str.lower()
    if known.empty:
        raise ValueError(
            f"{table.path}: every cell of {name} is empty: leave the column out, or give its type"
        )
    numbers = known.map(_number).astype(float)
    texts = known[numbers.isna()]
    distinct = set(numbers.dropna())
    is_measured = len(distinct) > MAX_NUMERIC_CLASSES or any(number % 1 for number in distinct)
    if len(texts) and len(known) > 2 * len(texts) and (is_measured or len(texts) <= 2):
        raise table.error(
            texts.index[0],
            name,
            "where most are numbers: correct it, or leave the cell empty; "
            f"label_types={{{name!r}: 'categorical'}} makes each of them a class",
        )
    if len(texts):
        is_binary = set(known) <= {"yes", "no"} or set(known) <= {"true", "false"}
    else:
        is_binary = distinct <= {0, 1} or distinct <= {-1, 1}
    if is_binary:
        return "binary"
    return "continuous" if is_measured and texts.empty else "categorical"


def find_classes(table: LabelTable, name: str) -> tuple[str, ...]:
    """The classes of a column: numbers in ascending order, then text in alphabetical order.

    :raises ValueError: if there are fewer than two classes, or one of them occurs only once.
    """
    cells = table.cells[name].map(_class_name)
    cells = cells[cells != ""]
    counts = cells.value_counts()
    if len(counts) < 2:
        got = f"one class, {counts.index[0]!r}" if len(counts) else "no class"
        raise ValueError(f"{table.path}: {name} has {got}: wanted at least two")
    single = cells[cells.map(counts) == 1]
    if len(single):
        others = f" (and {len(single) - 1} more are)" if len(single) > 1 else ""
        hint = f"; label_types={{{name!r}: 'continuous'}} takes its numbers as numbers"
        raise table.error(
            single.index[0],
            name,
            f"the only one of its class{others}: merge it with another class, or leave the cell "
            f"empty{hint if _number(single.iloc[0]) is not None else ''}",
        )
    return tuple(sorted(counts.index, key=_sort_key))


def describe(label_types: Sequence[Label], labels: np.ndarray) -> list[str]:
    """Describes labels, one line for each: the type and the percentage of missing values.

    :param labels: shape ``(num_images, num_labels)``, NaN where missing.

    Example:

        >>> from ccvae_pyro import Binary
        >>> describe([Binary("glasses")], np.array([[0], [1], [np.nan], [1]]))
        ['glasses: yes or no, 25 % missing']
    """
    lines = []
    for label, column in zip(label_types, labels.T, strict=True):
        known = column[~np.isnan(column)]
        percent = round(100 * (1 - len(known) / len(column)))
        if len(known) not in (0, len(column)):
            percent = min(max(percent, 1), 99)  # "none" and "all" are exact
        missing = {0: "none", 100: "all"}.get(percent, f"{percent} %")
        name = shortened(one_line(label.name), 60)
        lines.append(f"{name}: {_describe_type(label, known)}, {missing} missing")
    return lines


def _describe_type(label: Label, known: np.ndarray) -> str:
    if isinstance(label, Binary):
        return "yes or no"
    if isinstance(label, Categorical):
        shown = label.classes if len(label.classes) <= 3 else (*label.classes[:2], "...")
        names = ", ".join(shortened(one_line(name)) for name in shown)
        return f"{len(label.classes)} classes ({names})"
    if not len(known):
        return "a number"
    return f"a number, {_rounded(known.min())} to {_rounded(known.max())}"


def _rounded(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}"


def _read_values(
    table: LabelTable, name: str, read: Callable[[str], float | None], reason: str
) -> np.ndarray:
    """The value of each cell. A cell for which ``read`` returns None is an error."""
    cells = table.cells[name]
    value_of_cell = {cell: read(cell) for cell in cells.unique()} | {"": math.nan}
    invalid = [cell for cell, value in value_of_cell.items() if value is None]
    if invalid:
        raise table.error(cells.index[cells.isin(invalid)][0], name, reason)
    return cells.map(value_of_cell).to_numpy(dtype=np.float32)


def _truth(cell: str) -> float | None:
    number = _number(cell)
    return _TRUTH_OF_WORD.get(cell.lower()) if number is None else _TRUTH_OF_NUMBER.get(number)


def _number(cell: str) -> float | None:
    """A cell as a finite number, or None if it is text."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _class_name(cell: str) -> str:
    """The name of a cell's class; 3 and 3.0 are the same class."""
    number = _number(cell)
    return cell if number is None else f"{number:.12g}"


def _sort_key(class_name: str) -> tuple[bool, float, str]:
    number = _number(class_name)
    return number is None, number or 0.0, class_name
