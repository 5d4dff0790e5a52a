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

LABEL_CURVES = {
    "accuracy": BLUE,
    "balanced_accuracy": ORANGE,
    "majority_accuracy": "gray",
    "r_squared": GREEN,
}
MAX_ANNOTATED = 20  # labels; the cells of larger heat maps have no numbers


def plot_history(history: Sequence[Mapping[str, float]]) -> Figure:
    """Loss, metrics of labels and reconstruction error by epoch.

    :param history: the record of each epoch, from :func:`~ccvae_pyro.train`; without validation
        images it has no metrics.
    """
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    epochs = [record["epoch"] for record in history]
    panels = [
        ("training loss (nats per image)", {"loss": BLUE}),
        ("labels of validation images", LABEL_CURVES),
        ("mean absolute reconstruction error", {"reconstruction_error": GREEN}),
    ]
    for axes, (title, curves) in zip(figure.subplots(1, 3), panels, strict=True):
        for name, color in curves.items():
            values = np.array([record.get(name, np.nan) for record in history])
            if not np.isnan(values).all():
                style = ":" if name == "majority_accuracy" else "o-"
                axes.plot(epochs, values, style, color=color, markersize=3, label=spaced(name))
        if not axes.lines:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color="0.4")
        elif curves is LABEL_CURVES:
            axes.legend(frameon=False, fontsize=8)
            # The coefficient of determination of the first epochs may be far below zero.
            axes.set_ylim(bottom=max(axes.get_ylim()[0], -0.2))
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

    Of more than 40 classes those are shown that most images are mistaken for, or that have the
    most mistaken images; a last column has the share that is predicted to be of other classes.

    :param confusion: counts, from :class:`~ccvae_pyro.evaluation.CategoricalMetrics`.
    """
    counts = np.array(confusion)
    totals, names = counts.sum(1), [drawn(name) for name in label.classes]
    rates = counts / np.maximum(totals, 1)[:, None]
    shown, columns, note = np.arange(len(counts)), names, ""
    if len(counts) > MAX_SHOWN:
        num_mistakes = totals + counts.sum(0) - 2 * counts.diagonal()
        shown = np.sort(np.argsort(-num_mistakes, kind="stable")[:MAX_SHOWN])
        others = np.delete(rates, shown, axis=1).sum(1)
        rates = np.column_stack([rates[:, shown], others])[shown]
        columns = [*(names[i] for i in shown), "other classes"]
        note = f"the {MAX_SHOWN} of {len(counts)} classes with the most mistakes"
    rows = [f"{names[i]} ({totals[i]})" for i in shown]
    size = 0.36 * len(rates)
    beside, above = _name_inches(rows), _name_inches(columns)  # the latter at an angle
    figure = Figure(
        figsize=(1.2 + size + beside + 0.5 * above, 1.2 + size + above), layout="constrained"
    )
    axes = figure.subplots()
    _draw_heat_map(axes, rates, rows, columns)
    axes.set_ylabel("true class (number of images)")
    axes.set_xlabel(f"predicted {drawn(label.name)}", **text_properties())
    write_note(figure, note)
    return figure


def _name_inches(names: Sequence[str]) -> float:
    """About the length of the longest name, as it is written beside a heat map."""
    return 0.08 * max(map(len, names))


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
    is_annotated: bool = True,
) -> AxesImage:
    """A heat map of shares, with the names of rows on the left and of columns above."""
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    if is_annotated:
        _annotate(axes, shares, digits=0, threshold=0.0051)  # smaller ones would read 0%
    texts = {"fontsize": 8, **text_properties()}
    axes.set_yticks(range(len(row_names)), row_names, **texts)
    if max(map(len, column_names)) > 3:  # they would overlap
        texts |= {"rotation": 60, "ha": "left"}
    axes.set_xticks(range(len(column_names)), column_names, **texts)
    axes.xaxis.tick_top()
    return image


def _annotate(axes: Axes, shares: np.ndarray, digits: int = 1, threshold: float = 0.0) -> None:
    """Writes the share into each cell of a heat map, if it reaches the threshold."""
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.6 else "black"
        if share >= threshold:
            text = f"{share:.{digits}%}"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
