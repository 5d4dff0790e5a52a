"""Names of files, made of names that users chose."""

import re

import pytest

from ccvae_pyro.data.names import slugs

UNNAMED = ["unnamed", "unnamed-2", "unnamed-3", "unnamed-4"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Wearing_Hat", "hair"], ["Wearing_Hat", "hair"]),
        (["hair", "Hair", "HAIR"], ["hair", "Hair-2", "HAIR-3"]),
        (["a b", "a/b", "a-b-2", "a?b"], ["a-b", "a-b-2", "a-b-2-2", "a-b-3"]),
        (["x/../../../../home/pwned", "..", ".", "/", "~"], ["x-home-pwned", *UNNAMED]),
        (["C:\\Windows\\x", "-rf", "a\x00b\n"], ["C-Windows-x", "rf", "a-b"]),
        (["CON", "nul", "Com1", "LPT9.png", "console"],
         ["CON-2", "nul-2", "Com1-2", "LPT9-png", "console"]),
        (["Größe", "日本語", "", "\udce9"], ["Groe", *UNNAMED[:3]]),
        (["x" * 10_000] * 3, ["x" * 40, "x" * 38 + "-2", "x" * 38 + "-3"]),
    ],
)  # fmt: skip
def test_a_name_becomes_the_name_of_a_file_in_any_file_system(names, expected):
    assert slugs(names) == expected


def test_no_two_of_many_names_share_a_file():
    names = [chr(i) for i in range(300)] + ["a" * i for i in range(300)]
    made = slugs(names)
    assert len({name.lower() for name in made}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) for name in made)
