"""Figures of a trained model, for matplotlib."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from ccvae_pyro.image_grid import BLUE, GREEN, ORANGE, draw_grid
from ccvae_pyro.interventions import classify, edit, generate, reconstruct, walk
from ccvae_pyro.labels import index_of
from ccvae_pyro.model import CCVAE


def plot_history(history: Sequence[dict[str, float]]) -> Figure:
    """Loss, accuracies and reconstruction error by epoch.

    :param history: a dictionary for each epoch, as :func:`train` returns them.
    """
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    epochs = [record["epoch"] for record in history]
    panels = [
        ("training loss (nats per image)", {"loss": BLUE}),
        ("validation accuracy", {"accuracy": BLUE, "balanced_accuracy": ORANGE}),
        ("validation reconstruction error (mean absolute)", {"reconstruction_error": GREEN}),
    ]
    for axes, (title, curves) in zip(figure.subplots(1, 3), panels, strict=True):
        for name, color in curves.items():
            values = [record[name] for record in history]
            axes.plot(
                epochs, values, "o-", color=color, markersize=3, label=name.replace("_", " ")
            )
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
    """A heat map of what is predicted, for each label, where it is false and where it is true.

    :param per_label: as :func:`evaluate` returns it.
    """
    rates = [
        [1 - label["specificity"], label["sensitivity"], label["frequency"]]
        for label in per_label.values()
    ]
    figure = Figure(figsize=(5.2, 1.4 + 0.26 * len(rates)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(np.array(rates)[:, :2], vmin=0, vmax=1, cmap="Blues", aspect="auto")
    for row, (*shares, _) in enumerate(rates):
        for column, share in enumerate(shares):
            color = "white" if share > 0.6 else "black"
            axes.text(
                column, row, f"{share:.1%}", ha="center", va="center", color=color, fontsize=8
            )
    names = [
        f"{name.replace('_', ' ')} ({rate[-1]:.0%})"
        for name, rate in zip(per_label, rates, strict=True)
    ]
    axes.set_yticks(range(len(rates)), names, fontsize=8)
    axes.set_xticks([0, 1], ["label is false\n(ideal: 0%)", "label is true\n(ideal: 100%)"])
    axes.xaxis.tick_top()
    axes.set_title("How often a label is predicted (its frequency)", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.6)
    return figure


def plot_reconstructions(images: Tensor, reconstructions: dict[int, Tensor]) -> Figure:
    """The same images, and what became of them after each of several epochs.

    :param images: shape ``(batch, channels, height, width)``, in [0, 1].
    :param reconstructions: by epoch; uint8 or in [0, 1].
    """
    rows = [images, *reconstructions.values()]
    return draw_grid(rows, ["images", *(f"epoch {epoch}" for epoch in reconstructions)])


def plot_walk(ccvae: CCVAE, x: Tensor, labels: Sequence[str | int], num_steps: int = 9) -> Figure:
    """One image, a row for each label: its characteristic goes from without to with.

    :param x: one image, shape ``(channels, height, width)``.
    """
    rows = [walk(ccvae, x[None], label, num_steps=num_steps)[0] for label in labels]
    titles = ["without", *[""] * (num_steps - 2), "with"]
    return draw_grid(rows, [_readable(ccvae, label) for label in labels], titles)


def plot_walk_2d(
    ccvae: CCVAE, x: Tensor, labels: tuple[str | int, str | int], num_steps: int = 7
) -> Figure:
    """One image while two characteristics change, one along each axis.

    :param x: one image, shape ``(channels, height, width)``.
    """
    down, across = (_readable(ccvae, label) for label in labels)
    rows = walk(ccvae, x[None], labels, num_steps=num_steps)[0]
    names = [f"without {down}", *[""] * (num_steps - 2), f"with {down}"]
    titles = [f"without\n{across}", *[""] * (num_steps - 2), f"with\n{across}"]
    return draw_grid(rows, names, titles)


def plot_samples(ccvae: CCVAE, y: Tensor, num_samples: int = 8) -> Figure:
    """Images generated to order: a row for each order, which is written beside it.

    :param y: the orders, shape ``(num_orders, num_labels)``.
    """
    rows = generate(ccvae, y.repeat_interleave(num_samples, dim=0)).unflatten(0, (len(y), -1))
    names = [
        "\n".join(_readable(ccvae, index) for index in order.nonzero().flatten().tolist())
        or "none"
        for order in y
    ]
    return draw_grid(rows, names)


def plot_edits(ccvae: CCVAE, x: Tensor, labels: Sequence[str | int]) -> Figure:
    """Images, their reconstructions, and each of several labels turned over.

    A sign tells, image by image, whether the label was taken away or put on; its characteristic
    goes two deviations beyond the mean of the conditional prior.
    """
    has_label = classify(ccvae, x) > 0.5
    columns, titles = [x, reconstruct(ccvae, x)], ["image", "recon-\nstruction"]
    signs = torch.zeros(len(x), 2)
    for label in labels:
        index = index_of(label, ccvae.label_names)
        removed, added = (edit(ccvae, x, label, value, deviations=2) for value in (0, 1))
        had = has_label[:, index].cpu()
        columns.append(torch.where(had[:, None, None, None], removed.cpu(), added.cpu()))
        signs = torch.cat([signs, torch.where(had, -1.0, 1.0)[:, None]], dim=1)
        titles.append(_readable(ccvae, index).replace(" ", "\n"))
    rows = torch.stack([column.cpu() for column in columns], dim=1)
    return draw_grid(rows, [""] * len(rows), titles, signs)


def _readable(ccvae: CCVAE, label: str | int) -> str:
    name = ccvae.label_names[label] if isinstance(label, int) and ccvae.label_names else label
    return str(name).replace("_", " ")
