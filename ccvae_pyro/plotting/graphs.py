"""Graphical models, read off the code of a model and a guide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pyro import poutine
from pyro.infer.inspect import TrackProvenance
from pyro.ops.provenance import get_provenance, track_provenance
from torch import Tensor

Edges = dict[str, set[str]]  # of each site, the sites and arguments that it depends on
Places = dict[str, tuple[float, float]]
SYMBOLS = {"z_c": "z_c", "z_style": r"z_{\setminus c}", "z_1": "z_1", "z_2": "z_2"}
SIZE = 26  # of a circle, in points


def plot_graphs(models: Mapping[str, tuple[Any, Mapping[str, Tensor]]]) -> Figure:
    """Draws which site depends on which: a column a model, with its guide below.

    Grey sites are given. Nothing is drawn from a description: model and guide are run once, and
    what each site's distribution was computed from is recorded.

    :param models: by what to call it, each model, with methods ``model`` and ``guide``, and what
        both are called with: ``x``, and ``y`` where the labels are to be known.
    """
    figure = Figure(figsize=(0.4 + 1.6 * len(models), 4.4), layout="constrained")
    axes = figure.subplots(2, len(models), squeeze=False)
    for column, (name, (model, given)) in zip(axes.T, models.items(), strict=True):
        both = [dependencies(function, **given) for function in (model.model, model.guide)]
        places = _places(both[0])
        for axis, edges in zip(column, both, strict=True):
            _draw(axis, edges, places, set(given))
        column[0].set_title(name, fontsize=11)
    for axis, what in zip(axes[:, 0], ("model", "guide"), strict=True):
        axis.text(-0.1, 0.5, what, transform=axis.transAxes, rotation=90, va="center")
    return figure


@torch.no_grad()
def dependencies(function: Callable, **given: Tensor) -> Edges:
    """Of each site, which sites and arguments its distribution is computed from.

    Example:

        >>> import pyro, pyro.distributions as dist
        >>> def model(x):
        ...     z = pyro.sample("z", dist.Normal(0.0, 1.0))
        ...     pyro.sample("x", dist.Normal(z, 1.0), obs=x)
        >>> dependencies(model, x=torch.tensor(1.0))
        {'z': set(), 'x': {'z'}}
    """
    tracked = {name: track_provenance(v, frozenset({name})) for name, v in given.items()}
    with TrackProvenance():
        trace = poutine.trace(function).get_trace(**tracked)
    edges = {}
    site: Any
    for name, site in trace.nodes.items():
        if site["type"] == "sample" and type(site["fn"]).__name__ != "_Subsample":
            log_prob = site["fn"].log_prob(site["value"])
            edges[name] = set(get_provenance(log_prob)) - {name}
    return edges


def _places(edges: Edges) -> Places:
    """Where each site goes: below what it depends on, no higher than it has to be."""
    names = list(dict.fromkeys([*edges, *(name for of in edges.values() for name in of)]))
    depth = dict.fromkeys(names, 0)
    for _ in names:
        depth |= {n: 1 + max((depth[of] for of in edges.get(n, ())), default=-1) for n in names}
    for name in names:
        below = [depth[n] for n in names if name in edges.get(n, ())]
        if not edges.get(name) and below:
            depth[name] = min(below) - 1
    places = {}
    for level in set(depth.values()):
        row = [name for name in names if depth[name] == level]
        for i, name in enumerate(row):
            places[name] = (i - (len(row) - 1) / 2, -float(level))
    return places


def _draw(axis: Axes, edges: Edges, places: Places, given: set[str]) -> None:
    """Draws sites as circles and dependencies as arrows."""
    arrow = {"arrowstyle": "-|>", "color": "black", "shrinkA": SIZE / 2, "shrinkB": SIZE / 2}
    for name, of in edges.items():
        for other in sorted(of):
            axis.annotate("", places[name], places[other], arrowprops=arrow)
    for name in set(edges) | {other for of in edges.values() for other in of}:
        color = "0.85" if name in given else "white"
        axis.plot(*places[name], "o", markersize=SIZE, color=color, markeredgecolor="black")
        axis.annotate(f"${SYMBOLS.get(name, name)}$", places[name], ha="center", va="center")
    axis.set(xlim=(-0.9, 0.9), ylim=(-2.4, 0.4))
    axis.axis("off")
