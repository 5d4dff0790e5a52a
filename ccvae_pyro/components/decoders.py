"""Decoders: modules from latents to the likelihood p(x|z)."""

from __future__ import annotations

from typing import ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ccvae_pyro.components._normal import normal_from, vector
from ccvae_pyro.distributions.bernoulli import LogitBernoulli
from ccvae_pyro.distributions.laplace import SharedScaleLaplace
from ccvae_pyro.networks._sizes import check_positive


class LaplaceDecoder(nn.Module):
    r"""The likelihood :math:`p_\theta(x \mid z)` of the paper: a Laplace at every pixel.

    .. math:: \log p_\theta(x \mid z) = -\sum_i |x_i - \sigma(f_\theta(z))_i| / b - \log 2b

    :param features: the network :math:`f_\theta`, from shape ``(batch, z_dim)`` to images.
    :param scale: :math:`b`, positive, the same for every pixel; the paper's is 1.
    :param event_dim: how many dimensions an image has.
    :raises ValueError: if the scale is not positive and finite.
    """

    image_range: ClassVar = (0.0, 1.0)

    def __init__(self, features: nn.Module, scale: float = 1.0, event_dim: int = 3) -> None:
        super().__init__()
        check_positive(**{"the scale of the likelihood": scale})
        self.features = features
        self.event_dim = event_dim
        self.scale: Tensor
        self.register_buffer("scale", torch.tensor(scale))

    def forward(self, z: Tensor) -> SharedScaleLaplace:
        loc = _over_batch(self.features, z).sigmoid()
        return SharedScaleLaplace(loc, self.scale, self.event_dim, validate_args=False)


class BernoulliDecoder(nn.Module):
    r"""The likelihood :math:`p_\theta(x \mid z)` for images that are nearly black and white.

    Grey values between 0 and 1 are scored by the cross-entropy, as is the custom with MNIST.

    :param features: a network from shape ``(batch, z_dim)`` to the logit of each pixel.
    :param event_dim: how many dimensions an image has.
    """

    image_range: ClassVar = (0.0, 1.0)

    def __init__(self, features: nn.Module, event_dim: int = 3) -> None:
        super().__init__()
        self.features = features
        self.event_dim = event_dim

    def forward(self, z: Tensor) -> dist.Independent:
        logits = _over_batch(self.features, z)
        return vector(LogitBernoulli(logits=logits, validate_args=False), self.event_dim)


class GaussianDecoder(nn.Module):
    r"""The likelihood :math:`p_\theta(x \mid z)` of vectors: a Normal for each entry.

    :param features: a network from ``z`` to twice as many features as there are entries.
    """

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, z: Tensor) -> dist.Independent:
        return vector(normal_from(self.features(z)))


def _over_batch(network: nn.Module, z: Tensor) -> Tensor:
    """Applies a network that takes one batch dimension to ``z``, which may have several."""
    images: Tensor = network(z.flatten(0, -2)).unflatten(0, z.shape[:-1])
    return images
