"""Networks: tensor in, tensor out. Nothing here knows of probability."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Network(nn.Sequential):
    """Layers in a row, computed in the precision that :func:`set_precision` asks for.

    Whatever that is, the output has the dtype of the input, so that a density computed from it
    never sees the lower precision. Images are laid out ``channels_last``, and convolutions follow;
    the weights are not, because Pyro's parameter store would train a contiguous copy of them.

    Example:

        >>> mlp(4, 2)(torch.zeros(3, 4)).shape
        torch.Size([3, 2])
    """

    autocast_dtype: torch.dtype | None = None

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            x = x.to(memory_format=torch.channels_last)
        if self.autocast_dtype is None:
            return super().forward(x)
        with torch.autocast(x.device.type, dtype=self.autocast_dtype):
            return super().forward(x).to(x.dtype)


class _ToImage(nn.Module):
    """From ``(batch, channels * height * width)`` to images, laid out ``channels_last``."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = (height, width, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, self.shape).permute(0, 3, 1, 2)


class _ToPoint(nn.Conv2d):
    """A convolution whose kernel covers the image, as the matrix product that it is."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.weight.flatten(1), self.bias)[..., None, None]


class _FromPoint(nn.ConvTranspose2d):
    """The mirror image of :class:`_ToPoint`: from one point to an image of the kernel's size."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        image = (x.flatten(1) @ self.weight.flatten(1)).unflatten(1, self.weight.shape[1:])
        return (image + self.bias[:, None, None]).contiguous(memory_format=torch.channels_last)


def set_precision(module: nn.Module, dtype: torch.dtype) -> None:
    """Sets the precision in which every :class:`Network` within ``module`` computes.

    :param dtype: ``torch.float32`` or any wider type for the parameters' own, or
        ``torch.bfloat16`` for autocast. Parameters and densities stay as they are either way.
    """
    for part in module.modules():
        if isinstance(part, Network):
            part.autocast_dtype = dtype if dtype == torch.bfloat16 else None


def keep_signal(network: Network) -> Network:
    """Starts weights so that a signal keeps its size from layer to layer (He et al., 2015).

    PyTorch's own start lets it shrink, and through five convolutions that makes all images look
    alike for the first epochs. Here the inputs of an output are counted as they are, and those of
    a transposed convolution are fewer than its kernel has weights.
    """
    for layer in network:
        if isinstance(layer, nn.ConvTranspose2d):
            taps = math.prod(layer.kernel_size) // math.prod(layer.stride)
            num_inputs = layer.in_channels * (1 if isinstance(layer, _FromPoint) else taps)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            num_inputs = layer.weight[0].numel()
        else:
            continue
        nn.init.normal_(layer.weight, std=(2 / num_inputs) ** 0.5)
        nn.init.zeros_(layer.bias)
    return network


def encoder_64(out_features: int, *, in_channels: int = 3) -> Network:
    """The paper's encoder of 64x64 images: five convolutions and one linear layer.

    From shape ``(batch, in_channels, 64, 64)`` to ``(batch, out_features)``.
    """
    layers = (
        nn.Conv2d(in_channels, 32, 4, stride=2, padding=1),  # 32 x 32
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 32, 4, stride=2, padding=1),  # 16 x 16
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 4, stride=2, padding=1),  # 8 x 8
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 128, 4, stride=2, padding=1),  # 4 x 4
        nn.ReLU(inplace=True),
        _ToPoint(128, 256, 4),  # 1 x 1
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(256, out_features),
    )
    return keep_signal(Network(*layers))


def decoder_64(z_dim: int, *, out_channels: int = 3) -> Network:
    """The mirror image of :func:`encoder_64`, up to the logit of each pixel.

    From shape ``(batch, z_dim)`` to ``(batch, out_channels, 64, 64)``.
    """
    layers = (
        nn.Linear(z_dim, 256),
        _ToImage(256, 1, 1),
        nn.ReLU(inplace=True),
        _FromPoint(256, 128, 4),  # 4 x 4
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1),  # 8 x 8
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),  # 16 x 16
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),  # 32 x 32
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(32, out_channels, 4, stride=2, padding=1),  # 64 x 64
    )
    return keep_signal(Network(*layers))


def encoder_28(out_features: int, *, in_channels: int = 1) -> Network:
    """An encoder of 28x28 images, such as MNIST's: three convolutions and two linear layers.

    From shape ``(batch, in_channels, 28, 28)`` to ``(batch, out_features)``.
    """
    layers = (
        nn.Conv2d(in_channels, 32, 4, stride=2, padding=1),  # 14 x 14
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 4, stride=2, padding=1),  # 7 x 7
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 128, 4, stride=2, padding=1),  # 3 x 3
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(128 * 3 * 3, 256),
        nn.ReLU(inplace=True),
        nn.Linear(256, out_features),
    )
    return keep_signal(Network(*layers))


def decoder_28(z_dim: int, *, out_channels: int = 1) -> Network:
    """The mirror image of :func:`encoder_28`, up to the logit of each pixel.

    From shape ``(batch, z_dim)`` to ``(batch, out_channels, 28, 28)``.
    """
    layers = (
        nn.Linear(z_dim, 256),
        nn.ReLU(inplace=True),
        nn.Linear(256, 128 * 3 * 3),
        _ToImage(128, 3, 3),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1, output_padding=1),  # 7 x 7
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),  # 14 x 14
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(32, out_channels, 4, stride=2, padding=1),  # 28 x 28
    )
    return keep_signal(Network(*layers))


def encoder_mlp(out_features: int, *, side: int = 28, hidden: int = 500) -> Network:
    """An encoder without convolutions of images of one channel: two hidden layers.

    From shape ``(batch, 1, side, side)`` to ``(batch, out_features)``.
    """
    layers = (
        nn.Flatten(),
        nn.Linear(side**2, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, out_features),
    )
    return keep_signal(Network(*layers))


def decoder_mlp(z_dim: int, *, side: int = 28, hidden: int = 500) -> Network:
    """The mirror image of :func:`encoder_mlp`, up to the logit of each pixel.

    From shape ``(batch, z_dim)`` to ``(batch, 1, side, side)``.
    """
    layers = (
        nn.Linear(z_dim, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, side**2),
        nn.Unflatten(-1, (1, side, side)),
    )
    return keep_signal(Network(*layers))


def mlp(in_features: int, out_features: int, *, hidden: int = 256) -> Network:
    """Two linear layers with a ReLU between them, for data that have no grid."""
    return Network(
        nn.Linear(in_features, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, out_features)
    )
