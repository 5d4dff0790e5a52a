"""Figures of a trained model by matplotlib, and a report of a training run."""

from ccvae_pyro.data.names import spaced
from ccvae_pyro.plotting.charts import (
    plot_change,
    plot_class_confusion,
    plot_confusion,
    plot_history,
)
from ccvae_pyro.plotting.graphs import plot_graphs
from ccvae_pyro.plotting.grid import BLUE, GREEN, ORANGE, draw_grid
from ccvae_pyro.plotting.images import (
    plot_class_walk,
    plot_edits,
    plot_interpolations,
    plot_reconstructions,
    plot_samples,
    plot_swaps,
    plot_variations,
    plot_walk,
    plot_walk_2d,
)
from ccvae_pyro.plotting.report import write_report

__all__ = [
    "BLUE",
    "GREEN",
    "ORANGE",
    "draw_grid",
    "plot_change",
    "plot_class_confusion",
    "plot_class_walk",
    "plot_confusion",
    "plot_edits",
    "plot_graphs",
    "plot_history",
    "plot_interpolations",
    "plot_reconstructions",
    "plot_samples",
    "plot_swaps",
    "plot_variations",
    "plot_walk",
    "plot_walk_2d",
    "spaced",
    "write_report",
]
