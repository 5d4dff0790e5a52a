"""The version is that of the changelog, in each place that states it."""

import re
from pathlib import Path

import ccvae_pyro

ROOT = Path(__file__).parent.parent


def test_the_version_is_the_one_that_the_changelog_is_about():
    heading = re.search(r"^## (\S+)(.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    is_released = "unreleased" not in heading[2]
    assert ccvae_pyro.__version__ == heading[1] + ("" if is_released else ".dev0")


def test_the_version_to_cite_is_the_same():
    assert f"\nversion: {ccvae_pyro.__version__}\n" in (ROOT / "CITATION.cff").read_text()
