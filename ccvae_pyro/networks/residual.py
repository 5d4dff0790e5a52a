"""Residual encoder and decoder networks for images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccvae_pyro.networks._sizes import check_sizes, halvings
from ccvae_pyro.networks.layers import Network, ToImage, double, halve

MAX_GROWTH = 8  # the channels double from stage to stage, up to so many times the first ones


def encoder_residual(
    out_features: int, *, image_shape: Sequence[int] = (3, 64, 64), width: int = 16
) -> Network:
    """An encoder of images: residual blocks, each of which halves height and width.

    The blocks are those of He et al. (2016), with batch normalization and activation before each
    convolution. There are as many as it takes to reduce the shorter side to 4 pixels or
    fewer: four for 64x64 images, five for 128x128. It maps shape ``(batch, *image_shape)`` to
    ``(batch, out_features)``.

    :param image_shape: ``(channels, height, width)`` of an image; each side at least 8 pixels.
    :param width: the channels of the first stage. They double from stage to stage, up to eight
        times as many.
    :raises ValueError: if a size is not a whole number, or too small.

    Example:

        >>> import torch
        >>> encoder_residual(10, image_shape=(1, 28, 28))(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    check_sizes(out_features=out_features, width=width)
    sides, widths = _stages(image_shape, width)
    height, breadth = sides[-1]
    layers = (
        halve(image_shape[0], width, sides[0]),
        *(_Down(before, after) for before, after in pairwise(widths)),
        nn.BatchNorm2d(widths[-1]),
        nn.SiLU(inplace=True),
        nn.Flatten(),
        _small(nn.Linear(widths[-1] * height * breadth, out_features)),
    )
    return Network(*layers)


def decoder_residual(
    z_dim: int, *, image_shape: Sequence[int] = (3, 64, 64), width: int = 16
) -> Network:
    """The mirror image of :func:`encoder_residual`; its output is small at first.

    It maps shape ``(batch, z_dim)`` to ``(batch, *image_shape)``.
    """
    check_sizes(z_dim=z_dim, width=width)
    sides, widths = _stages(image_shape, width)
    height, breadth = sides[-1]
    stages = zip(pairwise(widths[::-1]), sides[-2:0:-1], strict=True)
    layers = (
        nn.Linear(z_dim, widths[-1] * height * breadth),
        ToImage(widths[-1], height, breadth),
        *(_Up(before, after, side) for (before, after), side in stages),
        nn.BatchNorm2d(width),
        nn.SiLU(inplace=True),
        _small(double(width, image_shape[0], sides[0])),
    )
    return Network(*layers)


class _Down(nn.Module):
    """A residual block that halves height and width, rounded up."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.SiLU(),  # not in place: the input is also that of the shortcut
            nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.SiLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        image: Tensor = self.shortcut(x) + self.residual(x)
        return image


class _Up(nn.Module):
    """A residual block that doubles height and width, to a given size."""

    def __init__(self, in_channels: int, out_channels: int, side: tuple[int, int]) -> None:
        super().__init__()
        self.side = side
        self.residual = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.SiLU(),
            double(in_channels, out_channels, side),
            nn.BatchNorm2d(out_channels),
            nn.SiLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        image: Tensor = F.interpolate(self.shortcut(x), size=self.side) + self.residual(x)
        return image


def _stages(image_shape: Sequence[int], width: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Height and width of the image and after each halving, and the channels after each."""
    sides = halvings(image_shape)
    return sides, [width * min(2**stage, MAX_GROWTH) for stage in range(len(sides) - 1)]


def _small(layer: Any) -> Any:
    """A layer whose first outputs are small."""
    with torch.no_grad():
        layer.weight.mul_(0.3)
    return layer
