"""Figures of what becomes of two images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ccvae_pyro.interventions.edit import swap
from ccvae_pyro.interventions.traverse import interpolate
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.plotting.grid import draw_grid, spaced


def plot_swaps(
    model: ImageModel,
    x: Tensor,
    donors: Tensor,
    label: str | int | Sequence[str | int] | None = None,
) -> Figure:
    """Every image with the characteristic of every donor: a row for each, a column for each.

    :param x: images, shape ``(num_images, channels, height, width)``.
    :param donors: others, shape ``(num_donors, channels, height, width)``.
    :param label: whose characteristics are swapped, as :func:`~ccvae_pyro.swap` takes it.
    """
    swapped = [swap(model, image[None].expand_as(donors), donors, label) for image in x]
    head = torch.cat([torch.ones_like(x[:1]), donors])
    rows = [head, *(torch.cat([image[None], row]) for image, row in zip(x, swapped, strict=True))]
    labels = [label] if isinstance(label, str | int) else label or []
    of_donor = "\n".join(spaced(model.label_of(name).name) for name in labels) or "all labels"
    return draw_grid(rows, [f"{of_donor}\nfrom:", *[""] * len(x)], ["image", *[""] * len(donors)])


def plot_interpolations(
    model: ImageModel, x: Tensor, others: Tensor, num_steps: int = 8
) -> Figure:
    """Images on their way to others, a row for each pair.

    :param x: images, shape ``(num_images, channels, height, width)``.
    :param others: as many.
    """
    ways = interpolate(model, x, others, num_steps=num_steps)
    triples = zip(x, ways, others, strict=True)
    rows = [torch.cat([start[None], way, end[None]]) for start, way, end in triples]
    titles = ["image", "recon-\nstruction", *[""] * (num_steps - 2), "recon-\nstruction", "image"]
    return draw_grid(rows, [""] * len(x), titles)
