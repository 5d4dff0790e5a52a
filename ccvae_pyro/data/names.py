"""Names that users chose: as people see them, and as names of files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import category, normalize

NAME_LENGTH = 32  # characters of a name in a figure
SLUG_LENGTH = 40
# Names that Windows keeps for devices, whatever their suffix.
RESERVED = {"con", "prn", "aux", "nul"}
RESERVED |= {f"{device}{number}" for device in ("com", "lpt") for number in range(10)}


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


def slugs(names: Iterable[str]) -> list[str]:
    """A file name, without a suffix, for each name that a user chose.

    Each is 1 to 40 ASCII letters, digits, underscores and hyphens, so it can neither leave its
    folder nor be refused by a file system. No two are equal, also where the file system ignores
    case: repeated ones are numbered.

    Example:

        >>> slugs(["hair", "Hair", "../../etc/passwd", "Größe in cm", "年齢", "CON"])
        ['hair', 'Hair-2', 'etc-passwd', 'Groe-in-cm', 'unnamed', 'CON-2']
    """
    taken, unique = set(RESERVED), []
    for name in names:
        ascii_name = normalize("NFKD", name).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9_]+", "-", ascii_name).strip("-")[:SLUG_LENGTH] or "unnamed"
        slug, count = base, 1
        while slug.lower() in taken:
            count += 1
            slug = f"{base[: SLUG_LENGTH - len(str(count)) - 1]}-{count}"
        taken.add(slug.lower())
        unique.append(slug)
    return unique


def _printable(character: str) -> str:
    """A character, a space for a control character, or nothing for one of no width."""
    kind = category(character)
    if kind == "Cs":  # half of a surrogate pair, as of a file name that is not UTF-8
        return "\N{REPLACEMENT CHARACTER}"
    return {"Cc": " ", "Cf": ""}.get(kind, character)
