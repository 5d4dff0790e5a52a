"""Published instances: which parts and sizes make one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ccvae_pyro.components import (
    BernoulliDecoder,
    GaussianEncoder,
    LaplaceDecoder,
    StandardNormal,
    label_modules,
)
from ccvae_pyro.labels import Label, binaries, to_plain
from ccvae_pyro.models.ccvae import CCVAE
from ccvae_pyro.networks import (
    decoder_28,
    decoder_64,
    decoder_mlp,
    encoder_28,
    encoder_64,
    encoder_mlp,
)


class Images(NamedTuple):
    """Networks for images of one kind.

    :param encoder: makes one from images to so many features.
    :param decoder: makes a likelihood of images from so many latents.
    """

    encoder: Callable[[int], nn.Module]
    decoder: Callable[[int], nn.Module]


def networks_of(images: str, likelihood_scale: float = 1.0, channels: int = 3) -> Images:
    """The networks of a preset, for however many features and latents.

    :param images: ``"celeba"``, ``"mnist"`` or ``"mlp"``.
    :raises ValueError: if it is none of these.
    """
    if images == "celeba":
        return Images(
            partial(encoder_64, in_channels=channels),
            lambda dim: LaplaceDecoder(decoder_64(dim, out_channels=channels), likelihood_scale),
        )
    if images == "mnist":
        return Images(encoder_28, lambda dim: BernoulliDecoder(decoder_28(dim)))
    if images == "mlp":
        return Images(encoder_mlp, lambda dim: BernoulliDecoder(decoder_mlp(dim)))
    raise ValueError(f"wanted images as celeba, mnist or mlp, got {images!r}")


def celeba(
    num_labels: int = 18,
    z_dim: int = 45,
    label_prior: Tensor | None = None,
    *,
    labels: Sequence[Label] | None = None,
    likelihood_scale: float = 1.0,
    channels: int = 3,
    label_names: Sequence[str] = (),
) -> CCVAE:
    """The paper's CCVAE for 64x64 images, with binary labels or any others.

    :param num_labels: how many binary labels, and so characteristics, there are.
    :param z_dim: the size of ``(z_c, z_style)`` together; what labels do not take is style.
    :param label_prior: the frequency of each label, shape ``(num_labels,)``; one half by default.
    :param labels: labels of any kind, in place of ``num_labels``, ``label_prior`` and
        ``label_names``.
    :param likelihood_scale: the scale of the Laplace at each pixel.
    :param channels: 3 for color, 1 for grey.
    :param label_names: what the labels are called.
    :raises ValueError: if ``z_dim`` leaves no style dimension, or sizes disagree.

    Example:

        >>> ccvae = celeba(num_labels=18, z_dim=45)
        >>> ccvae.encoder(torch.zeros(2, 3, 64, 64))[0].event_shape
        torch.Size([18])
    """
    if labels is None:
        labels = _binaries(num_labels, label_prior, label_names, 0.5)
    networks = networks_of("celeba", likelihood_scale, channels)
    config = {"preset": "celeba", "likelihood_scale": likelihood_scale, "channels": channels}
    return assemble(networks, labels, z_dim, config)


def mnist(
    num_labels: int = 10,
    z_dim: int = 30,
    label_prior: Tensor | None = None,
    *,
    labels: Sequence[Label] | None = None,
    label_names: Sequence[str] = (),
    convolutions: bool = True,
) -> CCVAE:
    """A CCVAE for 28x28 images of one channel.

    :param num_labels: how many binary labels there are: with classes, the number of columns of a
        one-hot ``y``.
    :param z_dim: the size of ``(z_c, z_style)`` together; what labels do not take is style.
    :param label_prior: the frequency of each label, shape ``(num_labels,)``; by default that of
        one class in ``num_labels``.
    :param labels: labels of any kind, in place of the others; for digits, one
        :class:`~ccvae_pyro.Categorical`.
    :param label_names: what the labels are called.
    :param convolutions: whether the networks have any, or are perceptrons.
    :raises ValueError: if ``z_dim`` leaves no style dimension, or sizes disagree.

    Example:

        >>> mnist().decoder(torch.zeros(2, 30)).event_shape
        torch.Size([1, 28, 28])
    """
    if labels is None:
        labels = _binaries(num_labels, label_prior, label_names, 1 / max(num_labels, 2))
    networks = networks_of("mnist" if convolutions else "mlp")
    config = {"preset": "mnist", "convolutions": convolutions}
    return assemble(networks, labels, z_dim, config)


def assemble(
    networks: Images,
    labels: Sequence[Label],
    z_dim: int,
    config: dict[str, Any],
    kind: type[CCVAE] = CCVAE,
) -> CCVAE:
    """Puts an image's networks and the parts that labels ask for together.

    :raises ValueError: if ``z_dim`` leaves no style dimension.
    """
    dim = sum(label.dim for label in labels)
    if not 0 < dim < z_dim:
        raise ValueError(
            f"z_dim must exceed the number of characteristics that the labels take, {dim}, to "
            f"leave room for style; got {z_dim}"
        )
    ccvae = kind(
        encoder=GaussianEncoder(networks.encoder(2 * z_dim), (dim, z_dim - dim)),
        decoder=networks.decoder(z_dim),
        style_prior=StandardNormal(z_dim - dim),
        labels=labels,
        **label_modules(labels)._asdict(),
    )
    ccvae.config = config | {"labels": to_plain(labels), "z_dim": z_dim}
    return ccvae


def _binaries(
    num_labels: int, label_prior: Tensor | None, label_names: Sequence[str], frequency: float
) -> tuple[Label, ...]:
    if label_prior is None:
        label_prior = torch.full((num_labels,), frequency)
    if label_prior.shape != (num_labels,):
        raise ValueError(f"label_prior must have shape ({num_labels},), got {label_prior.shape}")
    if label_names and len(label_names) != num_labels:
        raise ValueError(f"{num_labels} labels need as many names, got {len(label_names)}")
    names = label_names or [str(i) for i in range(num_labels)]
    return binaries(names, label_prior.tolist())
