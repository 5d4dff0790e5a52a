"""The figures of a trained model that an example writes, with their captions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

import ccvae_pyro
from ccvae_pyro import plotting
from ccvae_pyro.data import Batches
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.names import slugs
from ccvae_pyro.evaluation import CategoricalMetrics, LabelMetrics
from ccvae_pyro.labels import Binary, Categorical
from ccvae_pyro.training import TrainingResult

NUM_IMAGES, NUM_PAIRS = 8, 5  # at most, in a figure
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
CATEGORICAL_CAPTIONS = {
    "classes": "Interpolations from one test image to each class of {}.",
    "confusion": "Confusion matrix of {} on test images: shares of each true class.",
}


def draw(
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    result: TrainingResult,
    per_label: Mapping[str, LabelMetrics],
    folder: Path,
) -> dict[str, Path]:
    """Draws every figure, of held-out images; returns the files by their captions."""
    x, y = next(batches.held_out("test"))
    y = ccvae_pyro.impute(ccvae, x, y)
    reconstructions = result.reconstructions
    num_reconstructed = len(next(iter(reconstructions.values())))
    reconstructed = next(batches.held_out("valid"))[0][:num_reconstructed]
    figures = {
        "history": plotting.plot_history(result.history),
        "reconstructions": plotting.plot_reconstructions(reconstructed, reconstructions),
        "samples": plotting.plot_samples(ccvae, labels_to_generate(ccvae, y)),
        "edits": plotting.plot_edits(ccvae, x[:NUM_IMAGES], ccvae.label_names),
        "interpolations": plotting.plot_interpolations(ccvae, x[:NUM_PAIRS], x[-NUM_PAIRS:]),
    }
    # Each categorical label has figures of its own.
    walked = [label.name for label in ccvae.labels if not isinstance(label, Categorical)]
    if walked:
        figures["walk"] = plotting.plot_walk(ccvae, x[0], walked)
    binary = [label.name for label in ccvae.labels if isinstance(label, Binary)]
    if binary:
        figures["confusion"] = plotting.plot_confusion(per_label)
        figures["variations"] = plotting.plot_variations(ccvae, x[0], binary)
        *others, strongest = most_visible(ccvae, x[:NUM_IMAGES], binary)
        figures["swaps"] = draw_swaps(ccvae, x, y, strongest)
        if others:
            figures["walk_2d"] = plotting.plot_walk_2d(ccvae, x[0], (others[0], strongest))
    captions = dict(CAPTIONS)
    categorical = [label for label in ccvae.labels if isinstance(label, Categorical)]
    names = slugs(label.name for label in categorical)
    for label, name in zip(categorical, names, strict=True):
        for key, figure in draw_classes(ccvae, x, label, per_label[label.name]).items():
            figures[f"{key}_{name}"] = figure
            captions[f"{key}_{name}"] = CATEGORICAL_CAPTIONS[key].format(label.name)
    files = {}
    for name, figure in figures.items():
        files[captions[name]] = folder / f"{name}.png"
        with atomic_write(folder / f"{name}.png") as part:
            figure.savefig(part, dpi=110)
    return files


def draw_classes(
    ccvae: ccvae_pyro.CCVAE, x: Tensor, label: Categorical, metrics: LabelMetrics
) -> dict[str, Figure]:
    """The figures of a categorical label, by their captions' keys."""
    figures = {"classes": plotting.plot_class_walk(ccvae, x[0], label.name)}
    # The confusion matrix is empty if the label is missing for all test images.
    if isinstance(metrics, CategoricalMetrics) and metrics.confusion:
        figures["confusion"] = plotting.plot_class_confusion(label, metrics.confusion)
    return figures


def draw_swaps(ccvae: ccvae_pyro.CCVAE, x: Tensor, y: Tensor, label: str) -> Figure:
    """Swaps with donors that have a label, and with two donors that do not."""
    has_label = y[:, ccvae.label_names.index(label)] >= 0.5
    donors = torch.cat([x[has_label][:NUM_PAIRS], x[~has_label][-2:]])
    images = x if has_label.all() else x[~has_label]
    return plotting.plot_swaps(ccvae, images[:NUM_PAIRS], donors, label)


def labels_to_generate(ccvae: ccvae_pyro.CCVAE, y: Tensor) -> Tensor:
    """The label vectors of some images, or each class of the first categorical label."""
    for column, label in enumerate(ccvae.labels):
        if isinstance(label, Categorical):
            vectors = y[:1].repeat(len(label.classes), 1)
            vectors[:, column] = vectors.new_tensor(range(len(label.classes)))
            return vectors
    return y[:NUM_IMAGES]


def most_visible(ccvae: ccvae_pyro.CCVAE, x: Tensor, names: list[str]) -> list[str]:
    """The two labels that change images most, the strongest last."""
    ends = {name: ccvae_pyro.walk(ccvae, x, name, num_steps=2) for name in names}
    change = {name: float((end[:, 1] - end[:, 0]).abs().mean()) for name, end in ends.items()}
    return sorted(names, key=change.__getitem__)[-2:]
