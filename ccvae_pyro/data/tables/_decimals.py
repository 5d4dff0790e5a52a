"""Decimal commas, as spreadsheets write them in many countries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ccvae_pyro.data.tables._cells import shown
from ccvae_pyro.labels.values import DECIMAL_COMMA

if TYPE_CHECKING:
    import pandas as pd

_POINT = r"[-+]?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?"
_THOUSANDS = r"[-+]?[1-9][0-9]{0,2}[.,][0-9]{3}"


def with_points(path: Path, cells: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Writes the decimal commas of a table, whose delimiter is not a comma, as points.

    :param cells: text; the index holds line numbers.
    :returns: the cells, and the decimal mark that the table uses: ``","`` if there is a number
        with a comma, ``"."`` otherwise.
    :raises ValueError: if a column has commas and points, or all of its marks may separate
        thousands; names the line.
    """
    import pandas as pd

    columns = {name: _with_points(path, cells[name]) for name in cells.columns}
    converted = pd.DataFrame(columns, index=cells.index, dtype=object)
    return converted, "." if converted.equals(cells) else ","


def _with_points(path: Path, cells: pd.Series[str]) -> pd.Series[str]:
    is_comma, is_point = cells.str.fullmatch(DECIMAL_COMMA), cells.str.fullmatch(_POINT)
    marked = cells[is_comma | is_point]
    if marked.empty:
        return cells
    where = f"{path}, line {marked.index[0]}: {shown(str(cells.name))} is {marked.iloc[0]!r}"
    if is_comma.any() and is_point.any():
        other = cells[is_point if is_comma[marked.index[0]] else is_comma]
        raise ValueError(
            f"{where}, and in line {other.index[0]} {other.iloc[0]!r}: "
            "use either commas or points in the numbers of a column"
        )
    if marked.str.fullmatch(_THOUSANDS).all():
        whole, _, rest = marked.iloc[0].replace(",", ".").partition(".")
        raise ValueError(
            f"{where}, and each mark in this column may be decimal or separate thousands: "
            f"write {whole}.{rest}0 or {whole}{rest}"
        )
    return cells.where(~is_comma, cells.str.replace(",", "."))
