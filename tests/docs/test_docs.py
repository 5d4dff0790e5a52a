"""What README and docs show is true: programs run, commands are understood, nothing is missing."""

import ast
import functools
import importlib
import re
import shlex
from pathlib import Path

import pytest
import torch
from helpers import EXAMPLES

from ccvae_pyro import data

ROOT = EXAMPLES.parent
README, DOCS, PACKAGE = ROOT / "README.md", ROOT / "docs", ROOT / "ccvae_pyro"
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted((DOCS / "tutorial").glob("*.md"))]
API = "\n".join(path.read_text() for path in (DOCS / "api").glob("*.md"))
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]


def commands(text):
    """The examples that a page tells to run, with their arguments."""
    text = text.replace("\\\n", " ")
    for line in re.findall(r"python examples/[^`\n|]*", text):
        _, script, *arguments = shlex.split(line, comments=True)
        yield " ".join([Path(script).stem, *arguments])


COMMANDS = sorted({command for page in PAGES for command in commands(page.read_text())})


def programs(page):
    """The Python programs of a page that are not run when it is built."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.S)


def test_the_program_in_the_readme_that_trains_runs(tmp_path, monkeypatch):
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    training = programs(README)[1]
    assert "range(1, 16)" in training
    monkeypatch.setattr(data, "load_avatars", functools.partial(data.load_avatars, num_images=240))
    exec(training.replace("range(1, 16)", "range(1, 2)"), names := {})
    assert names["with_sunglasses"].shape == names["x"].shape


@pytest.mark.parametrize(
    "page", [README, DOCS / "index.md", DOCS / "install.md"], ids=lambda page: page.stem
)
def test_programs_that_begin_with_the_trained_model_run(page, tmp_path, monkeypatch):
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    program = programs(page)[0]
    exec(program.replace("1_000", "20"), names := {})
    assert names["ccvae"].label_names[0] == "Afro"
    for picture in re.findall(r"(\w+\.png)", program):
        assert (tmp_path / picture).stat().st_size > 0


def test_no_other_page_shows_a_program_that_nothing_runs():
    assert [page.name for page in PAGES if programs(page)] == [
        "README.md",
        "index.md",
        "install.md",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command, monkeypatch):
    script, *arguments = command.split()
    monkeypatch.syspath_prepend(EXAMPLES)
    importlib.import_module(script).parse(arguments)


def test_snippets_are_shown_as_code():
    for page in PAGES:
        outside = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        # At the start of a line it would be three quotations, one in another.
        assert not re.search(r"^>>>", outside, flags=re.M), page.name


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_file_that_is_linked_to_is_there(name):
    text = (ROOT / name).read_text()
    named = re.findall(r"\]\(((?!http)[^)#]+)\)", text) + re.findall(r"`([A-Z]\w+\.\w+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_table_and_figure_of_results_is_shown_on_a_page():
    shown = "\n".join(page.read_text() for page in PAGES)
    results = {path.name for path in (DOCS / "results").iterdir() if path.suffix != ".csv"}
    assert {name for name in results if f"results/{name}" not in shown} == set()


def test_every_table_of_results_says_how_it_is_made():
    reproducing = (DOCS / "reproducing.md").read_text()
    tables = {path.name for path in (DOCS / "results").glob("*.md")}
    assert {name for name in tables if f"`{name}`" not in reproducing} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_api_has_every_public_name(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    public = [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    ]
    options = re.search(rf"automodule:: {module}\n   :members:\n   :exclude-members: (.*)", API)
    apart = public if options is None else [n for n in public if n in options[1].split(", ")]
    missing = [n for n in apart if not re.search(rf"auto\w+:: ccvae_pyro[\w.]*\.{n}$", API, re.M)]
    assert missing == []
