"""Images moved and warped at random, so that a few with labels stand for many."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def warped(x: Tensor, shift: int, warp: float, rng: np.random.Generator) -> Tensor:
    r"""Images, each changed its own way; what comes into sight repeats the edge.

    A pixel at :math:`u`, from the center, shows what was at :math:`A u + b`. Entries of
    :math:`A - I` are uniform within ``warp`` of zero, which turns, stretches and slants, and those
    of :math:`b` within ``shift`` pixels.

    :param x: shape ``(batch, channels, height, width)``.
    :param shift: how far to move along each axis at most; by whole pixels, if there is no warp.
    :param warp: how far entries are from those of the identity at most.
    """
    if not warp:
        return _moved(x, shift, rng)
    by = rng.uniform(-1, 1, size=(len(x), 2, 3))
    linear = np.eye(2) + warp * by[:, :, :2]
    half_size = np.array(x.shape[:1:-1])[:, None] / 2  # of width and height: the unit of a grid
    maps = torch.from_numpy(np.concatenate([linear, shift * by[:, :, 2:] / half_size], axis=2))
    grid = F.affine_grid(maps.to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _moved(x: Tensor, far: int, rng: np.random.Generator) -> Tensor:
    """Images, each moved its own way by up to ``far`` pixels."""
    padded = F.pad(x, (far,) * 4, mode="replicate").permute(0, 2, 3, 1)
    down, right = torch.from_numpy(rng.integers(2 * far + 1, size=(2, len(x), 1))).to(x.device)
    height, width = (torch.arange(size, device=x.device) for size in x.shape[2:])
    image = torch.arange(len(x), device=x.device)[:, None, None]
    return padded[image, (down + height)[:, :, None], (right + width)[:, None]].permute(0, 3, 1, 2)
