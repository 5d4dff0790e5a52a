"""The type and the values of the label in each column of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ccvae_pyro.data.names import one_line, shortened
from ccvae_pyro.data.precision import check_precision
from ccvae_pyro.data.tables._cells import shown
from ccvae_pyro.data.tables._scales import names_an_order, names_identities, sorted_by_scale
from ccvae_pyro.data.tables._values import (
    class_name,
    is_padded,
    is_unclear_number,
    meaning,
    number,
    plain_number,
    truth,
)
from ccvae_pyro.data.tables.label_table import LabelTable
from ccvae_pyro.labels import Binary, Categorical, Continuous, Label, Ordinal

if TYPE_CHECKING:
    import pandas as pd

MAX_NUMERIC_CLASSES = 12  # more different whole numbers than this are a continuous label
OBVIOUS_BOUNDS = ((0.0, 1.0), (0.0, 100.0))  # of values that touch both: shares and percentages


def read_label(
    table: LabelTable, name: str, label_type: str | Label | None = None
) -> tuple[Label, np.ndarray]:
    """Reads a column as a label and its values, NaN where a cell is empty.

    :param name: the name of the column.
    :param label_type: ``"binary"``, ``"categorical"``, ``"ordinal"`` or ``"continuous"``, or a
        label, whose classes or bounds are then used. By default it is guessed from the values:
        see :func:`guess_type`. A label that is guessed to be continuous has the bounds 0 and 1, or
        0 and 100, if both its least and its greatest value are these.
    :raises ValueError: if a cell is not of this type, which names the line; or if the values of a
        continuous label differ by too little for float32.
    """
    given = guess_type(table, name) if label_type is None else label_type
    if isinstance(given, str):
        label = _make_label(table, name, given)
    else:
        label = replace(given, name=name)
    read, reason = cell_reader(label)
    values = _read_values(table, name, read, reason)
    if label_type is None and isinstance(label, Continuous):
        ends = float(np.nanmin(values)), float(np.nanmax(values))
        if ends in OBVIOUS_BOUNDS:
            label = replace(label, minimum=ends[0], maximum=ends[1])
    if isinstance(label, Binary):
        _check_noes(table, name)
    if isinstance(label, Continuous):
        check_precision(values, f"{table.path}: the values of {shown(name)}")
    return label, values.astype(np.float32)


def cell_reader(label: Label) -> tuple[Callable[[str], float | None], str]:
    """What gives the value of a cell, or None if it is not of the label's type, and the reason."""
    if isinstance(label, Binary):
        return truth, "which is neither yes nor no (1, yes, true; 0, -1, no, false; or empty)"
    if isinstance(label, Continuous):
        low, high = label.bounds
        if math.isinf(low) and math.isinf(high):
            reason = "which is not a number (below 3.4e38): correct it, or leave the cell empty"
            return _float32, reason
        reason = f"which is not {label.wanted}, its bounds: correct it, or leave the cell empty"
        return lambda cell: _within(_float32(cell), low, high), reason
    indices = {class_name(each): float(index) for index, each in enumerate(label.classes)}
    first = ", ".join(shown(each) for each in label.classes[:20])
    rest = f" and {len(label.classes) - 20} more" * (len(label.classes) > 20)
    reason = f"which is not one of its classes: {first}{rest}"
    return lambda cell: indices.get(class_name(cell)), reason


def _make_label(table: LabelTable, name: str, label_type: str) -> Label:
    """A label of a type that is given by its name, with the classes of a column."""
    if label_type == "binary":
        return Binary(name)
    if label_type == "continuous":
        return Continuous(name)
    if label_type == "categorical":
        return Categorical(name, find_classes(table, name))
    if label_type == "ordinal":
        return Ordinal(name, find_ordered_classes(table, name))
    raise ValueError(
        f"the type of {name!r} must be 'binary', 'categorical', 'ordinal', 'continuous' or a "
        f"label, got {label_type!r}"
    )


