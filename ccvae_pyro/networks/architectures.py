"""Encoder and decoder networks for images, and a small network for vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from ccvae_pyro.networks._sizes import check_sizes, halvings
from ccvae_pyro.networks.layers import (
    FromPoint,
    Network,
    ToImage,
    ToPixels,
    ToPoint,
    Upsample,
    double,
    halve,
)


def keep_signal(network: Network) -> Network:
    """Initializes weights so that activations keep their scale in every layer (He et al., 2015).

    With PyTorch's default initialization the scale shrinks from layer to layer. After five
    convolutions the features of all images are nearly equal, which costs the first epochs. The
    standard deviation of the weights follows from the number of inputs of each output; for a
    transposed convolution with a stride this number is smaller than the size of its kernel.
    """
    for layer in network:
        if isinstance(layer, nn.ConvTranspose2d):
            taps = math.prod(layer.kernel_size) // math.prod(layer.stride)
            num_inputs = layer.in_channels * (1 if isinstance(layer, FromPoint) else taps)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            num_inputs = layer.weight[0].numel()
        else:
            continue
        nn.init.normal_(layer.weight, std=(2 / num_inputs) ** 0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return network


def encoder_64(out_features: int, *, in_channels: int = 3) -> Network:
    """The paper's encoder of 64x64 images: five convolutions and one linear layer.

    It maps shape ``(batch, in_channels, 64, 64)`` to ``(batch, out_features)``.
    """
    return encoder_conv(out_features, image_shape=(in_channels, 64, 64))


def decoder_64(z_dim: int, *, out_channels: int = 3) -> Network:
    """The mirror image of :func:`encoder_64`; it returns the logits of the pixels.

    It maps shape ``(batch, z_dim)`` to ``(batch, out_channels, 64, 64)``.
    """
    return decoder_conv(z_dim, image_shape=(out_channels, 64, 64))


def encoder_conv(out_features: int, *, image_shape: Sequence[int] = (3, 64, 64)) -> Network:
    """The paper's encoder, for images of any size.

    Each convolution halves height and width, until the shorter side has at most 4 pixels. 64x64
    images take four of them, as in the paper, and 128x128 images five. It maps shape
    ``(batch, *image_shape)`` to ``(batch, out_features)``.

    :param image_shape: ``(channels, height, width)`` of an image; each side at least 8 pixels.
    :raises ValueError: if a size is not a whole number, or too small.
    """
    check_sizes(out_features=out_features)
    sides, widths = _paper_stages(image_shape)
    layers: list[nn.Module] = []
    for (before, after), side in zip(pairwise((image_shape[0], *widths)), sides, strict=False):
        layers += [halve(before, after, side), nn.ReLU(inplace=True)]
    layers += [ToPoint(widths[-1], 256, sides[-1]), nn.ReLU(inplace=True)]
    return keep_signal(Network(*layers, nn.Flatten(), nn.Linear(256, out_features)))


def decoder_conv(z_dim: int, *, image_shape: Sequence[int] = (3, 64, 64)) -> Network:
    """The mirror image of :func:`encoder_conv`; it returns the logits of the pixels.

    It maps shape ``(batch, z_dim)`` to ``(batch, *image_shape)``.
    """
    check_sizes(z_dim=z_dim)
    sides, widths = _paper_stages(image_shape)
    layers: list[nn.Module] = [nn.Linear(z_dim, 256), ToImage(256, 1, 1), nn.ReLU(inplace=True)]
    layers += [FromPoint(256, widths[-1], sides[-1]), nn.ReLU(inplace=True)]
    for (before, after), side in zip(pairwise(widths[::-1]), sides[-2:0:-1], strict=True):
        layers += [double(before, after, side), nn.ReLU(inplace=True)]
    return keep_signal(Network(*layers, double(widths[0], image_shape[0], sides[0])))


def _paper_stages(image_shape: Sequence[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Height and width of the image and after each halving, and the channels after each."""
    sides = halvings(image_shape)
    return sides, [32, *(min(32 * 2**stage, 128) for stage in range(len(sides) - 2))]


def encoder_28(out_features: int, *, in_channels: int = 1) -> Network:
    """An encoder of 28x28 images such as MNIST: three convolutions and two linear layers.

    It maps shape ``(batch, in_channels, 28, 28)`` to ``(batch, out_features)``.
    """
    check_sizes(out_features=out_features, in_channels=in_channels)
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
    """The mirror image of :func:`encoder_28`; it returns the logits of the pixels.

    It maps shape ``(batch, z_dim)`` to ``(batch, out_channels, 28, 28)``.
    """
    check_sizes(z_dim=z_dim, out_channels=out_channels)
    layers = (
        nn.Linear(z_dim, 256),
        nn.ReLU(inplace=True),
        nn.Linear(256, 128 * 3 * 3),
        ToImage(128, 3, 3),
        nn.ReLU(inplace=True),
        Upsample(128, 64, 4, stride=2, padding=1, output_padding=1),  # 7 x 7
        nn.ReLU(inplace=True),
        Upsample(64, 32, 4, stride=2, padding=1),  # 14 x 14
        nn.ReLU(inplace=True),
        ToPixels(32, out_channels),  # 28 x 28
    )
    return keep_signal(Network(*layers))


def encoder_mlp(out_features: int, *, side: int = 28, hidden: int = 500) -> Network:
    """An encoder of images with one channel: two hidden layers, no convolutions.

    It maps shape ``(batch, 1, side, side)`` to ``(batch, out_features)``.
    """
    check_sizes(out_features=out_features, side=side, hidden=hidden)
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
    """The mirror image of :func:`encoder_mlp`; it returns the logits of the pixels.

    It maps shape ``(batch, z_dim)`` to ``(batch, 1, side, side)``.
    """
    check_sizes(z_dim=z_dim, side=side, hidden=hidden)
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
    """Two linear layers with a ReLU between them, for vectors."""
    check_sizes(in_features=in_features, out_features=out_features, hidden=hidden)
    return Network(
        nn.Linear(in_features, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, out_features)
    )
