"""What PyPI shows, and the versions of Python that the package says it supports."""

import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GITHUB = {
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_REPOSITORY": "someone/ccvae",
    "GITHUB_REF_NAME": "v1.2.3",
}
BUILD = "from setuptools import build_meta; build_meta.prepare_metadata_for_build_wheel('.')"
SOURCES = ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
SETUP = ConfigParser()
SETUP.read(ROOT / "setup.cfg")


@pytest.fixture
def metadata(tmp_path):
    """Builds the metadata of a wheel, with given variables of the environment."""
    for name in SOURCES:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "ccvae_pyro").mkdir()
    shutil.copy(ROOT / "ccvae_pyro" / "__init__.py", tmp_path / "ccvae_pyro")

    def build(**variables):
        others = {name: value for name, value in os.environ.items() if name not in GITHUB}
        command = [sys.executable, "-c", BUILD]
        subprocess.run(
            command, cwd=tmp_path, env=others | variables, check=True, capture_output=True
        )
        (path,) = tmp_path.glob("*.dist-info/METADATA")
        return message_from_string(path.read_text())

    return build


def links(text):
    """The targets of links and images."""
    return re.findall(r"\]\(([^)]+)\)", text)


def test_the_readme_on_pypi_has_absolute_links_to_files_that_exist(metadata):
    targets = links(metadata(**GITHUB).get_payload())
    paths = [
        re.fullmatch(r"https://github.example/someone/ccvae/(raw|blob)/v1.2.3/(.*)", target)
        for target in targets
    ]
    assert [target for target, path in zip(targets, paths, strict=True) if path is None] == []
    relative = links((ROOT / "README.md").read_text())
    assert [path[2] for path in paths] == relative
    assert [path for path in relative if not (ROOT / path).exists()] == []
    is_image = [path[1] == "raw" for path in paths]
    assert is_image == [path.endswith((".webp", ".png")) for path in relative]


def test_pypi_shows_the_addresses_of_the_repository(metadata):
    urls = dict(url.split(", ") for url in metadata(**GITHUB).get_all("Project-URL"))
    address = "https://github.example/someone/ccvae"
    assert urls == {
        "Repository": address,
        "Issues": f"{address}/issues",
        "Changelog": f"{address}/blob/v1.2.3/CHANGELOG.md",
    }


def test_a_build_elsewhere_has_the_readme_as_it_is_and_no_addresses(metadata):
    built = metadata()
    assert built.get_payload().strip() == (ROOT / "README.md").read_text().strip()
    assert built["Description-Content-Type"] == "text/markdown"
    assert built.get_all("Project-URL") is None


def test_ci_runs_every_version_of_python_that_the_package_supports():
    classifiers = SETUP["metadata"]["classifiers"]
    supported = re.findall(r"Python :: (3\.\d+)$", classifiers, flags=re.M)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    tested = re.search(r"python: \[(.*)\]", workflow)[1]
    assert re.findall(r"3\.\d+", tested) == supported
    assert SETUP["options"]["python_requires"] == f">={supported[0]}"


@pytest.mark.parametrize(
    "path",
    [".github/workflows/ci.yml", ".github/workflows/release.yml", ".readthedocs.yaml"],
)
def test_files_and_extras_that_a_host_is_told_of_exist(path):
    text = (ROOT / path).read_text()
    files = re.findall(r"run: bash (\S+)|configuration: (\S+)", text)
    assert [name for names in files for name in names if name and not (ROOT / name).exists()] == []
    extras = re.findall(r"extra_requirements: \[(\w+)\]", text)
    assert [name for name in extras if name not in SETUP["options.extras_require"]] == []
