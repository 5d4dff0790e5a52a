"""What a cell means: a number, yes or no, or the name of a class."""

from __future__ import annotations

import math
import re
import unicodedata

from ccvae_pyro.labels.values import TRUTH_OF_WORD

# Not all that float() takes: it reads 1_2 as 12, "infinity", and digits of any script.
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
# Digits that name something, such as 007, the well 1E5 of a plate, or a 16-digit identifier.
_CODE = re.compile(r"0[0-9]+|[0-9]+[eE][0-9]+|[-+]?[0-9]{16,}")
# Neither a number nor a word: 1,234 and 12,5 and 5%.
_UNCLEAR_NUMBER = re.compile(r"[-+]?[0-9]+(,[0-9]+)*(\.[0-9]+)?\s*%?")

_TRUTH_OF_NUMBER = {1.0: 1.0, 0.0: 0.0, -1.0: 0.0}


def number(cell: str) -> float | None:
    """A cell as a finite number, or None if it is none."""
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else None


def plain_number(cell: str) -> float | None:
    """A cell as a finite number, or None if it is none or may be a code, such as 007.

    Example:

        >>> [plain_number(cell) for cell in ("7", "7.50", "-1e3", "007", "1E5", "1_2")]
        [7.0, 7.5, -1000.0, None, None, None]
    """
    return None if _CODE.fullmatch(cell) else number(cell)


def is_unclear_number(cell: str) -> bool:
    """Whether a cell may be a number in a spelling that is not read as one, such as 12,5 or 5%."""
    return number(cell) is None and _UNCLEAR_NUMBER.fullmatch(cell) is not None


def is_padded(cell: str) -> bool:
    """Whether a cell is a whole number with leading zeros."""
    return len(cell) > 1 and cell[0] == "0" and cell.isdecimal()


def truth(cell: str) -> float | None:
    """1 for yes, true and 1; 0 for no, false, 0 and -1; otherwise None."""
    value = plain_number(cell)
    return TRUTH_OF_WORD.get(cell.lower()) if value is None else _TRUTH_OF_NUMBER.get(value)


def class_name(cell: str) -> str:
    """The name of a cell's class; 3 and 3.0 are the same class."""
    value = plain_number(cell)
    if value is None:
        return cell
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def meaning(cell: str) -> float | str:
    """What a cell may mean, however it is spelled: cells of equal meaning are easily confused.

    Example:

        >>> meaning("Dark  Blue") == meaning("dark blue"), meaning("01") == meaning("1.0")
        (True, True)
        >>> meaning("yes") == meaning("1")
        True
    """
    value = number(cell)
    if value is not None:
        return value
    text = " ".join(unicodedata.normalize("NFKC", cell).casefold().split())
    return TRUTH_OF_WORD.get(text, text)
