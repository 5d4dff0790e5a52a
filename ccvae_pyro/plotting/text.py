"""The text of figures: names that users chose, of bounded length and never a formula."""

from __future__ import annotations

from typing import Any

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from ccvae_pyro.data.names import NAME_LENGTH, shortened, spaced

# Fonts of common systems, for the characters that matplotlib's own does not have.
FALLBACK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC", "Hiragino Sans", "Microsoft YaHei",
    "Yu Gothic", "Malgun Gothic", "Apple SD Gothic Neo", "Nirmala UI", "Arial Unicode MS",
    "Noto Emoji", "Segoe UI Emoji", "Segoe UI Symbol",
)  # fmt: skip


def drawn(name: str, length: int = NAME_LENGTH) -> str:
    """A user's name as a figure shows it: spaced, shortened, in the characters that fonts have."""
    return drawable(shortened(spaced(name), length))


def drawable(text: str) -> str:
    """A text with boxes in place of characters that no font has: matplotlib would warn of each."""
    if text.isascii():
        return text
    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in _families()]
    is_known = {c: any(font.get_char_index(ord(c)) for font in fonts) for c in text} | {"\n": True}
    return "".join(c if is_known[c] else "□" for c in text)


def text_properties() -> dict[str, Any]:
    """Properties of matplotlib's texts that hold names: no formulas, and further fonts."""
    return {"parse_math": False, "usetex": False, "family": _families()}


def _families() -> list[str]:
    """The fonts that the user chose, then the fallback fonts that are installed."""
    installed = set(fontManager.get_font_names())
    return [*rcParams["font.family"], *(name for name in FALLBACK_FONTS if name in installed)]
