"""Layers that convolutional networks are put together from, and the row that they make."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Network(nn.Sequential):
    """Layers in a row, computed in the precision that :func:`~ccvae_pyro.set_precision` asks for.

    Whatever that is, the output has the dtype of the input, so that a density computed from it
    never sees the lower precision. Images are laid out ``channels_last``, and convolutions follow;
    the weights are not, because Pyro's parameter store would train a contiguous copy of them.

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
    """From ``(batch, channels * height * width)`` to images, laid out ``channels_last``."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = (height, width, channels)

    def forward(self, x: Tensor) -> Tensor:
        image: Tensor = x.unflatten(-1, self.shape)
        return image.permute(0, 3, 1, 2)


class ToPoint(nn.Conv2d):
    """A convolution whose kernel covers the image, as the matrix product that it is."""

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
    """A transposed convolution, whose bias is added on its own.

    The gradient of a bias inside of it was measured to take oneDNN as long as that of the weights.
    """

    bias: nn.Parameter

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        places: Any = (self.stride, self.padding, self.output_padding)
        image = F.conv_transpose2d(x, self.weight, None, *places)
        return image.add_(self.bias.to(image.dtype)[:, None, None])


class ToPixels(nn.ConvTranspose2d):
    r"""A transposed convolution to a few channels: a kernel of 4 in steps of 2, with padding 1.

    Each two rows of pixels, and each two columns, see two of ``x``. So it is a convolution with
    a kernel of 2 to the four pixels of a square, whose channels are then as many as processors
    like to have.
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


def set_precision(module: nn.Module, dtype: torch.dtype) -> None:
    """Sets the precision in which every :class:`Network` within ``module`` computes.

    :param dtype: ``torch.float32`` or any wider type for the parameters' own, or
        ``torch.bfloat16`` for autocast. Parameters and densities stay as they are either way.
    """
    for part in module.modules():
        if isinstance(part, Network):
            part.autocast_dtype = dtype if dtype == torch.bfloat16 else None


def compile_networks(module: nn.Module) -> None:
    """Has every :class:`Network` within ``module`` compiled, at its next call.

    That takes some seconds each, and again for another size of batches. Parameters, their names
    and checkpoints stay as they are.
    """
    for part in module.modules():
        if isinstance(part, Network):
            part.compile()
