"""The figures of a trained model that an example writes, with their captions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

import ccvae_pyro
from ccvae_pyro import plotting
from ccvae_pyro.data import Batches
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.names import slugs
from ccvae_pyro.evaluation import CategoricalMetrics, LabelMetrics
from ccvae_pyro.labels import Binary, Categorical, Classes, Continuous
from ccvae_pyro.training import TrainingResult

NUM_IMAGES, NUM_PAIRS = 8, 5  # at most, in a figure
MAX_IMAGES = 200  # held-out images that figures are drawn from
MAX_CLASSES = 26  # of which images are generated
CAPTIONS = {
    "history": "Training loss, and metrics on validation images, by epoch.",
    "reconstructions": "Validation images, and their reconstructions after several epochs.",
    "samples": "Images generated from the labels beside them.",
    "edits": "Test images with one label at a time set to another value: + to true, - to false.",
    "walk": "Walks from one test image along the characteristics of one label at a time.",
    "swaps": "Test images, on the left, with the characteristics of the donors above.",
    "variations": "Samples of one label's characteristics, and the standard deviation of pixels.",
    "interpolations": "Interpolations between pairs of test images in all latents.",
    "confusion": "Share of test images for which each label is predicted, by its true value.",
    "walk_2d": "A walk from one test image along the characteristics of two labels.",
}
# The section of the report that each figure is in.
HEADINGS = {
    "history": "Training",
    "reconstructions": "Reconstructions",
    "interpolations": "Reconstructions",
    "samples": "Generated images",
    "variations": "Generated images",
    "edits": "Edited images",
    "walk": "Edited images",
    "classes": "Edited images",
    "swaps": "Edited images",
    "walk_2d": "Edited images",
    "confusion": "Predicted labels",
}
CATEGORICAL_CAPTIONS = {
    "classes": "Interpolations from one test image to each class of {}.",
    "confusion": "Confusion matrix of {} on test images: shares of each true class.",
}


# Draws a figure when it is called.
Draw = Callable[[], Figure]


def draw(
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    result: TrainingResult,
    per_label: Mapping[str, LabelMetrics],
    folder: Path,
) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Draws every figure that there are held-out images for.

    :returns: by heading, the files by their captions; and a line for each figure that could not be
        drawn.
    """
    captions, headings = dict(CAPTIONS), dict(HEADINGS)
    figures: dict[str, Draw] = {"history": partial(plotting.plot_history, result.history)}
    if result.reconstructions:
        figures["reconstructions"] = partial(draw_reconstructions, batches, result)
    splits = batches.data.splits
    if split := next((name for name in ("test", "valid") if len(splits[name])), None):
        rows = splits[split]  # evenly spaced: neighbors may be alike, as poses of one person
        rows = rows[np.linspace(0, len(rows) - 1, min(MAX_IMAGES, len(rows))).astype(int)]
        x, y = batches.data.batch(rows, batches.device)
        figures |= figures_of_images(ccvae, x, ccvae_pyro.impute(ccvae, x, y), per_label)
        categorical = [label for label in ccvae.labels if isinstance(label, Classes)]
        for label, slug in zip(categorical, slugs(each.name for each in categorical), strict=True):
            drawn = figures_of_classes(ccvae, x, label, per_label.get(label.name))
            for key, draw_figure in drawn.items():
                figures[f"{key}_{slug}"] = draw_figure
                captions[f"{key}_{slug}"] = CATEGORICAL_CAPTIONS[key].format(label.name)
                headings[f"{key}_{slug}"] = HEADINGS[key]
    return write(figures, captions, headings, folder)


