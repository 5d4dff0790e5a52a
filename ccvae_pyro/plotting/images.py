"""Figures of images: what a trained model makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ccvae_pyro.interventions.edit import edit, generate, reconstruct
from ccvae_pyro.interventions.predict import predict
from ccvae_pyro.interventions.traverse import interpolate_to_label, walk
from ccvae_pyro.labels import Binary, Categorical, Continuous, Label, index_of
from ccvae_pyro.models.ccvae import CCVAE
from ccvae_pyro.plotting.grid import draw_grid, spaced


def plot_reconstructions(images: Tensor, reconstructions: dict[int, Tensor]) -> Figure:
    """The same images, and what became of them after each of several epochs.

    :param images: shape ``(batch, channels, height, width)``, in [0, 1].
    :param reconstructions: by epoch; uint8 or in [0, 1].
    """
    rows = [images, *reconstructions.values()]
    return draw_grid(rows, ["images", *(f"epoch {epoch}" for epoch in reconstructions)])


def plot_walk(ccvae: CCVAE, x: Tensor, labels: Sequence[str | int], num_steps: int = 9) -> Figure:
    """One image, a row for each label: its characteristics go through the label's values.

    :param x: one image, shape ``(channels, height, width)``.
    """
    rows = [walk(ccvae, x[None], label, num_steps=num_steps)[0] for label in labels]
    kinds = [ccvae.label_of(label) for label in labels]
    if all(isinstance(kind, Binary) for kind in kinds):
        titles = ["without", *[""] * (num_steps - 2), "with"]
        return draw_grid(rows, [spaced(kind.name) for kind in kinds], titles)
    return draw_grid(rows, [f"{spaced(kind.name)}\n{_ends(kind)}" for kind in kinds])


def plot_class_walk(ccvae: CCVAE, x: Tensor, label: str | int, num_steps: int = 8) -> Figure:
    """One image on its way to each class of a label, a row for each.

    :param x: one image, shape ``(channels, height, width)``.
    """
    classes = ccvae.label_of(label).classes
    rows = [
        interpolate_to_label(ccvae, x[None], label, name, num_steps=num_steps)[0]
        for name in classes
    ]
    rows = [torch.cat([x[None].to(row), row]) for row in rows]
    titles = ["image", "recon-\nstruction", *[""] * (num_steps - 2), "as that\nclass"]
    return draw_grid(rows, [spaced(name) for name in classes], titles)


def plot_walk_2d(
    ccvae: CCVAE, x: Tensor, labels: tuple[str | int, str | int], num_steps: int = 7
) -> Figure:
    """One image while two characteristics change, one along each axis.

    :param x: one image, shape ``(channels, height, width)``.
    """
    down, across = (ccvae.label_of(label) for label in labels)
    rows = walk(ccvae, x[None], labels, num_steps=num_steps)[0]
    names, titles = ([""] * num_steps for _ in range(2))
    names[0], names[-1] = (text.replace("\n", " ") for text in _first_and_last(down))
    titles[0], titles[-1] = _first_and_last(across)
    return draw_grid(rows, names, titles)


def plot_samples(ccvae: CCVAE, y: Tensor, num_samples: int = 8) -> Figure:
    """Images generated to order: a row for each order, which is written beside it.

    :param y: the orders, shape ``(num_orders, num_labels)``.
    """
    rows = generate(ccvae, y.repeat_interleave(num_samples, dim=0)).unflatten(0, (len(y), -1))
    names = []
    for order in y.tolist():
        said = [_said(kind, value) for kind, value in zip(ccvae.labels, order, strict=True)]
        names.append("\n".join(text for text in said if text) or "none")
    return draw_grid(rows, names)


def plot_edits(ccvae: CCVAE, x: Tensor, labels: Sequence[str | int]) -> Figure:
    """Images, their reconstructions, and each of several labels set to other values.

    A binary label is turned over: a sign tells, image by image, whether it was taken away or put
    on; its characteristic goes two deviations beyond the mean of the conditional prior. A label
    with classes is set to each of them, and a number to two deviations below and above its mean.
    """
    rows, titles = [x, reconstruct(ccvae, x)], ["image", "recon-\nstruction"]
    signs, found = [torch.zeros(len(x))] * 2, predict(ccvae, x)[0].cpu()
    for label in labels:
        kind = ccvae.label_of(label)
        if isinstance(kind, Binary):
            removed, added = (edit(ccvae, x, label, value, num_std=2) for value in (0, 1))
            had = found[:, index_of(label, ccvae.label_names)] == 1
            rows.append(torch.where(had[:, None, None, None].to(x.device), removed, added))
            signs.append(torch.where(had, -1.0, 1.0))
            titles.append(spaced(kind.name).replace(" ", "\n"))
            continue
        values = kind.classes if isinstance(kind, Categorical) else _range(kind)
        rows += [edit(ccvae, x, label, value) for value in values]
        signs += [torch.zeros(len(x))] * len(values)
        titles += [_said(kind, value).replace(" ", "\n") for value in values]
    columns = torch.stack([row.cpu() for row in rows], dim=1)
    return draw_grid(columns, [""] * len(x), titles, torch.stack(signs, dim=1))


def _range(kind: Continuous) -> tuple[float, float]:
    return kind.mean - 2 * kind.std, kind.mean + 2 * kind.std


def _said(kind: Label, value: float | str) -> str:
    """A label's value in words; nothing where it is false."""
    if isinstance(kind, Categorical):
        return spaced(value if isinstance(value, str) else kind.classes[int(value)])
    if isinstance(kind, Continuous):
        return f"{spaced(kind.name)} {float(value):.3g}"
    return spaced(kind.name) if float(value) >= 0.5 else ""


def _first_and_last(kind: Label) -> tuple[str, str]:
    """Where a walk starts and where it ends."""
    if isinstance(kind, Binary):
        return f"without\n{spaced(kind.name)}", f"with\n{spaced(kind.name)}"
    values = kind.classes if isinstance(kind, Categorical) else _range(kind)
    return _said(kind, values[0]), _said(kind, values[-1])


def _ends(kind: Label) -> str:
    if isinstance(kind, Binary):
        return "without to with"
    if isinstance(kind, Categorical):
        return f"{spaced(kind.classes[0])} to {spaced(kind.classes[-1])}"
    low, high = _range(kind)
    return f"{low:.3g} to {high:.3g}"
