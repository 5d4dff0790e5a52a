"""The house is in order: imports point up its list, and the list is that of the docs."""

import ast
import re
from pathlib import Path

import pytest

import ccvae_pyro

PACKAGE = Path(ccvae_pyro.__file__).parent
DESIGN = PACKAGE.parent / "docs" / "design.md"
# From the list in the docs: a file may import from files above it only.
ORDER = re.findall(r"^(?:ccvae_pyro/)?([\w/]+?)(?:\.py)?/? {2,}", DESIGN.read_text(), flags=re.M)
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def place(path):
    """A file's place in the list: its own, or its folder's."""
    name = path.relative_to(PACKAGE).with_suffix("").as_posix()
    return ORDER.index(name if name in ORDER else name.split("/")[0])


def imported(path):
    """The files of the package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ccvae_pyro"):
            module = PACKAGE.parent / node.module.replace(".", "/")
            names = [module / alias.name for alias in node.names] if module.is_dir() else []
            for candidate in names or [module]:
                if candidate.with_suffix(".py").exists():
                    yield candidate.with_suffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_up_the_list(path):
    for other in imported(path):
        if other.parent != path.parent or other.parent == PACKAGE:
            assert place(other) < place(path), f"{path.name} imports {other.name}"


def test_the_list_has_every_file():
    top = {path.relative_to(PACKAGE).with_suffix("").as_posix().split("/")[0] for path in FILES}
    assert sorted(ORDER) == sorted(top)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_functions_and_files_stay_short(path):
    text = path.read_text()
    assert text.count("\n") <= 220
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[bool(ast.get_docstring(node)) :]
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 40, f"{node.name} has {lines} lines"


def test_every_public_name_is_documented():
    for name in ccvae_pyro.__all__:
        assert getattr(ccvae_pyro, name).__doc__, name
