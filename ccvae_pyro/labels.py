"""What a label is called."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def index_of(label: str | int, names: Sequence[str]) -> int:
    """The column of a label that is given by its name or by its number.

    :raises ValueError: if there is no such label; the nearest names are offered.

    Example:

        >>> index_of("Smiling", ["Bald", "Smiling"])
        1
        >>> index_of("smile", ["Bald", "Smiling"])
        Traceback (most recent call last):
            ...
        ValueError: no label is called 'smile': did you mean Smiling?
    """
    if isinstance(label, int) or label.isdecimal():
        index = int(label)
        if not names or 0 <= index < len(names):
            return index
        raise ValueError(f"label {index} is out of range: there are {len(names)}, counted from 0")
    if label in names:
        return list(names).index(label)
    lower = {name.lower(): name for name in names}
    near = [lower[name] for name in get_close_matches(label.lower(), lower, n=3, cutoff=0.4)]
    hint = (
        f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(names) or 'none'}"
    )
    raise ValueError(f"no label is called {label!r}: {hint}")
