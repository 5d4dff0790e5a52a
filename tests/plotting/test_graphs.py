"""Graphs of models whose dependencies are known."""

import pyro
import pyro.distributions as dist
import pytest
import torch

from ccvae_pyro import plotting
from ccvae_pyro.labels import binaries
from ccvae_pyro.models import baseline
from ccvae_pyro.plotting.graphs import dependencies

GRAPHS = {
    "vae": ({"z": set(), "x": {"z"}}, {"z": {"x"}}),
    "m2": ({"y": set(), "z": set(), "x": {"y", "z"}}, {"y": {"x"}, "z": {"x", "y"}}),
    "m1_m2": (
        {"y": set(), "z_2": set(), "z_1": {"y", "z_2"}, "x": {"z_1"}},
        {"z_1": {"x"}, "y": {"z_1"}, "z_2": {"z_1", "y"}},
    ),
    "diva": (
        {"y": set(), "z_c": {"y"}, "z_style": set(), "x": {"z_c", "z_style"}},
        {"z_c": {"x"}, "y": {"z_c"}, "z_style": {"x"}},
    ),
    "cvae": ({"z": set(), "x": {"y", "z"}}, {"z": {"x", "y"}}),  # y is an argument, not a site
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_are_inferred_from_the_code(name):
    torch.set_default_dtype(torch.float32)
    model = baseline(name, binaries(("Hat", "Beard")), 5, images="mlp")
    arguments = {"x": torch.rand(2, 1, 28, 28)}
    if name == "cvae":
        arguments["y"] = torch.zeros(2, 2)
    graphs = tuple(dependencies(each, **arguments) for each in (model.model, model.guide))
    assert graphs == GRAPHS[name]
    figure = plotting.plot_graphs({name: (model, arguments)})
    num_arrows = sum(len(parents) for graph in GRAPHS[name] for parents in graph.values())
    drawn = [
        text for axis in figure.axes for text in axis.texts if getattr(text, "arrow_patch", None)
    ]
    assert len(drawn) == num_arrows


def test_other_names_of_sites_and_titles_are_not_formulas(tmp_path):
    class Model:
        def model(self, x):
            z = pyro.sample("$z$ of %", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

        def guide(self, x):
            pyro.sample("$z$ of %", dist.Normal(x, 1.0))

    figure = plotting.plot_graphs({r"$\frac{1}{$": (Model(), {"x": torch.tensor(1.0)})})
    figure.savefig(tmp_path / "graphs.png")
    assert figure.axes[0].get_title() == r"$\frac{1}{$"
    names = {text.get_text() for text in figure.axes[0].texts} - {""}
    assert names == {"model", "$x$", "$z$ of %"}
