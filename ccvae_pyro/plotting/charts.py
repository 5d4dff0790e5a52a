"""Figures of metrics: training history, confusion matrices, effects of edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from ccvae_pyro.data.names import spaced
from ccvae_pyro.evaluation import BinaryMetrics, LabelMetrics
from ccvae_pyro.labels import Classes
from ccvae_pyro.plotting.grid import BLUE, GREEN, MAX_SHOWN, ORANGE, only_first, write_note
from ccvae_pyro.plotting.text import drawn, text_properties

MAX_ANNOTATED = 20  # labels; the cells of larger heat maps have no numbers


def plot_history(history: Sequence[Mapping[str, float]]) -> Figure:
    """Loss, accuracies and reconstruction error by epoch.

    :param history: the record of each epoch, from :func:`~ccvae_pyro.train`; without validation
        images it has no metrics.
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
            values = [record.get(name, np.nan) for record in history]
            axes.plot(epochs, values, "o-", color=color, markersize=3, label=spaced(name))
        if "accuracy" in curves:
            majority = history[-1].get("majority_accuracy", np.nan)
            axes.axhline(majority, color="gray", ls=":", label="majority class")
            axes.legend(frameon=False)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_confusion(per_label: Mapping[str, LabelMetrics]) -> Figure:
    """A heat map of how often each binary label is predicted, where it is false and where true.

    :param per_label: the attribute of :class:`~ccvae_pyro.evaluation.Evaluation`.
    :raises ValueError: if no label is binary.
    """
    binary = {name: each for name, each in per_label.items() if isinstance(each, BinaryMetrics)}
    if not binary:
        raise ValueError(f"no label is binary, got {', '.join(per_label)}")
    note = only_first(len(binary), "binary labels")
    binary = dict(islice(binary.items(), MAX_SHOWN))
    rates = np.array([[1 - each.specificity, each.sensitivity] for each in binary.values()])
    figure = Figure(figsize=(5.2, 1.4 + 0.26 * len(rates)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(rates, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    _annotate(axes, rates)
    names = [f"{drawn(name)} ({each.prevalence:.0%})" for name, each in binary.items()]
    axes.set_yticks(range(len(rates)), names, fontsize=8, **text_properties())
    axes.set_xticks([0, 1], ["label is false\n(ideal: 0%)", "label is true\n(ideal: 100%)"])
    axes.xaxis.tick_top()
    axes.set_title("Share of images for which the label is predicted", fontsize=10)
    axes.set_ylabel("label (prevalence)")
    figure.colorbar(image, ax=axes, shrink=0.6)
    write_note(figure, note)
    return figure


def plot_class_confusion(label: Classes, confusion: Sequence[Sequence[int]]) -> Figure:
    """The confusion matrix of a label with classes: a row for each true class, in percent.

    :param confusion: counts, from :class:`~ccvae_pyro.evaluation.CategoricalMetrics`.
    """
    counts = np.array(confusion)
    totals = counts.sum(1)
    rates = (counts / np.maximum(totals, 1)[:, None])[:MAX_SHOWN, :MAX_SHOWN]
    classes = [drawn(name) for name in label.classes[:MAX_SHOWN]]
    size = 0.9 + 0.42 * len(rates) + 0.07 * max(map(len, classes))
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    names = [f"{name} ({total})" for name, total in zip(classes, totals, strict=False)]
    _draw_heat_map(axes, rates, names, classes, rotation=45)
    axes.set_ylabel("true class (number of images)")
    axes.set_xlabel(f"predicted {drawn(label.name)}", **text_properties())
    write_note(figure, only_first(len(counts), "classes"))
    return figure


def plot_change(names: Sequence[str], change: np.ndarray) -> Figure:
    """A heat map of the effect of editing each label on all labels, under an oracle classifier.

    :param names: the names of the labels.
    :param change: the attribute of :class:`~ccvae_pyro.evaluation.EditMetrics`.
    """
    note, change = only_first(len(change), "labels"), change[:MAX_SHOWN, :MAX_SHOWN]
    size = 2.2 + 0.3 * len(change)
    figure = Figure(figsize=(size + 0.6, size), layout="constrained")
    axes = figure.subplots()
    shown = [drawn(name) for name in names[:MAX_SHOWN]]
    image = _draw_heat_map(axes, change, shown, shown, is_annotated=len(change) <= MAX_ANNOTATED)
    axes.set_ylabel("label that is edited")
    axes.set_xlabel("mean change in the oracle classifier's output for each label")
    figure.colorbar(image, ax=axes, shrink=0.6)
    write_note(figure, note)
    return figure


def _draw_heat_map(
    axes: Axes,
    shares: np.ndarray,
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    rotation: int = 60,
    is_annotated: bool = True,
) -> AxesImage:
    """A heat map of shares, with the names of rows on the left and of columns above."""
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    if is_annotated:
        _annotate(axes, shares, digits=0, threshold=0.0051)  # smaller ones would read 0%
    texts = {"fontsize": 8, **text_properties()}
    axes.set_yticks(range(len(row_names)), row_names, **texts)
    axes.set_xticks(range(len(column_names)), column_names, rotation=rotation, ha="left", **texts)
    axes.xaxis.tick_top()
    return image


def _annotate(axes: Axes, shares: np.ndarray, digits: int = 1, threshold: float = 0.0) -> None:
    """Writes the share into each cell of a heat map, if it reaches the threshold."""
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.6 else "black"
        if share >= threshold:
            text = f"{share:.{digits}%}"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
