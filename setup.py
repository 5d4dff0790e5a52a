"""The description of the package that PyPI shows, and the addresses of the project.

All else is in ``setup.cfg``. Where the repository is, only its host knows: GitHub's workflows say
it in two environment variables. The links of the README then lead to the files of that repository,
as PyPI has no files that relative links could lead to.
"""

import os
import re
from pathlib import Path

from setuptools import setup

README = Path("README.md").read_text(encoding="utf-8")
HOST, REPOSITORY = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
REVISION = os.environ.get("GITHUB_REF_NAME", "HEAD")


def with_absolute_links(text: str, address: str, revision: str) -> str:
    """Markdown whose relative links lead to files of a repository at a revision."""

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link["is_image"] else "blob"
        return f"{link['is_image']}[{link['text']}]({address}/{kind}/{revision}/{link['path']})"

    relative = r"(?P<is_image>!?)\[(?P<text>[^\]]*)\]\((?P<path>(?!\w+:|#)[^)]+)\)"
    return re.sub(relative, absolute, text)


if HOST and REPOSITORY:
    address = f"{HOST}/{REPOSITORY}"
    setup(
        long_description=with_absolute_links(README, address, REVISION),
        project_urls={
            "Repository": address,
            "Issues": f"{address}/issues",
            "Changelog": f"{address}/blob/{REVISION}/CHANGELOG.md",
        },
    )
else:
    setup(long_description=README)
