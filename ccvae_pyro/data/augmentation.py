"""Images moved and warped at random, so that a few with labels stand for many."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ccvae_pyro.data.transfer import sent, staged


def draw_moves(num_images: int, shift: int, warp: float, rng: np.random.Generator) -> np.ndarray:
    r"""How each image is to be changed, for :func:`warped`.

    A pixel at :math:`u`, from the center, is to show what was at :math:`A u + b`. Entries of
    :math:`A - I` are uniform within ``warp`` of zero, which turns, stretches and slants, and those
    of :math:`b` within ``shift`` pixels.

    :param shift: how far to move along each axis at most; by whole pixels, if there is no warp.
    :param warp: how far entries are from those of the identity at most.
    :returns: :math:`(A, b)`, right before down, shape ``(num_images, 2, 3)``, or, if there is no
        warp, by how many pixels down and right, shape ``(num_images, 2)``.
    """
    if not warp:
        return rng.integers(2 * shift + 1, size=(2, num_images)).T - shift
    by = rng.uniform(-1, 1, size=(num_images, 2, 3))
    return np.concatenate([np.eye(2) + warp * by[:, :, :2], shift * by[:, :, 2:]], axis=2)


def warped(x: Tensor, moves: np.ndarray) -> Tensor:
    """Images, each changed its own way; what comes into sight repeats the edge.

    :param x: shape ``(batch, channels, height, width)``.
    :param moves: from :func:`draw_moves`.
    """
    if not len(x):
        return x  # affine_grid refuses a batch without images
    return _moved(x, moves) if moves.ndim == 2 else _mapped(x, moves)


def _mapped(x: Tensor, maps: np.ndarray) -> Tensor:
    """Images, each seen through a linear map of its own."""
    unit = np.ones((2, 3))
    unit[:, 2] = np.array(x.shape[:1:-1]) / 2  # half of width and height is 1 in a grid
    in_grid = torch.from_numpy(maps / unit).to(x.dtype)
    grid = F.affine_grid(sent(staged(in_grid, x.device), x.device), list(x.shape), False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _moved(x: Tensor, moves: np.ndarray) -> Tensor:
    """Images, each moved its own way by whole pixels."""
    by = sent(staged(moves, x.device), x.device)
    down, right = (
        (torch.arange(size, device=x.device) + by[:, axis : axis + 1]).clamp(0, size - 1)
        for axis, size in enumerate(x.shape[2:])
    )
    image = torch.arange(len(x), device=x.device)[:, None, None]
    pixels = x.permute(0, 2, 3, 1)
    return pixels[image, down[:, :, None], right[:, None]].permute(0, 3, 1, 2)
