"""Figures of a trained model, for matplotlib."""

from ccvae_pyro.plotting.charts import (
    plot_change,
    plot_class_confusion,
    plot_confusion,
    plot_history,
)
from ccvae_pyro.plotting.graphs import plot_graphs
from ccvae_pyro.plotting.images import (
    plot_class_walk,
    plot_edits,
    plot_reconstructions,
    plot_samples,
    plot_walk,
    plot_walk_2d,
)
from ccvae_pyro.plotting.report import write_report
from ccvae_pyro.plotting.swaps import plot_interpolations, plot_swaps
from ccvae_pyro.plotting.variations import plot_variations

__all__ = [
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
    "write_report",
]
