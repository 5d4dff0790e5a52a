"""A sequential network with a settable precision, and the layers that it is built from."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW_CHANNELS = 4  # up to so many, ToPixels is the faster transposed convolution


class Network(nn.Sequential):
    """A sequence of layers, computed in the precision set by :func:`~ccvae_pyro.set_precision`.

    The output always has the dtype of the input, so that densities are computed in full precision.
    Input images are converted to the memory format ``channels_last``, which the convolutions keep.
    The weights are not converted, because Pyro's parameter store would train a contiguous copy.

    Example:

        >>> Network(nn.Linear(4, 2))(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """

    autocast_dtype: torch.dtype | None = None

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            x = x.to(memory_format=torch.channels_last)
        if self.autocast_dtype is None:
            features: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
            return features
        with torch.autocast(x.device.type, dtype=self.autocast_dtype):
            features = super().forward(x)  # type: ignore[no-untyped-call]
        return features.to(x.dtype)


class ToImage(nn.Module):
    """Reshapes ``(batch, channels * height * width)`` to images in ``channels_last`` format."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = (height, width, channels)

    def forward(self, x: Tensor) -> Tensor:
        image: Tensor = x.unflatten(-1, self.shape)
        return image.permute(0, 3, 1, 2)


class ToPoint(nn.Conv2d):
    """A convolution whose kernel covers the whole image, computed as a matrix product."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.weight.flatten(1), self.bias)[..., None, None]


class FromPoint(nn.ConvTranspose2d):
    """The mirror image of :class:`ToPoint`: from one point to an image of the kernel's size."""

    bias: nn.Parameter

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        image: Tensor = (x.flatten(1) @ self.weight.flatten(1)).unflatten(1, self.weight.shape[1:])
        image = image + self.bias.to(image.dtype)[:, None, None]
        return image.contiguous(memory_format=torch.channels_last)


class Upsample(nn.ConvTranspose2d):
    """A transposed convolution whose bias is added in a separate operation.

    If the bias is part of the convolution, oneDNN takes as long for its gradient as for that of
    the weights.
    """

    bias: nn.Parameter

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        geometry: Any = (self.stride, self.padding, self.output_padding)
        image = F.conv_transpose2d(x, self.weight, None, *geometry)
        return image.add_(self.bias.to(image.dtype)[:, None, None])


class ToPixels(nn.ConvTranspose2d):
    """A transposed convolution to few channels, with kernel size 4, stride 2 and padding 1.

    Each square of two by two output pixels depends on two by two pixels of ``x``. The layer is
    therefore computed as a convolution with kernel size 2 and four times as many output channels,
    which is faster than one with few channels.
    """

    bias: nn.Parameter

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        taps = self.weight.unflatten(3, (2, 2)).unflatten(2, (2, 2))  # in, out, row, a, column, b
        kernel = taps.flip(2, 4).permute(3, 5, 1, 0, 2, 4).flatten(0, 2)
        squares: Tensor = F.conv2d(x, kernel, self.bias.repeat(4), padding=1).permute(0, 2, 3, 1)
        rows = squares.unflatten(-1, (2, 2, -1)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        image: Tensor = rows[:, 1:-1, 1:-1].permute(0, 3, 1, 2)
        return image


def halve(in_channels: int, out_channels: int, side: tuple[int, int]) -> nn.Conv2d:
    """A convolution with kernel size 4 and stride 2: it halves a given height and width.

    Half of an odd side is rounded up.
    """
    odd_height, odd_width = (length % 2 for length in side)
    padding = 1 + odd_height, 1 + odd_width
    return nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=padding)


def double(in_channels: int, out_channels: int, side: tuple[int, int]) -> nn.ConvTranspose2d:
    """The mirror image of :func:`halve`: a transposed convolution to a given height and width."""
    odd = odd_height, odd_width = side[0] % 2, side[1] % 2
    if out_channels <= FEW_CHANNELS and odd == (0, 0):
        return ToPixels(in_channels, out_channels)
    padding = 1 + odd_height, 1 + odd_width
    return Upsample(in_channels, out_channels, 4, stride=2, padding=padding, output_padding=odd)


def set_precision(module: nn.Module, dtype: torch.dtype) -> None:
    """Sets the precision in which every :class:`Network` within ``module`` computes.

    Parameters and densities keep their dtype.

    :param dtype: ``torch.bfloat16`` for autocast; any other dtype turns autocast off, so that
        networks compute in the dtype of their parameters.
    """
    for part in module.modules():
        if isinstance(part, Network):
            part.autocast_dtype = dtype if dtype == torch.bfloat16 else None


def compile_networks(module: nn.Module) -> None:
    """Compiles every :class:`Network` within ``module`` at its next call.

    Compilation takes a few seconds per network, and is repeated for a new batch size. Parameters,
    their names and checkpoints do not change.
    """
    for part in module.modules():
        if isinstance(part, Network):
            part.compile()
