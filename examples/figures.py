"""The figures that an example leaves of its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

import ccvae_pyro
from ccvae_pyro import plotting
from ccvae_pyro.data import Batches
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.labels import Binary, Categorical

NUM_IMAGES, NUM_LABELS, NUM_PAIRS = 8, 18, 5  # that a figure shows of many
CAPTIONS = {
    "history": "How training went, epoch by epoch, on images held out from it.",
    "reconstructions": "The same images, and what became of them as training went on.",
    "samples": "New images, generated to the labels beside them.",
    "edits": "Test images with one label at a time set to another value: + put on, - taken away.",
    "walk": "One test image while the characteristics of one label at a time change.",
    "swaps": "Test images, on the left, with a characteristic of each of the donors above.",
    "variations": "Many ways for a label to hold, drawn from its prior, and which pixels differ.",
    "interpolations": "Test images on their way to others, all latents together.",
    "confusion": "How often each label is found where it is true, and denied where it is not.",
    "walk_2d": "One test image while the characteristics of two labels change.",
}
OF_CLASSES = {
    "classes": "One test image on its way to each class of {}.",
    "confusion": "How many test images of each class of {} are given to each.",
}


def draw(
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    state: dict[str, Any],
    per_label: dict[str, dict],
    folder: Path,
) -> dict[str, Path]:
    """Draws every figure, of images that the model has not seen; returns files by captions."""
    x, y = next(batches.held_out("test"))
    y = ccvae_pyro.impute(ccvae, x, y)  # where it is not known
    watched, _ = next(batches.held_out("valid"))
    reconstructions = state["reconstructions"]
    watched = watched[: len(next(iter(reconstructions.values())))]
    figures = {
        "history": plotting.plot_history(state["history"]),
        "reconstructions": plotting.plot_reconstructions(watched, reconstructions),
        "samples": plotting.plot_samples(ccvae, orders_of(ccvae, y)),
        "edits": plotting.plot_edits(ccvae, x[:NUM_IMAGES], ccvae.label_names[:NUM_LABELS]),
        "interpolations": plotting.plot_interpolations(ccvae, x[:NUM_PAIRS], x[-NUM_PAIRS:]),
    }
    # Those with classes have a figure of their own each.
    lines = [label.name for label in ccvae.labels if not isinstance(label, Categorical)]
    if lines:
        figures["walk"] = plotting.plot_walk(ccvae, x[0], lines)
    binary = [label.name for label in ccvae.labels if isinstance(label, Binary)]
    if binary:
        figures["confusion"] = plotting.plot_confusion(per_label)
        figures["variations"] = plotting.plot_variations(ccvae, x[0], binary[:NUM_LABELS])
        *others, plain = plainest(ccvae, x[:NUM_IMAGES], binary)
        figures["swaps"] = draw_swaps(ccvae, x, y, plain)
        if others:
            figures["walk_2d"] = plotting.plot_walk_2d(ccvae, x[0], (others[0], plain))
    captions = dict(CAPTIONS)
    for label in ccvae.labels:
        if isinstance(label, Categorical):
            figures |= draw_classes(ccvae, x, label, per_label[label.name]["confusion"])
            of_label = {f"{key}_{label.name}": text for key, text in OF_CLASSES.items()}
            captions |= {name: text.format(label.name) for name, text in of_label.items()}
    files = {}
    for name, figure in figures.items():
        files[captions[name]] = folder / f"{name}.png"
        with atomic_write(folder / f"{name}.png") as part:
            figure.savefig(part, dpi=110)
    return files


def draw_classes(
    ccvae: ccvae_pyro.CCVAE, x: Tensor, label: Categorical, confusion: list[list[int]]
) -> dict[str, Figure]:
    """The figures of a label with classes."""
    figures = {f"classes_{label.name}": plotting.plot_class_walk(ccvae, x[0], label.name)}
    if confusion:  # there is none where no test image has the label
        matrix = plotting.plot_class_confusion(label, confusion)
        figures[f"confusion_{label.name}"] = matrix
    return figures


def draw_swaps(ccvae: ccvae_pyro.CCVAE, x: Tensor, y: Tensor, label: str) -> Figure:
    """Images with the characteristic of donors that have a label, and of some that have not."""
    has_label = y[:, ccvae.label_names.index(label)] >= 0.5
    donors = torch.cat([x[has_label][:NUM_PAIRS], x[~has_label][-2:]])
    images = x if has_label.all() else x[~has_label]
    return plotting.plot_swaps(ccvae, images[:NUM_PAIRS], donors, label)


def orders_of(ccvae: ccvae_pyro.CCVAE, y: Tensor) -> Tensor:
    """Labels to generate to: those of some images, or each class of the first label with any."""
    for column, label in enumerate(ccvae.labels):
        if isinstance(label, Categorical):
            orders = y[:1].repeat(len(label.classes), 1)
            orders[:, column] = orders.new_tensor(range(len(label.classes)))
            return orders
    return y[:NUM_IMAGES]


def plainest(ccvae: ccvae_pyro.CCVAE, x: Tensor, names: list[str]) -> list[str]:
    """The two labels that change images the most."""
    ends = {name: ccvae_pyro.walk(ccvae, x, name, num_steps=2) for name in names}
    change = {name: float((end[:, 1] - end[:, 0]).abs().mean()) for name, end in ends.items()}
    return sorted(names, key=change.__getitem__)[-2:]
