"""Well-known ordinal scales, and names of columns that tell what whole numbers are."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Steps in their order; the words of a step, between bars, mean the same.
SCALES = [
    [step.split("|") for step in scale.split(" < ")]
    for scale in (
        "very low < low < mid|medium|middle|moderate|average|normal < high < very high",
        "very small < small < mid|medium|middle|average|normal < large|big < very large|very big",
        "xxs < xs < s < m < l < xl < xxl",
        "none|absent < minimal < mild|slight < moderate < severe < very severe|extreme",
        "never < rarely|seldom < sometimes|occasionally < often|frequently < always",
        "strongly disagree < disagree < neutral|undecided < agree < strongly agree",
        "very poor < poor < fair|average < good < very good < excellent",
        "very bad < bad < neutral|average|ok|okay < good < very good",
    )
]
_ORDERED = {"rating", "stars", "grade", "score", "severity", "level", "stage", "rank", "count"}
_IDENTITIES = {
    "id", "identity", "index", "unnamed", "person", "people", "subject", "patient", "participant",
    "user", "individual", "speaker", "writer", "author", "customer", "client", "zip", "postcode",
}  # fmt: skip


def sorted_by_scale(cells: Iterable[str]) -> list[str] | None:
    """Words in the order of a well-known scale; None if they are not of one, or fewer than three.

    Example:

        >>> sorted_by_scale(["high", "Low", "mid"]), sorted_by_scale(["mid", "medium", "high"])
        (['Low', 'mid', 'high'], None)
    """
    words = {cell: " ".join(re.split(r"[\s_-]+", cell.casefold())) for cell in cells}
    for scale in SCALES:
        step_of_word = {word: step for step, same in enumerate(scale) for word in same}
        steps = {step_of_word.get(word) for word in words.values()}
        if len(steps) == len(words) >= 3 and None not in steps:
            return sorted(words, key=lambda cell: step_of_word[words[cell]])
    return None


def names_an_order(name: str) -> bool:
    """Whether whole numbers under this name have an order.

    Example:

        >>> [names_an_order(name) for name in ("skinGrade", "num_stars", "digit")]
        [True, True, False]
    """
    return not _ORDERED.isdisjoint(_words(name))


def names_identities(name: str) -> bool:
    """Whether whole numbers under this name tell individuals apart, and measure nothing.

    Example:

        >>> [names_identities(name) for name in ("personID", "Unnamed: 0", "age")]
        [True, True, False]
    """
    return not _IDENTITIES.isdisjoint(_words(name))


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
