"""Published instances: which parts and sizes make one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ccvae_pyro.distributions import (
    BernoulliDecoder,
    BernoulliLabelPrior,
    DiagonalClassifier,
    GaussianConditionalPrior,
    GaussianEncoder,
    LaplaceDecoder,
    StandardNormal,
)
from ccvae_pyro.model import CCVAE
from ccvae_pyro.networks import decoder_28, decoder_64, encoder_28, encoder_64


def celeba(
    num_labels: int = 18,
    z_dim: int = 45,
    label_prior: Tensor | None = None,
    *,
    likelihood_scale: float = 1.0,
    label_names: Sequence[str] = (),
) -> CCVAE:
    """The paper's CCVAE for 64x64 color images with binary labels.

    :param num_labels: how many labels, and so characteristics, there are.
    :param z_dim: the size of ``(z_c, z_style)`` together; what exceeds ``num_labels`` is style.
    :param label_prior: the frequency of each label, shape ``(num_labels,)``; one half by default.
    :param likelihood_scale: the scale of the Laplace at each pixel.
    :param label_names: what the labels are called.
    :raises ValueError: if ``z_dim`` leaves no style dimension, or sizes disagree.

    Example:

        >>> ccvae = celeba(num_labels=18, z_dim=45)
        >>> ccvae.encoder(torch.zeros(2, 3, 64, 64))[0].event_shape
        torch.Size([18])
    """
    ccvae = CCVAE(
        encoder=GaussianEncoder(encoder_64(2 * z_dim), _block_dims(num_labels, z_dim)),
        decoder=LaplaceDecoder(decoder_64(z_dim), scale=likelihood_scale),
        label_names=label_names,
        **_label_parts(num_labels, z_dim, label_prior, label_names),
    )
    ccvae.recipe = {"preset": "celeba", "num_labels": num_labels, "z_dim": z_dim}
    ccvae.recipe |= {"likelihood_scale": likelihood_scale, "label_names": list(label_names)}
    return ccvae


def mnist(
    num_labels: int = 10,
    z_dim: int = 30,
    label_prior: Tensor | None = None,
    *,
    label_names: Sequence[str] = (),
) -> CCVAE:
    """A CCVAE for 28x28 images of one channel, a binary label for each class.

    :param num_labels: how many labels there are: with classes, the number of columns of a
        one-hot ``y``.
    :param z_dim: the size of ``(z_c, z_style)`` together.
    :param label_prior: the frequency of each label, shape ``(num_labels,)``; by default that of
        one class in ``num_labels``.
    :param label_names: what the labels are called.
    :raises ValueError: if ``z_dim`` leaves no style dimension, or sizes disagree.

    Example:

        >>> mnist().decoder(torch.zeros(2, 30)).event_shape
        torch.Size([1, 28, 28])
    """
    if label_prior is None:
        label_prior = torch.full((num_labels,), 1 / max(num_labels, 2))
    ccvae = CCVAE(
        encoder=GaussianEncoder(encoder_28(2 * z_dim), _block_dims(num_labels, z_dim)),
        decoder=BernoulliDecoder(decoder_28(z_dim)),
        label_names=label_names,
        **_label_parts(num_labels, z_dim, label_prior, label_names),
    )
    ccvae.recipe = {"preset": "mnist", "num_labels": num_labels, "z_dim": z_dim}
    ccvae.recipe |= {"label_names": list(label_names)}
    return ccvae


def _block_dims(num_labels: int, z_dim: int) -> tuple[int, int]:
    if not 0 < num_labels < z_dim:
        raise ValueError(
            f"z_dim must exceed the number of labels, {num_labels}, to leave room for style; "
            f"got {z_dim}"
        )
    return num_labels, z_dim - num_labels


def _label_parts(
    num_labels: int, z_dim: int, label_prior: Tensor | None, label_names: Sequence[str]
) -> dict[str, torch.nn.Module]:
    """The parts that are the same for every kind of image."""
    if label_prior is None:
        label_prior = torch.full((num_labels,), 0.5)
    if label_prior.shape != (num_labels,):
        raise ValueError(f"label_prior must have shape ({num_labels},), got {label_prior.shape}")
    if label_names and len(label_names) != num_labels:
        raise ValueError(f"{num_labels} labels need as many names, got {len(label_names)}")
    return {
        "classifier": DiagonalClassifier(num_labels),
        "conditional_prior": GaussianConditionalPrior(num_labels),
        "style_prior": StandardNormal(z_dim - num_labels),
        "label_prior": BernoulliLabelPrior(label_prior),
    }
