"""How a missing value is spelled."""

from __future__ import annotations

from collections.abc import Iterable

# pandas' list (its name there is private), and how R, Weka and spreadsheets write it.
MISSING_VALUES = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
     "<NA>", "N/A", "NA", "NULL", "NAN", "NaN", "Nan", "None", "n/a", "nan", "null", "?", "-")
)  # fmt: skip


def missing_spellings(
    missing_values: Iterable[str] = (), keep_values: Iterable[str] = ()
) -> frozenset[str]:
    """The cells that are missing values: :data:`MISSING_VALUES`, with exceptions.

    :param missing_values: cells that are missing values, too.
    :param keep_values: cells that are values, although they are in the list.
    :raises ValueError: if a kept value is not in the list, is blank, or is also called missing.

    Example:

        >>> "NA" in missing_spellings(), "-9" in missing_spellings()
        (True, False)
        >>> "NA" in missing_spellings(keep_values=["NA"]), "-9" in missing_spellings(["-9"])
        (False, True)
    """
    added = frozenset(value.strip() for value in _several(missing_values, "missing_values"))
    kept = frozenset(value.strip() for value in _several(keep_values, "keep_values"))
    if both := sorted(added & kept):
        raise ValueError(f"{both[0]!r} is both in missing_values and in keep_values")
    if unknown := sorted(kept - (MISSING_VALUES - {""})):
        listed = " ".join(sorted(MISSING_VALUES - {""}))
        raise ValueError(
            f"keep_values has {unknown[0]!r}, which is not taken for missing anyway: "
            f"wanted some of {listed}"
        )
    return (MISSING_VALUES | added) - kept


def _several(values: Iterable[str], name: str) -> Iterable[str]:
    if isinstance(values, str):  # whose characters would be taken for the values
        raise ValueError(f"{name} must be a list of texts, got {values!r}")
    return values
