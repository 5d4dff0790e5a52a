"""Figures of the many ways for a label to hold."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ccvae_pyro.evaluation.edit_metrics import pixel_variance
from ccvae_pyro.interventions.edit import sample_variations
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.plotting.grid import draw_grid, spaced


def plot_variations(
    model: ImageModel, x: Tensor, labels: Sequence[str | int], *, num_draws: int = 7
) -> Figure:
    """One image, a row for each binary label: ways for it to hold, and where they differ.

    The last column is the deviation of each pixel over many draws, the brightest of the figure in
    white: where a label is and where it is not.

    :param x: one image, shape ``(channels, height, width)``.
    """
    rows = [
        sample_variations(model, x[None], label, 1.0, num_draws=num_draws)[0] for label in labels
    ]
    spread = [pixel_variance(model, x[None], label, 1.0, num_draws=64).sqrt() for label in labels]
    brightest = torch.stack(spread).max()
    maps = [(each / brightest).expand_as(x)[None] for each in spread]
    rows = [torch.cat([x[None], row, where]) for row, where in zip(rows, maps, strict=True)]
    names = [spaced(model.label_of(label).name) for label in labels]
    titles = ["image", "ways to\nhold", *[""] * (num_draws - 1), "where they\ndiffer"]
    return draw_grid(rows, names, titles)
