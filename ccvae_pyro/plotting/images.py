"""Figures of images: reconstructions, samples, edits, walks, swaps, interpolations, variations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ccvae_pyro.evaluation import pixel_variance
from ccvae_pyro.interventions import (
    edit,
    generate,
    interpolate,
    interpolate_to_label,
    predict,
    reconstruct,
    sample_variations,
    swap,
    walk,
)
from ccvae_pyro.labels import Binary, Classes, Continuous, Label, Ordinal, index_of
from ccvae_pyro.labels._plain_values import plain_int
from ccvae_pyro.models import ImageModel
from ccvae_pyro.plotting.grid import MAX_SHOWN, draw_grid, only_first
from ccvae_pyro.plotting.text import drawn

RECONSTRUCTION = "recon-\nstruction"  # the title of a column
NUM_VARIANCE_SAMPLES = 64
MAX_EDITS, MAX_CLASSES = 22, 10  # columns of edits in all, and of the classes of one label


def plot_reconstructions(images: Tensor, reconstructions: Mapping[int, Tensor]) -> Figure:
    """Images, and their reconstructions after each of several epochs of training.

    :param images: shape ``(batch, channels, height, width)``, in [0, 1].
    :param reconstructions: by epoch; uint8 or in [0, 1].
    """
    rows = [images, *reconstructions.values()]
    return draw_grid(rows, ["images", *(f"epoch {epoch}" for epoch in reconstructions)])


def plot_samples(
    model: ImageModel, y: Tensor, num_samples: int = 8, *, seed: int | None = None
) -> Figure:
    """Images generated from label vectors: a row for each, with its labels on the left.

    :param y: label vectors, shape ``(num_vectors, num_labels)``.
    :param seed: the seed of the samples; by default they are from the global generator.
    """
    num_samples = plain_int(num_samples, "num_samples", minimum=1)
    note, y = only_first(len(y), "label vectors"), y[:MAX_SHOWN]
    images = generate(model, y.repeat_interleave(num_samples, dim=0), seed=seed)
    rows = images.view(len(y), num_samples, *images.shape[1:])
    names = []
    for vector in y.tolist():
        values = [_describe(label, v) for label, v in zip(model.labels, vector, strict=True)]
        names.append("\n".join(value for value in values if value) or "none")
    return draw_grid(rows, names, note=note)


def plot_edits(model: ImageModel, x: Tensor, labels: Sequence[str | int]) -> Figure:
    """Images, their reconstructions, and edits of one label at a time: a row for each image.

    A binary label is set to the opposite of its predicted value, marked by a plus where it is set
    to true and by a minus where it is set to false; its latents go two standard deviations beyond
    the mean of the conditional prior. A categorical or ordinal label is set to each of its first
    ten classes, a continuous label to two standard deviations below and above its mean, within the
    observed range.
    """
    targets, notes = _edits(model, labels)
    notes.append(only_first(len(x), "images"))
    x = x[:MAX_SHOWN]
    columns, titles = [x, reconstruct(model, x)], ["image", RECONSTRUCTION]
    signs, predicted = [torch.zeros(len(x))] * 2, predict(model, x)[0].cpu()
    for name, value in targets:
        label = model.label_of(name)
        titles.append(_describe(label, 1.0 if value is None else value))
        if value is not None:
            columns.append(edit(model, x, name, value))
            signs.append(torch.zeros(len(x)))
            continue
        removed, added = (edit(model, x, name, each, num_std=2) for each in (0, 1))
        is_true = predicted[:, index_of(name, model.label_names)] == 1
        columns.append(torch.where(is_true[:, None, None, None].to(x.device), removed, added))
        signs.append(torch.where(is_true, -1.0, 1.0))
    rows = torch.stack([column.cpu() for column in columns], dim=1)
    note = "; ".join(filter(None, notes))
    return draw_grid(rows, [""] * len(x), titles, torch.stack(signs, dim=1), note)


def plot_swaps(
    model: ImageModel,
    x: Tensor,
    donors: Tensor,
    label: str | int | Sequence[str | int] | None = None,
) -> Figure:
    """Each image (row) with the characteristics of each donor (column).

    :param x: images, shape ``(num_images, channels, height, width)``.
    :param donors: other images, shape ``(num_donors, channels, height, width)``.
    :param label: the label or labels whose characteristics are swapped: see
        :func:`~ccvae_pyro.swap`.
    """
    swapped = [swap(model, image[None].expand_as(donors), donors, label) for image in x]
    head = torch.cat([torch.ones_like(x[:1]), donors])
    rows = [head, *(torch.cat([image[None], row]) for image, row in zip(x, swapped, strict=True))]
    labels = [label] if isinstance(label, str | int) else label or []
    names = "\n".join(drawn(model.label_of(name).name) for name in labels) or "all labels"
    return draw_grid(rows, [f"donors of\n{names}", *[""] * len(x)], ["image", *[""] * len(donors)])


def plot_interpolations(
    model: ImageModel, x: Tensor, others: Tensor, num_steps: int = 8
) -> Figure:
    """Interpolations between pairs of images, a row for each pair.

    :param x: images, shape ``(num_images, channels, height, width)``.
    :param others: images of the same shape.
    """
    paths = interpolate(model, x, others, num_steps=num_steps)
    triples = zip(x, paths, others, strict=True)
    rows = [torch.cat([start[None], path, end[None]]) for start, path, end in triples]
    titles = ["image", RECONSTRUCTION, *[""] * (num_steps - 2), RECONSTRUCTION, "image"]
    return draw_grid(rows, [""] * len(x), titles)


def plot_variations(
    model: ImageModel,
    x: Tensor,
    labels: Sequence[str | int],
    *,
    num_samples: int = 7,
    seed: int | None = None,
) -> Figure:
    """Variations of one image, with each binary label true: a row for each label.

    The latents of the label are sampled from its conditional prior. The last column shows the
    standard deviation of each pixel over many samples, relative to the largest of the figure.

    :param x: one image, shape ``(channels, height, width)``.
    :param seed: the seed of the samples; by default they are from the global generator.
    """
    note, labels = only_first(len(labels), "labels"), labels[:MAX_SHOWN]
    variations = [
        sample_variations(model, x[None], label, 1.0, num_samples=num_samples, seed=seed)[0]
        for label in labels
    ]
    stds = [
        pixel_variance(model, x[None], label, 1.0, num_samples=NUM_VARIANCE_SAMPLES).sqrt()
        for label in labels
    ]
    largest = torch.stack(stds).max()
    maps = [(std / largest).expand_as(x)[None] for std in stds]
    rows = [torch.cat([x[None], *pair]) for pair in zip(variations, maps, strict=True)]
    names = [drawn(model.label_of(label).name) for label in labels]
    titles = ["image", "samples", *[""] * (num_samples - 1), "standard\ndeviation"]
    return draw_grid(rows, names, titles, note=note)


def plot_walk(
    model: ImageModel, x: Tensor, labels: Sequence[str | int], num_steps: int = 9
) -> Figure:
    """Walks from one image: a row for each label, whose latents go through the label's values.

    :param x: one image, shape ``(channels, height, width)``.
    """
    note, labels = only_first(len(labels), "labels"), labels[:MAX_SHOWN]
    rows = [walk(model, x[None], name, num_steps=num_steps)[0] for name in labels]
    walked = [model.label_of(name) for name in labels]
    if all(isinstance(label, Binary) for label in walked):
        titles = ["without", *[""] * (num_steps - 2), "with"]
        return draw_grid(rows, [drawn(label.name) for label in walked], titles, note=note)
    names = []
    for label in walked:
        first, last = ("without", "with") if isinstance(label, Binary) else _range_names(label)
        names.append(f"{drawn(label.name)}\n{first} to {last}")
    return draw_grid(rows, names, note=note)


def plot_walk_2d(
    model: ImageModel, x: Tensor, labels: tuple[str | int, str | int], num_steps: int = 7
) -> Figure:
    """Walks from one image along two labels: the first goes down, the second to the right.

    :param x: one image, shape ``(channels, height, width)``.
    """
    down, right = (model.label_of(label) for label in labels)
    rows = walk(model, x[None], labels, num_steps=num_steps)[0]
    names, titles = ([""] * num_steps for _ in range(2))
    names[0], names[-1] = (name.replace("\n", " ") for name in _ends(down))
    titles[0], titles[-1] = _ends(right)
    return draw_grid(rows, names, titles)


def plot_class_walk(model: ImageModel, x: Tensor, label: str | int, num_steps: int = 8) -> Figure:
    """Interpolations from one image to each class of a label with classes, a row for each.

    :param x: one image, shape ``(channels, height, width)``.
    """
    all_classes = model.label_of(label).classes
    note, classes = only_first(len(all_classes), "classes"), all_classes[:MAX_SHOWN]
    rows = [
        interpolate_to_label(model, x[None], label, name, num_steps=num_steps)[0]
        for name in classes
    ]
    rows = [torch.cat([x[None].to(row), row]) for row in rows]
    titles = ["image", RECONSTRUCTION, *[""] * (num_steps - 2), "target\nclass"]
    return draw_grid(rows, [drawn(name) for name in classes], titles, note=note)


def _edits(
    model: ImageModel, labels: Sequence[str | int]
) -> tuple[list[tuple[str | int, float | str | None]], list[str]]:
    """Labels and their target values, None for the opposite, and notes of what is left out."""
    targets: list[tuple[str | int, float | str | None]] = []
    notes = []
    for name in labels:
        label = model.label_of(name)
        values: Sequence[float | str | None] = (
            [None] if isinstance(label, Binary) else _range(label)
        )
        if isinstance(label, Classes):
            what = f"classes of {drawn(label.name)}"
            notes.append(only_first(len(values), what, MAX_CLASSES))
            values = values[:MAX_CLASSES]
        targets += [(name, value) for value in values]
    notes.append(only_first(len(targets), "edits", MAX_EDITS))
    return targets[:MAX_EDITS], notes


def _range(label: Classes | Continuous) -> Sequence[str] | Sequence[float]:
    """The classes, or the ends of the range of a continuous label."""
    if isinstance(label, Classes):
        return label.classes
    return label.interval(2)


def _range_names(label: Classes | Continuous) -> tuple[str, str]:
    """The first and the last class, or the ends of the range of a continuous label."""
    first, *_, last = _range(label)
    if isinstance(label, Classes):
        return drawn(str(first), 16), drawn(str(last), 16)
    return f"{first:.3g}", f"{last:.3g}"


def _describe(label: Label, value: float | str) -> str:
    """The value of a label in words; empty if a binary label is false."""
    if isinstance(label, Classes):
        name = drawn(value if isinstance(value, str) else label.classes[int(value)])
        return f"{drawn(label.name)} {name}" if isinstance(label, Ordinal) else name
    if isinstance(label, Continuous):
        return f"{drawn(label.name)} {float(value):.3g}"
    return drawn(label.name) if float(value) >= 0.5 else ""


def _ends(label: Label) -> tuple[str, str]:
    """The titles of the start and the end of a walk."""
    if isinstance(label, Binary):
        return f"without\n{drawn(label.name)}", f"with\n{drawn(label.name)}"
    first, *_, last = _range(label)
    return _describe(label, first), _describe(label, last)
