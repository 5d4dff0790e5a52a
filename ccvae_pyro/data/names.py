"""Names that users chose, for people to see: on one line, and shortened where room is short."""

from __future__ import annotations

from unicodedata import category

NAME_LENGTH = 32  # characters of a name in a figure


def one_line(text: str) -> str:
    """A text on one line, without control characters and characters of no width.

    If nothing can be seen of it, its escaped form.

    Example:

        >>> one_line("hair\\tcolor\\n\\x1b")
        'hair color'
        >>> one_line("\\u200b")
        "'\\\\u200b'"
    """
    shown = " ".join("".join(map(_printable, text)).split())
    return shown or (ascii(text) if text else "")


def spaced(name: str) -> str:
    """A name on one line, with spaces in place of underscores."""
    return one_line(name.replace("_", " "))


def shortened(text: str, length: int = NAME_LENGTH) -> str:
    """A text of at most this length, with an ellipsis in place of its middle.

    Names of one data set often begin alike, so both ends are kept.

    Example:

        >>> shortened("diameter of the left ventricle at end-systole", 24)
        'diameter of the…systole'
    """
    if len(text) <= length:
        return text
    tail = (length - 1) // 3
    return f"{text[: length - 1 - tail].rstrip()}…{text[-tail:].lstrip()}"


def _printable(character: str) -> str:
    """A character, a space for a control character, or nothing for one of no width."""
    kind = category(character)
    if kind == "Cs":  # half of a surrogate pair, as of a file name that is not UTF-8
        return "\N{REPLACEMENT CHARACTER}"
    return {"Cc": " ", "Cf": ""}.get(kind, character)
