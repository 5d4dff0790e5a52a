"""The page on notation agrees with the code."""

import inspect
import operator
import re
from pathlib import Path

import pytest
import torch
from helpers import make_ccvae
from pyro import poutine

import ccvae_pyro
from ccvae_pyro import CCVAE_ELBO, Binary, ExactCCVAE_ELBO
from ccvae_pyro.data import hide_labels

PAGE = Path(__file__).parents[2] / "docs" / "notation.md"
SIZES = {"batch": 5, "channels": 1, "height": 28, "width": 28, "num_labels": 3}
SIZES |= {"num_characteristics": 4, "num_style": 2}
CALLED = {"hide_labels": hide_labels}


def rows():
    """The rows of all tables, as dicts with the heading above the table."""
    found, heading, columns = [], "", None
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            heading, columns = line[3:], None
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if columns is None:
                columns = cells
            elif not set(line) <= set("|-"):
                assert len(cells) == len(columns), line
                found.append(dict(zip(columns, cells, strict=True)) | {"heading": heading})
    return found


ROWS = rows()
NAMES = [row["code"].strip("`") for row in ROWS]


@pytest.fixture(scope="module")
def traces():
    """Traces of model and guide with three labels, one of which has two characteristics."""
    torch.set_default_dtype(torch.float32)
    labels = [Binary("Hat", extra_dims=1), Binary("Beard"), Binary("Bald")]
    ccvae = ccvae_pyro.mnist(z_dim=6, labels=labels)
    x, y = torch.rand(5, 1, 28, 28), torch.ones(5, 3)
    return [poutine.trace(function).get_trace(x, y) for function in (ccvae.model, ccvae.guide)]


def size_of(text):
    """The shape that is written by the names of its sizes."""
    return tuple(SIZES[name] for name in re.findall(r"\w+", text))


def parameters_of(name):
    """The arguments of the function or class that the page calls by this name."""
    called = CALLED.get(name) or getattr(ccvae_pyro, name)
    parameters = inspect.signature(called).parameters.values()
    return {p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}


def test_every_row_has_one_name():
    assert len(ROWS) > 40
    assert all(re.fullmatch(r"`[^`]+`", row["code"]) for row in ROWS)
    assert len(set(NAMES)) == len(NAMES)


def test_sites_and_plates_are_those_of_the_traces(traces):
    sites = {name for trace in traces for name, site in trace.nodes.items() if "fn" in site}
    sites = {name for name in sites if not name.startswith("_") and "$$$" not in name}
    assert {name.strip('"') for name in NAMES if name.startswith('"')} == sites


@pytest.mark.parametrize("row", [row for row in ROWS if row["code"].startswith('`"')], ids=str)
def test_a_site_has_the_documented_shape(traces, row):
    if not row["shape"]:
        return
    name = row["code"].strip('`"')
    shapes = {tuple(t.nodes[name]["value"].shape) for t in traces if name in t.nodes}
    assert shapes == {size_of(row["shape"])}


@pytest.mark.parametrize("row", [r for r in ROWS if r["code"].startswith("`ccvae.")], ids=str)
def test_an_attribute_exists_with_the_documented_shape(row):
    path = row["code"].strip("`").removeprefix("ccvae.")
    found = operator.attrgetter(path)(make_ccvae())
    if row.get("shape"):
        assert tuple(found.shape) == size_of(row["shape"])


def test_the_table_of_parts_is_complete():
    written = {r["code"].strip("`") for r in ROWS if r["heading"] == "The six parts"}
    parts = parameters_of("CCVAE")
    assert written == {f"ccvae.{name}" for name in parts}
    assert set(dict(make_ccvae().named_children())) < parts


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(")")])
def test_an_argument_exists(name):
    called, argument = re.fullmatch(r"(\w+)\((\w+)\)", name).groups()
    assert argument in parameters_of(called)


@pytest.mark.parametrize("objective", [CCVAE_ELBO, ExactCCVAE_ELBO])
def test_all_arguments_of_an_objective_are_documented(objective):
    name = objective.__name__
    written = {n.split("(")[1].strip(")") for n in NAMES if n.startswith(f"{name}(")}
    assert written == parameters_of(name)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("ccvae_pyro.")])
def test_a_name_can_be_imported(name):
    assert callable(operator.attrgetter(name.removeprefix("ccvae_pyro."))(ccvae_pyro))


def test_all_interventions_are_documented():
    names = ccvae_pyro.interventions.__all__
    public = {name for name in names if name.islower()}  # functions, not what they return
    heading = "Predictions and interventions"
    written = {r["code"].strip("`") for r in ROWS if r["heading"] == heading}
    assert written == {f"ccvae_pyro.{name}" for name in public}
