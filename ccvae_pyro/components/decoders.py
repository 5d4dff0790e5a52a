"""Decoders: modules from latents to the likelihood p(x|z)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ccvae_pyro.components._normal import normal_from, vector
from ccvae_pyro.distributions.bernoulli import LogitBernoulli
from ccvae_pyro.distributions.shared_scale import (
    SharedScale,
    SharedScaleLaplace,
    SharedScaleLogistic,
    SharedScaleNormal,
)
from ccvae_pyro.networks._sizes import check_positive

FAMILIES: dict[str, type[SharedScale]] = {
    "laplace": SharedScaleLaplace,
    "gaussian": SharedScaleNormal,
    "logistic": SharedScaleLogistic,
}
MIN_PIXEL_SCALE = 0.004  # a step of the 256 values of a byte: the density stays bounded


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


class ImageDecoder(nn.Module):
    r"""The likelihood :math:`p_\theta(x \mid z)` of images of any kind, with a fitted scale.

    Every pixel has the same family and the same scale :math:`b`. Its location is

    .. math:: \mu_i = h(\bar{x}_i + f_\theta(z)_i / 4) , \qquad
              h(u) = 0.9 \min(\max(u, 0), 1) + 0.1 u ,

    where :math:`\bar{x}` is the mean image, at which training starts. The slope of :math:`h` is 1
    within [0, 1] and 0.1 beyond, so a gradient reaches the network whatever it returns. That of a
    sigmoid vanishes where images are mostly white or black, and the network does not recover. The
    mean that is shown is clipped to [0, 1].

    The scale is a parameter, as in :math:`\sigma`-VAEs (Rybkin et al., 2021). A scale that is too
    large lets the divergence of the posterior from the prior outweigh details of the image. One
    that falls slowly leaves the first steps of training to the labels.

    :param features: the network :math:`f_\theta`, from shape ``(batch, z_dim)`` to images.
    :param family: ``"laplace"``, ``"gaussian"`` or ``"logistic"``: see
        :class:`~ccvae_pyro.distributions.SharedScaleLogistic` for the last.
    :param scale: :math:`b` when training starts. It stays above 0.004, a step of the 256 values of
        a byte.
    :param fit_scale: whether the scale is fitted; otherwise it keeps its value.
    :param image_shape: ``(channels, height, width)``, the shape of the mean image.
    :raises ValueError: if there is no such family, or the scale is not above 0.004.
    """

    image_range: ClassVar = (0.0, 1.0)
    event_dim = 3

    def __init__(
        self,
        features: nn.Module,
        image_shape: Sequence[int],
        family: str = "laplace",
        scale: float = 0.5,
        *,
        fit_scale: bool = True,
    ) -> None:
        super().__init__()
        if family not in FAMILIES:
            raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
        if not MIN_PIXEL_SCALE < scale < math.inf:
            raise ValueError(
                f"the scale of the likelihood must be finite and above {MIN_PIXEL_SCALE}, got "
                f"{scale}"
            )
        self.features = features
        self.family = family
        self.mean_image: Tensor
        self.register_buffer("mean_image", torch.full(tuple(image_shape), 0.5))
        self.log_scale: Tensor
        log_scale = torch.tensor(scale - MIN_PIXEL_SCALE).log()
        if fit_scale:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    @property
    def scale(self) -> Tensor:
        """The scale of a pixel."""
        return self.log_scale.exp() + MIN_PIXEL_SCALE

    def forward(self, z: Tensor) -> SharedScale:
        loc = self.mean_image + _over_batch(self.features, z) / 4
        loc = loc.clamp(*self.image_range).lerp(loc, 0.1)
        family = FAMILIES[self.family]
        return family(
            loc, self.scale, self.event_dim, validate_args=False, image_range=self.image_range
        )


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
