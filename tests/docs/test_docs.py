"""The programs and commands in README and docs run, and the docs are complete."""

import functools
import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest
import torch
from helpers import EXAMPLES
from published_modules import make_modules, write

import ccvae_pyro
from ccvae_pyro import data

ROOT = EXAMPLES.parent
README, DOCS, PACKAGE = ROOT / "README.md", ROOT / "docs", ROOT / "ccvae_pyro"
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted((DOCS / "tutorial").glob("*.md"))]
API = DOCS / "api"
PACKAGES = [f"ccvae_pyro.{path.parent.name}" for path in sorted(PACKAGE.glob("*/__init__.py"))]
PACKAGES += ["ccvae_pyro.models.baselines"]


def commands(text):
    """The commands on a page that run an example, with their arguments."""
    text = text.replace("\\\n", " ")
    for line in re.findall(r"python examples/[^`\n|]*", text):
        _, script, *arguments = shlex.split(line, comments=True)
        yield " ".join([Path(script).stem, *arguments])


COMMANDS = sorted({command for page in PAGES for command in commands(page.read_text())})


def programs(page):
    """The Python programs of a page that are not run when the docs are built."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.S)


def test_the_training_program_of_the_readme_runs(tmp_path, monkeypatch):
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
def test_programs_with_the_pretrained_model_run(page, tmp_path, monkeypatch):
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    program = programs(page)[0]
    exec(program.replace("1_000", "20"), names := {})
    assert names["ccvae"].label_names[0] == "Afro"
    for picture in re.findall(r"(\w+\.png)", program):
        assert (tmp_path / picture).stat().st_size > 0


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("page", [README, DOCS / "quickstart.md"], ids=lambda page: page.stem)
def test_the_program_with_the_published_model_runs(page, tmp_path, monkeypatch):
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "revae-demo" / "data" / "revae", make_modules("demo"))
    program = programs(page)[-1]
    exec(program, names := {})
    assert names["ccvae"].label_names[0] == "Arched_Eyebrows"
    for file in re.findall(r"\w+\.(?:png|pt)", program):
        assert (tmp_path / file).stat().st_size > 0


def test_no_other_page_has_a_program_that_is_not_run():
    assert {page.name: len(programs(page)) for page in PAGES if programs(page)} == {
        "README.md": 3,
        "index.md": 1,
        "install.md": 1,
        "quickstart.md": 1,
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_valid(command, monkeypatch):
    script, *arguments = command.split()
    monkeypatch.syspath_prepend(EXAMPLES)
    importlib.import_module(script).parse(arguments)


def test_snippets_are_shown_as_code():
    for page in PAGES:
        outside = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        # At the start of a line, Markdown takes it for nested quotations.
        assert not re.search(r"^>>>", outside, flags=re.M), page.name


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_linked_file_exists(name):
    text = (ROOT / name).read_text()
    named = re.findall(r"\]\(((?!http)[^)#]+)\)", text) + re.findall(
        r"`([A-Z]\w+\.(?:md|cff|in))`", text
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_table_and_figure_of_results_is_on_a_page():
    shown = "\n".join(page.read_text() for page in PAGES)
    results = {path.name for path in (DOCS / "results").iterdir() if path.suffix != ".csv"}
    assert {name for name in results if f"results/{name}" not in shown} == set()


def test_every_table_of_results_is_on_the_page_on_reproducing():
    reproducing = (DOCS / "reproducing.md").read_text()
    tables = {path.name for path in (DOCS / "results").glob("*.md")}
    assert {name for name in tables if f"`{name}`" not in reproducing} == set()


def test_the_api_lists_every_name_of_the_top_level():
    summary = re.findall(r"^   ~ccvae_pyro\.(\w+)$", (API / "index.md").read_text(), flags=re.M)
    assert sorted(summary) == sorted(ccvae_pyro.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_api_has_a_page_for_every_package(package):
    # With these options, autodoc has every name of __all__ that has a docstring.
    directive = f".. automodule:: {package}\n   :members:\n   :exclude-members: forward\n"
    assert directive in "\n".join(path.read_text() for path in API.glob("*.md"))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_exported_and_documented(package):
    module = importlib.import_module(package)
    documented = {
        name
        for name in module.__all__
        if not callable(getattr(module, name)) or inspect.getdoc(getattr(module, name))
    }
    assert documented == set(module.__all__)