def write(
    figures: Mapping[str, Draw],
    captions: Mapping[str, str],
    headings: Mapping[str, str],
    folder: Path,
) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Draws figures into files; returns what :func:`draw` does."""
    files: dict[str, dict[str, Path]] = {heading: {} for heading in headings.values()}
    failures = []
    for name, draw_figure in figures.items():
        try:
            with atomic_write(folder / f"{name}.png") as part:
                draw_figure().savefig(part, dpi=110)
            files[headings[name]][captions[name]] = folder / f"{name}.png"
        except Exception as error:  # a figure is not worth the report and the other figures
            reason = str(error).partition("\n")[0]
            failures.append(f"the figure {name!r} is left out: {type(error).__name__}: {reason}")
    return {heading: drawn for heading, drawn in files.items() if drawn}, failures


def figures_of_images(
    ccvae: ccvae_pyro.CCVAE, x: Tensor, y: Tensor, per_label: Mapping[str, LabelMetrics]
) -> dict[str, Draw]:
    """The figures of images and of all labels but the categorical ones, which have their own."""
    figures: dict[str, Draw] = {
        "samples": lambda: plotting.plot_samples(ccvae, labels_to_generate(ccvae, y)),
        "edits": lambda: plotting.plot_edits(ccvae, x[:NUM_IMAGES], ccvae.label_names),
        "interpolations": lambda: plotting.plot_interpolations(
            ccvae, x[:NUM_PAIRS], x[-NUM_PAIRS:]
        ),
    }
    walked = [label.name for label in ccvae.labels if not isinstance(label, Categorical)]
    if walked:
        figures["walk"] = lambda: plotting.plot_walk(ccvae, x[0], walked)
    binary = [label.name for label in ccvae.labels if isinstance(label, Binary)]
    if binary:
        if per_label:
            figures["confusion"] = lambda: plotting.plot_confusion(per_label)
        figures["variations"] = lambda: plotting.plot_variations(ccvae, x[0], binary)
        *others, strongest = most_visible(ccvae, x[:NUM_IMAGES], binary)
        figures["swaps"] = lambda: draw_swaps(ccvae, x, y, strongest)
        if others:
            pair = (others[0], strongest)
            figures["walk_2d"] = lambda: plotting.plot_walk_2d(ccvae, x[0], pair)
    return figures


def figures_of_classes(
    ccvae: ccvae_pyro.CCVAE, x: Tensor, label: Classes, metrics: LabelMetrics | None
) -> dict[str, Draw]:
    """The figures of a categorical or ordinal label, by the keys of their captions."""
    figures: dict[str, Draw] = {
        "classes": lambda: plotting.plot_class_walk(ccvae, x[0], label.name)
    }
    # The confusion matrix is empty if the label is missing for all test images.
    if isinstance(metrics, CategoricalMetrics) and metrics.confusion:
        confusion = metrics.confusion
        figures["confusion"] = lambda: plotting.plot_class_confusion(label, confusion)
    return figures


def draw_reconstructions(batches: Batches, result: TrainingResult) -> Figure:
    """Validation images, and their reconstructions after several epochs."""
    num_images = len(next(iter(result.reconstructions.values())))
    x, _ = next(batches.held_out("valid"))
    return plotting.plot_reconstructions(x[:num_images], result.reconstructions)


def draw_swaps(ccvae: ccvae_pyro.CCVAE, x: Tensor, y: Tensor, label: str) -> Figure:
    """Swaps with donors that have a label, and with two donors that do not."""
    has_label = y[:, ccvae.label_names.index(label)] >= 0.5
    donors = torch.cat([x[has_label][:NUM_PAIRS], x[~has_label][-2:]])
    images = x if has_label.all() else x[~has_label]
    return plotting.plot_swaps(ccvae, images[:NUM_PAIRS], donors, label)


def labels_to_generate(ccvae: ccvae_pyro.CCVAE, y: Tensor) -> Tensor:
    """Label vectors of images that differ as much as possible, so that every label varies.

    There is one for each class of the first label that has some, at most 26 evenly spaced ones.
    """
    columns = [i for i, label in enumerate(ccvae.labels) if isinstance(label, Classes)]
    num_classes = len(ccvae.labels[columns[0]].classes) if columns else 0
    num_vectors = min(max(num_classes, NUM_IMAGES), MAX_CLASSES)
    values = _coarse(ccvae, y)
    chosen: list[int] = []
    while len(chosen) < min(num_vectors, len(y)):
        is_new = [values != values[i] for i in chosen] or [torch.ones_like(values, dtype=bool)]
        # How many values of an image no image before it has, and how much it differs from all.
        scores = torch.stack(is_new).all(0).sum(1) + torch.stack(is_new).double().mean((0, 2))
        scores[chosen] = -1
        chosen.append(int(scores.argmax()))
    vectors = y[chosen].repeat(-(-num_vectors // len(chosen)), 1)[:num_vectors]
    if columns and num_classes >= num_vectors:
        classes = torch.linspace(0, num_classes - 1, num_vectors).round()
        vectors[:, columns[0]] = classes.to(vectors)
    return vectors


def _coarse(ccvae: ccvae_pyro.CCVAE, y: Tensor) -> Tensor:
    """Label vectors with continuous labels in steps of one standard deviation."""
    values = y.clone()
    for column, label in enumerate(ccvae.labels):
        if isinstance(label, Continuous):
            values[:, column] = ((y[:, column] - label.mean) / label.std).round()
    return values


def most_visible(ccvae: ccvae_pyro.CCVAE, x: Tensor, names: list[str]) -> list[str]:
    """The two labels that change images most, the strongest last."""
    ends = {name: ccvae_pyro.walk(ccvae, x, name, num_steps=2) for name in names}
    change = {name: float((end[:, 1] - end[:, 0]).abs().mean()) for name, end in ends.items()}
    return sorted(names, key=change.__getitem__)[-2:]
