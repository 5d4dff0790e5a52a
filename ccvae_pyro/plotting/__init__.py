"""Figures of a trained model, for matplotlib."""

from ccvae_pyro.plotting.charts import plot_class_confusion, plot_confusion, plot_history
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

__all__ = [
    "plot_class_confusion",
    "plot_class_walk",
    "plot_confusion",
    "plot_edits",
    "plot_graphs",
    "plot_history",
    "plot_reconstructions",
    "plot_samples",
    "plot_walk",
    "plot_walk_2d",
    "write_report",
]
