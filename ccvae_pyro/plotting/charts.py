"""Figures of numbers: how training went, and what is mistaken for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ccvae_pyro.labels import Categorical
from ccvae_pyro.plotting.grid import BLUE, GREEN, ORANGE, spaced

MOST_WRITTEN = 20  # labels whose changes are written out


def plot_history(history: Sequence[dict[str, float]]) -> Figure:
    """Loss, accuracies and reconstruction error by epoch.

    :param history: a dictionary for each epoch, as :func:`~ccvae_pyro.train` returns them.
    """
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    epochs = [record["epoch"] for record in history]
    panels = [
        ("training loss (nats per image)", {"loss": BLUE}),
        ("validation accuracy", {"accuracy": BLUE, "balanced_accuracy": ORANGE}),
        ("mean absolute reconstruction error", {"reconstruction_error": GREEN}),
    ]
    for axes, (title, curves) in zip(figure.subplots(1, 3), panels, strict=True):
        for name, color in curves.items():
            values = [record[name] for record in history]
            axes.plot(epochs, values, "o-", color=color, markersize=3, label=spaced(name))
        if "accuracy" in curves:
            axes.axhline(
                history[-1]["majority_accuracy"], color="gray", ls=":", label="majority class"
            )
            axes.legend(frameon=False)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_confusion(per_label: dict[str, dict[str, float]]) -> Figure:
    """A heat map of what is predicted, for each binary label, where it is false and where true.

    :param per_label: as :func:`~ccvae_pyro.evaluate` returns it.
    :raises ValueError: if no label is binary.
    """
    binary = {name: label for name, label in per_label.items() if "sensitivity" in label}
    if not binary:
        raise ValueError(f"no label is binary, got {', '.join(per_label)}")
    rates = [
        [1 - label["specificity"], label["sensitivity"], label["frequency"]]
        for label in binary.values()
    ]
    figure = Figure(figsize=(5.2, 1.4 + 0.26 * len(rates)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(np.array(rates)[:, :2], vmin=0, vmax=1, cmap="Blues", aspect="auto")
    _write_shares(axes, [shares for *shares, _ in rates])
    names = [
        f"{name.replace('_', ' ')} ({rate[-1]:.0%})"
        for name, rate in zip(binary, rates, strict=True)
    ]
    axes.set_yticks(range(len(rates)), names, fontsize=8)
    axes.set_xticks([0, 1], ["label is false\n(ideal: 0%)", "label is true\n(ideal: 100%)"])
    axes.xaxis.tick_top()
    axes.set_title("How often a label is predicted (its frequency)", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.6)
    return figure


def plot_class_confusion(label: Categorical, confusion: Sequence[Sequence[int]]) -> Figure:
    """A heat map of the classes that images are given, a row for each class that they are of.

    :param confusion: counts, as :func:`~ccvae_pyro.evaluate` has them for the label.
    """
    counts = np.array(confusion)
    totals = counts.sum(1)
    rates = counts / np.maximum(totals, 1)[:, None]
    for_names = 0.07 * max(map(len, label.classes))
    size = 0.9 + 0.42 * len(counts) + for_names
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    classes = [spaced(name) for name in label.classes]
    names = [f"{name} ({total})" for name, total in zip(classes, totals, strict=True)]
    _draw_heat(axes, rates, names, classes, rotation=45)
    axes.set_ylabel("is (how many images)")
    axes.set_xlabel(f"{label.name.replace('_', ' ')} as predicted")
    return figure


def plot_change(names: Sequence[str], change: np.ndarray) -> Figure:
    """A heat map of what setting one label changes in the others, as a reader sees them.

    :param names: what the labels are called.
    :param change: as :class:`~ccvae_pyro.evaluation.edit_metrics.EditEffects` has it.
    """
    size = 2.2 + 0.3 * len(change)
    figure = Figure(figsize=(size + 0.6, size), layout="constrained")
    axes = figure.subplots()
    shown = [spaced(name) for name in names]
    image = _draw_heat(axes, change, shown, shown, is_written=len(change) <= MOST_WRITTEN)
    axes.set_ylabel("label that is set")
    axes.set_xlabel("how much what is read of a label changes (0 to 1)")
    figure.colorbar(image, ax=axes, shrink=0.6)
    return figure


def _draw_heat(
    axes: Any,
    shares: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    rotation: int = 60,
    is_written: bool = True,
) -> Any:
    """A heat map of shares, with the names of its rows on the left and of its columns above."""
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    if is_written:
        _write_shares(axes, shares, digits=0, least=0.0051)  # more than is written 0 %
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_xticks(range(len(columns)), columns, fontsize=8, rotation=rotation, ha="left")
    axes.xaxis.tick_top()
    return image


def _write_shares(axes: Any, shares: Any, digits: int = 1, least: float = 0.0) -> None:
    """Writes a share into each cell of a heat map from white to blue."""
    for (row, column), share in np.ndenumerate(np.array(shares)):
        color = "white" if share > 0.6 else "black"
        if share >= least:
            text = f"{share:.{digits}%}"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