def guess_type(table: LabelTable, name: str) -> str:
    """Guesses the type of label from the values of a column.

    Yes and no, true and false, 0 and 1, and -1 and 1 are binary. Fractions and many different
    numbers are continuous. Words of a well-known scale, such as low, mid and high, are ordinal,
    and so are a few whole numbers in a column that is called a rating, a score or the like. All
    else is categorical, such as other words and whole numbers, and the codes 01, 1E5 and 1_2.

    :raises ValueError: if every cell is empty, one value seems to be spelled in two ways, a cell
        may be a number (12,5 or 5%), a few cells are text and the rest are numbers, or many whole
        numbers are called identities.
    """
    cells = table.cells[name]
    known = cells[cells != ""]
    if known.empty:
        raise ValueError(
            f"{table.path}: every cell of {shown(name)} is empty: "
            "leave the column out, or give its type"
        )
    numbers = _map(known, plain_number).astype(float)
    distinct = set(numbers.dropna())
    if _map(known, truth).notna().all() and not {0, -1} <= distinct:
        return "binary"
    texts = known[numbers.isna()]
    as_classes = f"label_types={{{shown(name)!r}: 'categorical'}} makes each of them a class"
    _check_spellings(table, name, known, as_classes)
    is_measured = len(distinct) > MAX_NUMERIC_CLASSES or any(value % 1 for value in distinct)
    if texts.empty and is_measured:
        if names_identities(name) and not any(value % 1 for value in distinct):
            raise ValueError(
                f"{table.path}: {shown(name)} has {len(distinct)} different whole numbers, which "
                "may be identities: give its type, 'categorical' if each is a class of images, or "
                f"'continuous' if they measure (label_types={{{shown(name)!r}: 'categorical'}}, "
                "--kinds), or leave the column out (columns, --columns)"
            )
        return "continuous"
    if texts.empty:
        has_order = names_an_order(name) and len(distinct) > 2
        return "ordinal" if has_order else "categorical"
    if sorted_by_scale(map(class_name, set(known))):
        return "ordinal"
    if (
        known.str.isdecimal().all()
        and known.str.len().nunique() == 1
        and any(map(is_padded, known))
    ):
        return "categorical"  # 01 to 12, say
    unclear = texts[_map(texts, is_unclear_number).astype(bool)]
    if len(unclear):
        raise table.error(
            unclear.index[0],
            name,
            f"which may be a number: write it with digits and a point only; {as_classes}",
        )
    if len(known) > 2 * len(texts) and (is_measured or len(texts) <= 2):
        raise table.error(
            texts.index[0],
            name,
            f"where most are numbers: correct it, or leave the cell empty; {as_classes}",
        )
    return "categorical"


def _check_spellings(table: LabelTable, name: str, known: pd.Series[str], as_classes: str) -> None:
    """Raises an error if two classes, such as Blue and blue, seem to be the same."""
    first_of_meaning: dict[float | str, tuple[int, str]] = {}
    distinct = known.drop_duplicates()
    for line, cell in zip(distinct.index.tolist(), distinct, strict=True):
        first_line, first = first_of_meaning.setdefault(meaning(cell), (line, cell))
        if class_name(first) != class_name(cell):
            raise table.error(
                line,
                name,
                f"and in {table.unit} {first_line} '{shown(first)}': write them alike if they "
                f"mean the same; {as_classes}",
            )


def find_classes(table: LabelTable, name: str) -> tuple[str, ...]:
    """The classes of a column: numbers in ascending order, then text in alphabetical order.

    :raises ValueError: if there are fewer than two classes, or one of them occurs only once.
    """
    cells = _map(table.cells[name], class_name)
    cells = cells[cells != ""]
    counts = cells.value_counts()
    _check_several(table, name, counts.index.tolist())
    single = cells[cells.map(counts) == 1]
    if len(single):
        others = f" (and {len(single) - 1} more are)" if len(single) > 1 else ""
        hint = f"; label_types={{{shown(name)!r}: 'continuous'}} takes its numbers as numbers"
        raise table.error(
            single.index[0],
            name,
            f"the only one of its class{others}: merge it with another class, or leave the cell "
            f"empty{hint if number(single.iloc[0]) is not None else ''}",
        )
    return tuple(sorted(counts.index, key=_sort_key))


