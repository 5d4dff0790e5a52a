"""Graphical models, inferred from the code of a model and a guide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import pyro
import pyro.distributions as dist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pyro.infer.inspect import get_model_relations
from torch import Tensor

from ccvae_pyro.plotting.grid import MAX_SHOWN, only_first, write_note
from ccvae_pyro.plotting.text import drawn, text_properties

Graph = dict[str, set[str]]  # the parents of each site: sites and arguments
Positions = dict[str, tuple[float, float]]
SYMBOLS = {
    "x": "x",
    "y": "y",
    "z": "z",
    "z_c": "z_c",
    "z_style": r"z_{\setminus c}",
    "z_1": "z_1",
    "z_2": "z_2",
}
SIZE = 26  # of a circle, in points


def plot_graphs(models: Mapping[str, tuple[Any, Mapping[str, Tensor]]]) -> Figure:
    """Draws graphical models: a column for each, with the model above and its guide below.

    Observed sites are gray. The graphs are inferred from the code by running it once.

    :param models: by its title, each model, with methods ``model`` and ``guide``, and the keyword
        arguments of both: ``x``, and ``y`` if the labels are observed.
    """
    note, models = only_first(len(models), "models"), dict(islice(models.items(), MAX_SHOWN))
    figure = Figure(figsize=(0.4 + 1.6 * len(models), 4.4), layout="constrained")
    axes = figure.subplots(2, len(models), squeeze=False)
    for column, (title, (model, arguments)) in zip(axes.T, models.items(), strict=True):
        graphs = [dependencies(function, **arguments) for function in (model.model, model.guide)]
        positions = _positions(graphs[0])
        for axis, graph in zip(column, graphs, strict=True):
            _draw(axis, graph, positions, set(arguments))
        column[0].set_title(drawn(title, 20), fontsize=11, **text_properties())
    for axis, name in zip(axes[:, 0], ("model", "guide"), strict=True):
        axis.text(-0.1, 0.5, name, transform=axis.transAxes, rotation=90, va="center")
    write_note(figure, note)
    return figure


def dependencies(function: Callable[..., object], **arguments: Tensor) -> Graph:
    """The parents of each sample site, among sites and arguments.

    Example:

        >>> import torch
        >>> def model(x):
        ...     z = pyro.sample("z", dist.Normal(0.0, 1.0))
        ...     pyro.sample("x", dist.Normal(z, 1.0), obs=x)
        >>> dependencies(model, x=torch.tensor(1.0))
        {'z': set(), 'x': {'z'}}
    """

    def with_arguments_as_sites() -> None:
        function(
            **{
                name: pyro.sample(f"argument {name}", dist.Normal(value, 1.0), obs=value)
                for name, value in arguments.items()
            }
        )

    relations = get_model_relations(with_arguments_as_sites)["sample_sample"]
    return {
        site: {parent.removeprefix("argument ") for parent in parents} - {site}
        for site, parents in relations.items()
        if not site.startswith("argument ")
    }


def _positions(graph: Graph) -> Positions:
    """The position of each site: below its parents, and no higher than its children require."""
    names = list(
        dict.fromkeys([*graph, *(name for parents in graph.values() for name in parents)])
    )
    depth = dict.fromkeys(names, 0)
    for _ in names:
        depth |= {n: 1 + max((depth[p] for p in graph.get(n, ())), default=-1) for n in names}
    for name in names:
        children = [depth[n] for n in names if name in graph.get(n, ())]
        if not graph.get(name) and children:
            depth[name] = min(children) - 1
    positions = {}
    for level in set(depth.values()):
        row = [name for name in names if depth[name] == level]
        for i, name in enumerate(row):
            positions[name] = (i - (len(row) - 1) / 2, -float(level))
    return positions


def _draw(axis: Axes, graph: Graph, positions: Positions, observed: set[str]) -> None:
    """Draws sites as circles and dependencies as arrows."""
    arrow = {"arrowstyle": "-|>", "color": "black", "shrinkA": SIZE / 2, "shrinkB": SIZE / 2}
    for site, parents in graph.items():
        for parent in sorted(parents):
            axis.annotate("", positions[site], positions[parent], arrowprops=arrow)
    for name in set(graph) | {parent for parents in graph.values() for parent in parents}:
        color = "0.85" if name in observed else "white"
        axis.plot(*positions[name], "o", markersize=SIZE, color=color, markeredgecolor="black")
        symbol = f"${SYMBOLS[name]}$" if name in SYMBOLS else drawn(name, 8)
        texts = {} if name in SYMBOLS else text_properties()
        axis.annotate(symbol, positions[name], ha="center", va="center", **texts)
    axis.set(xlim=(-0.9, 0.9), ylim=(-2.4, 0.4))
    axis.axis("off")
