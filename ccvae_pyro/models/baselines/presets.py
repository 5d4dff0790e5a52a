"""The relatives with the networks of the presets: which parts and sizes make one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from ccvae_pyro.components import (
    ConditionalEncoder,
    GaussianDecoder,
    GaussianEncoder,
    LabelCode,
    LabelExperts,
    LabelHead,
    NetworkClassifier,
    StandardNormal,
    label_modules,
)
from ccvae_pyro.labels import Categorical, Label, to_plain
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.models.baselines.cvae import CVAE
from ccvae_pyro.models.baselines.diva import DIVA
from ccvae_pyro.models.baselines.m1 import M1
from ccvae_pyro.models.baselines.m1_m2 import M1M2
from ccvae_pyro.models.baselines.m2 import M2
from ccvae_pyro.models.baselines.mvae import MVAE
from ccvae_pyro.models.baselines.vae import VAE
from ccvae_pyro.models.presets import Images, assemble, networks_of
from ccvae_pyro.networks import mlp

HIDDEN = 256  # features of an image that are read together with labels


def baseline(
    name: str,
    labels: Sequence[Label],
    z_dim: int = 45,
    *,
    images: str = "celeba",
    likelihood_scale: float = 1.0,
    channels: int = 3,
) -> ImageModel:
    """A model of the family, with the networks of :func:`~ccvae_pyro.celeba` or another preset.

    :param name: ``"vae"``, ``"cvae"``, ``"m1"``, ``"m2"``, ``"m1_m2"``, ``"diva"`` or ``"mvae"``.
    :param labels: what the labels are.
    :param z_dim: the size of all latents together that are not labels themselves.
    :param images: whose networks: ``"celeba"``, of 64x64 images; ``"mnist"``, of 28x28 ones; or
        ``"mlp"``, of these without convolutions.
    :param likelihood_scale: of the Laplace at each pixel, with ``"celeba"``.
    :param channels: 3 for color, 1 for grey, with ``"celeba"``.
    :raises ValueError: if there is no such model, or no such images.

    Example:

        >>> import torch
        >>> from ccvae_pyro.labels import Binary
        >>> m2 = baseline("m2", [Binary("Hat"), Binary("Beard")])
        >>> m2.q_y_x(torch.zeros(3, 3, 64, 64)).event_shape
        torch.Size([2])
    """
    if name not in _MAKERS:
        raise ValueError(f"wanted one of {', '.join(_MAKERS)}, got {name!r}")
    settings = {"images": images, "likelihood_scale": likelihood_scale, "channels": channels}
    model = _MAKERS[name](networks_of(images, likelihood_scale, channels), tuple(labels), z_dim)
    model.config = {"preset": name, "labels": to_plain(labels), "z_dim": z_dim, **settings}
    return model


def _vae(images: Images, labels: Sequence[Label], z_dim: int) -> VAE:
    encoder = GaussianEncoder(images.encoder(2 * z_dim), (z_dim,))
    return VAE(encoder, images.decoder(z_dim), StandardNormal(z_dim), labels)


def _cvae(images: Images, labels: Sequence[Label], z_dim: int) -> CVAE:
    return CVAE(*_given_labels(images, labels, z_dim), labels)


def _m1(images: Images, labels: Sequence[Label], z_dim: int) -> M1:
    return M1(_vae(images, labels, z_dim), _classifier(partial(mlp, z_dim), labels))


def _m2(images: Images, labels: Sequence[Label], z_dim: int) -> M2:
    classifier = _classifier(images.encoder, labels)
    parts = _given_labels(images, labels, z_dim)
    return M2(classifier, *parts, label_modules(labels).label_prior, labels)


def _m1_m2(images: Images, labels: Sequence[Label], z_dim: int) -> M1M2:
    of_latents = Images(
        partial(mlp, z_dim), lambda dim: GaussianDecoder(mlp(dim, 2 * z_dim, hidden=HIDDEN))
    )
    return M1M2(_vae(images, labels, z_dim), _m2(of_latents, labels, z_dim))


def _diva(images: Images, labels: Sequence[Label], z_dim: int) -> ImageModel:
    return assemble(images, labels, z_dim, config={}, kind=DIVA)


def _mvae(images: Images, labels: Sequence[Label], z_dim: int) -> MVAE:
    vae = _vae(images, labels, z_dim)
    classifier = _classifier(partial(mlp, z_dim), labels)
    experts = LabelExperts(labels, z_dim)
    # Its authors' weights, of the class of a digit and of attributes of faces.
    weight = 50.0 if all(isinstance(label, Categorical) for label in labels) else 10.0
    return MVAE(vae.encoder, vae.decoder, experts, classifier, vae.prior, labels, weight)


def _given_labels(
    images: Images, labels: Sequence[Label], z_dim: int
) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Encoder, decoder and prior of a model whose images depend on labels and ``z``."""
    size = LabelCode(labels).num_features
    head = mlp(HIDDEN + size, 2 * z_dim, hidden=HIDDEN)
    encoder = ConditionalEncoder(images.encoder(HIDDEN), head, z_dim)
    return encoder, images.decoder(z_dim + size), StandardNormal(z_dim)


def _classifier(network: Callable[[int], nn.Module], labels: Sequence[Label]) -> NetworkClassifier:
    return NetworkClassifier(network(LabelHead(labels).num_features), labels)


_MAKERS: dict[str, Callable[..., ImageModel]] = {
    "vae": _vae,
    "cvae": _cvae,
    "m1": _m1,
    "m2": _m2,
    "m1_m2": _m1_m2,
    "diva": _diva,
    "mvae": _mvae,
}
NAMES = tuple(_MAKERS)