def find_ordered_classes(table: LabelTable, name: str) -> tuple[str, ...]:
    """The classes of an ordinal column: numbers in ascending order, or the words of a scale.

    A class may occur only once: what is learned of its neighbours is learned of it.

    :raises ValueError: if there are fewer than two classes, or words of no well-known scale.
    """
    cells = _map(table.cells[name], class_name)
    classes = sorted(set(cells[cells != ""]), key=_sort_key)
    _check_several(table, name, classes)
    are_words = [_sort_key(each)[0] for each in classes]
    if any(are_words):
        found, classes = classes[:5], sorted_by_scale(classes) or []
    if not classes:
        example = shown(name), tuple(map(shown, found))
        raise ValueError(
            f"{table.path}: {example[0]} has classes of no known order: give it, by label_types="
            f"{{{example[0]!r}: Ordinal({example[0]!r}, {example[1]})}} or --kinds "
            f"{example[0]}=ordinal:{','.join(example[1])}, in their order"
        )
    return tuple(classes)


def _check_several(table: LabelTable, name: str, classes: Sequence[str]) -> None:
    if len(classes) < 2:
        got = f"one class, '{shown(classes[0])}'" if classes else "no class"
        written = table.written[name]
        spelled = sorted(set(written[(table.cells[name] == "") & (written != "")]))
        hint = f" ({', '.join(spelled[:5])} is taken for missing)" if spelled else ""
        raise ValueError(f"{table.path}: {shown(name)} has {got}: wanted at least two{hint}")


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
    if isinstance(label, Ordinal):
        shown = label.classes if len(label.classes) <= 5 else (*label.classes[:2], "...")
        names = " < ".join(shortened(one_line(name)) for name in shown)
        return f"{len(label.classes)} classes in order ({names})"
    observed = f", {_rounded(known.min())} to {_rounded(known.max())}" if len(known) else ""
    return f"a number{observed}{_describe_bounds(label)}"


def _describe_bounds(label: Continuous) -> str:
    if label.minimum is None and label.maximum is None:
        return ""
    if label.minimum is None or label.maximum is None:
        side = "above" if label.minimum is None else "below"
        bound = label.maximum if label.minimum is None else label.minimum
        return f", bounded {side} by {bound:.7g}"
    return f", bounded by {label.minimum:.7g} and {label.maximum:.7g}"


def _rounded(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 1e4 else f"{number:.0f}"


def _read_values(
    table: LabelTable, name: str, read: Callable[[str], float | None], reason: str
) -> np.ndarray:
    """The float64 value of each cell. A cell for which ``read`` returns None is an error."""
    cells = table.cells[name]
    value_of_cell = {cell: read(cell) for cell in cells.unique()} | {"": math.nan}
    invalid = [cell for cell, value in value_of_cell.items() if value is None]
    if invalid:
        raise table.error(cells.index[cells.isin(invalid)][0], name, reason)
    return cells.map(value_of_cell).to_numpy(dtype=np.float64)


def _check_noes(table: LabelTable, name: str) -> None:
    """Raises an error if a binary label has both 0 and -1: is one of them unknown?"""
    numbers = _map(table.cells[name], plain_number).astype(float)
    zeros, negatives = numbers.index[numbers == 0], numbers.index[numbers == -1]
    if len(zeros) and len(negatives):
        zero = shown(str(table.cells.at[zeros[0], name]))
        raise table.error(
            negatives[0],
            name,
            f"and in {table.unit} {zeros[0]} '{zero}': is one of them unknown? missing-values "
            "takes it for missing; otherwise write both noes alike",
        )


def _float32(cell: str) -> float | None:
    value = number(cell)
    largest = float(np.finfo(np.float32).max)
    return value if value is not None and abs(value) <= largest else None


def _within(value: float | None, low: float, high: float) -> float | None:
    return value if value is not None and low <= value <= high else None


def _map(cells: pd.Series[str], function: Callable[[str], object]) -> pd.Series[Any]:
    """Calls a function once for each different cell."""
    return cells.map({cell: function(cell) for cell in cells.unique()})


def _sort_key(class_name: str) -> tuple[bool, float, str]:
    value = number(class_name) if class_name.isdecimal() else plain_number(class_name)
    return value is None, value or 0.0, class_name
