"""Presets: models with the networks and sizes of published ones, by a function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ccvae_pyro.components import (
    BernoulliDecoder,
    ChowLiuLabelPrior,
    ConditionalEncoder,
    GaussianDecoder,
    GaussianEncoder,
    ImageDecoder,
    LabelCode,
    LabelExperts,
    LabelHead,
    LaplaceDecoder,
    NetworkClassifier,
    StandardNormal,
    label_modules,
)
from ccvae_pyro.labels import Categorical, Label, binaries, check_distinct, from_plain, to_plain
from ccvae_pyro.labels._plain_values import plain_float, plain_int, to_plain_scalar
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.models.baselines.cvae import CVAE
from ccvae_pyro.models.baselines.diva import DIVA
from ccvae_pyro.models.baselines.m1 import M1
from ccvae_pyro.models.baselines.m1_m2 import M1M2
from ccvae_pyro.models.baselines.m2 import M2
from ccvae_pyro.models.baselines.mvae import MVAE
from ccvae_pyro.models.baselines.vae import VAE
from ccvae_pyro.models.ccvae import CCVAE
from ccvae_pyro.networks import (
    decoder_28,
    decoder_conv,
    decoder_mlp,
    decoder_residual,
    encoder_28,
    encoder_conv,
    encoder_mlp,
    encoder_residual,
    mlp,
)
from ccvae_pyro.networks._sizes import check_positive, halvings

LabelPriorChoice = str | ChowLiuLabelPrior

NUM_STYLE = 27  # style dimensions, as the paper has
HIDDEN = 256  # the number of features of an image that an encoder combines with labels


def celeba(
    num_labels: int = 18,
    z_dim: int = 45,
    label_prior: Tensor | LabelPriorChoice | None = None,
    *,
    labels: Sequence[Label] | None = None,
    likelihood_scale: float = 1.0,
    channels: int = 3,
    side: int = 64,
    label_names: Sequence[str] = (),
    encoder_scale: str = "softplus",
) -> CCVAE:
    """The paper's CCVAE for 64x64 images, with binary labels or labels of any other kind.

    :func:`photographs` has other networks, and fits the scale of the likelihood.

    :param num_labels: the number of binary labels.
    :param z_dim: the size of ``(z_c, z_style)`` together.
    :param label_prior: the prevalence of each label, shape ``(num_labels,)``; 0.5 by default. Or,
        as in :func:`photographs`, how labels depend on each other.
    :param labels: labels of any kind, in place of ``num_labels``, prevalences and
        ``label_names``.
    :param likelihood_scale: the scale of the Laplace likelihood of each pixel.
    :param channels: 3 for color images, 1 for gray ones.
    :param side: the height and width of an image. For other sizes than 64 the networks have more
        or fewer convolutions: see :func:`~ccvae_pyro.networks.encoder_conv`.
    :param label_names: the names of the labels.
    :param encoder_scale: how the encoder computes its standard deviations, ``"softplus"`` or
        ``"exp"``: see :class:`~ccvae_pyro.components.GaussianEncoder`.
    :raises ValueError: if ``z_dim`` leaves no style dimension, if sizes disagree, or if one
        cannot be: no channel, a negative scale, a class without a frequency.

    Example:

        >>> ccvae = celeba(num_labels=18, z_dim=45)
        >>> ccvae.encoder(torch.zeros(2, 3, 64, 64))[0].event_shape
        torch.Size([18])
    """
    prevalences, label_prior = _prevalences_and_choice(label_prior)
    if labels is None:
        labels = _binaries(num_labels, prevalences, label_names, 0.5)
    settings = _settings(likelihood_scale, channels, side)
    networks = _celeba_networks(**settings)
    config = {"preset": "celeba", **settings, "encoder_scale": encoder_scale}
    return _assemble(
        networks, labels, z_dim, config, encoder_scale=encoder_scale, label_prior=label_prior
    )


def photographs(
    labels: Sequence[Label],
    image_shape: Sequence[int] = (3, 64, 64),
    z_dim: int | None = None,
    *,
    width: int = 16,
    family: str = "laplace",
    likelihood_scale: float | None = None,
    mean_image: Tensor | None = None,
    label_prior: LabelPriorChoice = "independent",
) -> CCVAE:
    """A CCVAE for images of any kind and size: photographs, drawings, scans.

    Its networks are residual, its decoder learns whatever the brightness of the images, and the
    scale of its likelihood is fitted: see :func:`~ccvae_pyro.networks.encoder_residual` and
    :class:`~ccvae_pyro.components.ImageDecoder`.

    :param labels: descriptions of the labels.
    :param image_shape: ``(channels, height, width)`` of an image, each side at least 8 pixels.
    :param z_dim: the size of ``(z_c, z_style)`` together; by default, 27 more than the labels
        take.
    :param width: the channels of the networks' first stage. Twice as many take almost four times
        as long.
    :param family: of the likelihood: ``"laplace"``, ``"gaussian"`` or ``"logistic"``.
    :param likelihood_scale: the scale of the likelihood; by default it is fitted.
    :param mean_image: the mean of the training images, from 0 to 1, of shape ``image_shape``; by
        default a gray image. The decoder's output is an offset from it.
    :param label_prior: how labels depend on each other: ``"independent"``; a
        :class:`~ccvae_pyro.components.ChowLiuLabelPrior` that was fitted to labels; or ``"tree"``,
        one without edges.
    :raises ValueError: if ``z_dim`` leaves no style dimension, if shapes disagree, or if a size
        or a scale cannot be.

    Example:

        >>> from ccvae_pyro.labels import Binary
        >>> ccvae = photographs([Binary("Cracked")], image_shape=(1, 128, 96))
        >>> ccvae.decoder(torch.zeros(2, 28)).event_shape
        torch.Size([1, 128, 96])
    """
    settings = _photograph_settings(image_shape, width, family, likelihood_scale)
    z_dim = z_dim or sum(label.dim for label in labels) + NUM_STYLE
    networks = _photograph_networks(**settings)
    config = {"preset": "photographs", **settings}
    ccvae = _assemble(networks, labels, z_dim, config, label_prior=label_prior)
    if mean_image is not None:
        if tuple(mean_image.shape) != networks.image_shape:
            raise ValueError(
                f"wanted a mean image of shape {networks.image_shape}, got "
                f"{tuple(mean_image.shape)}"
            )
        ccvae.decoder.mean_image.copy_(mean_image)  # type: ignore[operator]
    return ccvae


def mnist(
    num_labels: int = 10,
    z_dim: int = 30,
    label_prior: Tensor | LabelPriorChoice | None = None,
    *,
    labels: Sequence[Label] | None = None,
    label_names: Sequence[str] = (),
    convolutions: bool = True,
) -> CCVAE:
    """A CCVAE for 28x28 images of one channel.

    :param num_labels: the number of binary labels; for one-hot classes, the number of classes.
    :param z_dim: the size of ``(z_c, z_style)`` together.
    :param label_prior: the prevalence of each label, shape ``(num_labels,)``; by default
        ``1 / num_labels``, as for one-hot classes. Or, as in :func:`photographs`, how labels
        depend on each other.
    :param labels: labels of any kind, in place of ``num_labels``, prevalences and
        ``label_names``; for digits, one :class:`~ccvae_pyro.Categorical`.
    :param label_names: the names of the labels.
    :param convolutions: whether the networks are convolutional; otherwise they are multilayer
        perceptrons.
    :raises ValueError: if ``z_dim`` leaves no style dimension, if sizes disagree, or if one
        cannot be: no channel, a negative scale, a class without a frequency.

    Example:

        >>> mnist().decoder(torch.zeros(2, 30)).event_shape
        torch.Size([1, 28, 28])
    """
    prevalences, label_prior = _prevalences_and_choice(label_prior)
    if labels is None:
        labels = _binaries(num_labels, prevalences, label_names)
    if not isinstance(convolutions := to_plain_scalar(convolutions), bool):
        raise ValueError(f"convolutions must be True or False, got {convolutions!r}")
    networks = _networks("mnist" if convolutions else "mlp")
    config = {"preset": "mnist", "convolutions": convolutions}
    return _assemble(networks, labels, z_dim, config, label_prior=label_prior)


def baseline(
    name: str,
    labels: Sequence[Label],
    z_dim: int = 45,
    *,
    images: str = "celeba",
    likelihood_scale: float | None = None,
    channels: int = 3,
    side: int = 64,
    width: int = 16,
    family: str = "laplace",
) -> ImageModel:
    """A baseline with the networks of :func:`celeba`, :func:`photographs` or :func:`mnist`.

    :param name: ``"vae"``, ``"cvae"``, ``"m1"``, ``"m2"``, ``"m1_m2"``, ``"diva"`` or ``"mvae"``.
    :param labels: descriptions of the labels.
    :param z_dim: the size of all latents together, labels not included.
    :param images: which networks: ``"celeba"`` or ``"photographs"``, as these presets have;
        ``"mnist"``, for 28x28 images; or ``"mlp"``, multilayer perceptrons for 28x28 images.
    :param likelihood_scale: the scale of the likelihood of each pixel; by default, 1 with
        ``"celeba"`` and fitted with ``"photographs"``. The other networks have none.
    :param channels: with these two, 3 for color images, 1 for gray ones.
    :param side: with these two, the height and width of an image.
    :param width: with ``"photographs"``, the channels of the networks' first stage.
    :param family: with ``"photographs"``, that of the likelihood, such as ``"laplace"``.
    :raises ValueError: if there is no such model, or no such networks; or if labels, sizes or the
        scale are none that it can have.

    Example:

        >>> from ccvae_pyro.labels import Binary
        >>> m2 = baseline("m2", [Binary("Hat"), Binary("Beard")])
        >>> m2.q_y_x(torch.zeros(3, 3, 64, 64)).event_shape
        torch.Size([2])
    """
    if name not in _BASELINES:
        raise ValueError(f"wanted one of {', '.join(_BASELINES)}, got {name!r}")
    check_distinct(labels)
    if not labels and name != "vae":
        raise ValueError(f"{name} is a model of labels, got none")
    z_dim = plain_int(z_dim, "z_dim", minimum=1)
    if images == "photographs":
        shape = channels, side, side
        settings = _photograph_settings(shape, width, family, likelihood_scale)
        networks = _photograph_networks(**settings)
        settings = settings | {"channels": channels, "side": side}
        del settings["image_shape"]
    else:
        scale = 1.0 if likelihood_scale is None else likelihood_scale
        settings = _settings(scale, channels, side)
        networks = _networks(images, **settings)
    model = _BASELINES[name](networks, tuple(labels), z_dim)
    model.image_shape = networks.image_shape
    shared = {"preset": name, "labels": to_plain(labels), "z_dim": z_dim, "images": images}
    model.config = shared | settings
    return model


def from_config(config: dict[str, Any]) -> ImageModel:
    """Builds a model again from the ``config`` that its preset gave it.

    :raises ValueError: if the config is not one that a preset gives.
    """
    arguments = dict(config)
    name = arguments.pop("preset", None)
    presets: dict[str, Callable[..., ImageModel]] = {
        "celeba": celeba, "mnist": mnist, "photographs": photographs,
    }  # fmt: skip
    presets |= {name: partial(baseline, name) for name in BASELINES}
    if not isinstance(name, str) or name not in presets:
        raise ValueError(f"wanted a config with one of the presets {', '.join(presets)}")
    preset = presets[name]
    if unknown := arguments.keys() - signature(preset).parameters.keys():
        raise ValueError(f"{name} has no setting {', '.join(sorted(map(repr, unknown)))}")
    if "labels" not in arguments:
        raise ValueError("the config has no labels")
    return preset(**(arguments | {"labels": from_plain(arguments["labels"])}))


class _Networks(NamedTuple):
    """Networks for images of one size.

    :param image_shape: the size: ``(channels, height, width)``.
    :param encoder: a function from a number of features to a network that computes them.
    :param decoder: a function from a number of latents to a decoder of them.
    """

    image_shape: tuple[int, ...] | None
    encoder: Callable[[int], nn.Module]
    decoder: Callable[[int], nn.Module]


def _networks(images: str, **settings: Any) -> _Networks:
    """The networks of :func:`celeba` or of :func:`mnist`.

    :param images: ``"celeba"``, ``"mnist"`` or ``"mlp"``.
    :param settings: those of the networks of :func:`celeba`.
    :raises ValueError: if it is none of these.
    """
    if images == "celeba":
        return _celeba_networks(**settings)
    if images == "mnist":
        return _Networks((1, 28, 28), encoder_28, lambda dim: BernoulliDecoder(decoder_28(dim)))
    if images == "mlp":
        return _Networks((1, 28, 28), encoder_mlp, lambda dim: BernoulliDecoder(decoder_mlp(dim)))
    raise ValueError(f"images must be celeba, photographs, mnist or mlp, got {images!r}")


def _celeba_networks(likelihood_scale: float, channels: int, side: int) -> _Networks:
    shape = channels, side, side
    return _Networks(
        shape,
        partial(encoder_conv, image_shape=shape),
        lambda dim: LaplaceDecoder(decoder_conv(dim, image_shape=shape), likelihood_scale),
    )


def _photograph_networks(
    image_shape: tuple[int, int, int], width: int, family: str, likelihood_scale: float | None
) -> _Networks:
    def decoder(dim: int) -> ImageDecoder:
        features = decoder_residual(dim, image_shape=image_shape, width=width)
        if likelihood_scale is None:
            return ImageDecoder(features, image_shape, family)
        return ImageDecoder(features, image_shape, family, likelihood_scale, fit_scale=False)

    encoder = partial(encoder_residual, image_shape=image_shape, width=width)
    return _Networks(image_shape, encoder, decoder)


def _assemble(
    networks: _Networks,
    labels: Sequence[Label],
    z_dim: int,
    config: dict[str, Any],
    model: type[CCVAE] = CCVAE,
    encoder_scale: str = "softplus",
    label_prior: LabelPriorChoice = "independent",
) -> CCVAE:
    """A CCVAE of these networks, with the components for these labels.

    :raises ValueError: if ``z_dim`` leaves no style dimension, or the label prior is none, or one
        of other labels.
    """
    check_distinct(labels)
    z_dim, dim = plain_int(z_dim, "z_dim", minimum=1), sum(label.dim for label in labels)
    if not 0 < dim < z_dim:
        raise ValueError(
            f"z_dim must exceed the number of characteristics that the labels take, {dim}, to "
            f"leave room for style; got {z_dim}"
        )
    modules = label_modules(labels)
    if label_prior != "independent":
        modules = modules._replace(label_prior=_tree(label_prior, labels))
        config = config | {"label_prior": "tree"}
    ccvae = model(
        encoder=GaussianEncoder(networks.encoder(2 * z_dim), (dim, z_dim - dim), encoder_scale),
        decoder=networks.decoder(z_dim),
        style_prior=StandardNormal(z_dim - dim),
        labels=labels,
        **modules._asdict(),
    )
    ccvae.image_shape = networks.image_shape
    ccvae.config = config | {"labels": to_plain(labels), "z_dim": z_dim}
    return ccvae


def _tree(label_prior: LabelPriorChoice, labels: Sequence[Label]) -> ChowLiuLabelPrior:
    """The label prior that was asked for, for labels that it fits."""
    without_edges = ChowLiuLabelPrior(labels)
    if isinstance(label_prior, str) and label_prior == "tree":
        return without_edges
    if not isinstance(label_prior, ChowLiuLabelPrior):
        raise ValueError(
            f"label_prior must be independent, tree or a ChowLiuLabelPrior, got {label_prior!r}"
        )
    shapes, wanted = (
        {name: tuple(value.shape) for name, value in prior.state_dict().items()}
        for prior in (label_prior, without_edges)
    )
    if shapes != wanted:
        raise ValueError(
            f"label_prior is of other labels: wanted tensors of shapes {wanted}, got {shapes}"
        )
    return label_prior


def _prevalences_and_choice(
    label_prior: Tensor | LabelPriorChoice | None,
) -> tuple[Any, LabelPriorChoice]:
    """The prevalences that an argument holds, and the choice of how labels depend."""
    if isinstance(label_prior, str | nn.Module):
        return None, label_prior
    return label_prior, "independent"


def _settings(likelihood_scale: float, channels: int, side: int) -> dict[str, Any]:
    """The settings of the networks of :func:`celeba` as plain values.

    :raises ValueError: if one is not a positive number of its kind.
    """
    likelihood_scale = plain_float(likelihood_scale, "likelihood_scale")
    check_positive(likelihood_scale=likelihood_scale)
    channels, side = plain_int(channels, "channels", minimum=1), plain_int(side, "side", minimum=8)
    return {"likelihood_scale": likelihood_scale, "channels": channels, "side": side}


def _photograph_settings(
    image_shape: Sequence[int], width: int, family: str, likelihood_scale: float | None
) -> dict[str, Any]:
    """The settings of the networks of :func:`photographs` as plain values."""
    halvings(image_shape)  # refuses what is no shape of an image
    channels, height, breadth = map(int, image_shape)
    if likelihood_scale is not None:
        likelihood_scale = plain_float(likelihood_scale, "likelihood_scale")
    return {
        "image_shape": (channels, height, breadth),
        "width": plain_int(width, "width", minimum=1),
        "family": family,
        "likelihood_scale": likelihood_scale,
    }


def _binaries(
    num_labels: int,
    label_prior: Tensor | None,
    label_names: Sequence[str],
    prevalence: float | None = None,
) -> tuple[Label, ...]:
    """Binary labels.

    :param prevalence: of each label; by default that of one-hot classes.
    """
    num_labels = plain_int(num_labels, "num_labels", minimum=1)
    if label_prior is None:
        label_prior = torch.full((num_labels,), prevalence or 1 / max(num_labels, 2))
    label_prior = torch.as_tensor(label_prior)
    if label_prior.shape != (num_labels,):
        raise ValueError(f"label_prior must have shape ({num_labels},), got {label_prior.shape}")
    if label_names and len(label_names) != num_labels:
        raise ValueError(f"{num_labels} labels need as many names, got {len(label_names)}")
    names = label_names or [str(i) for i in range(num_labels)]
    return binaries(names, label_prior.tolist())


def _vae(networks: _Networks, labels: Sequence[Label], z_dim: int) -> VAE:
    encoder = GaussianEncoder(networks.encoder(2 * z_dim), (z_dim,))
    vae = VAE(encoder, networks.decoder(z_dim), StandardNormal(z_dim), labels)
    vae.image_shape = networks.image_shape
    return vae


def _cvae(networks: _Networks, labels: Sequence[Label], z_dim: int) -> CVAE:
    return CVAE(*_conditional_parts(networks, labels, z_dim), labels)


def _m1(networks: _Networks, labels: Sequence[Label], z_dim: int) -> M1:
    return M1(_vae(networks, labels, z_dim), _classifier(partial(mlp, z_dim), labels))


def _m2(networks: _Networks, labels: Sequence[Label], z_dim: int) -> M2:
    classifier = _classifier(networks.encoder, labels)
    parts = _conditional_parts(networks, labels, z_dim)
    return M2(classifier, *parts, label_modules(labels).label_prior, labels)


def _m1_m2(networks: _Networks, labels: Sequence[Label], z_dim: int) -> M1M2:
    latent_networks = _Networks(
        None,  # latents of the VAE in place of images
        partial(mlp, z_dim),
        lambda dim: GaussianDecoder(mlp(dim, 2 * z_dim, hidden=HIDDEN)),
    )
    return M1M2(_vae(networks, labels, z_dim), _m2(latent_networks, labels, z_dim))


def _diva(networks: _Networks, labels: Sequence[Label], z_dim: int) -> CCVAE:
    return _assemble(networks, labels, z_dim, config={}, model=DIVA)


def _mvae(networks: _Networks, labels: Sequence[Label], z_dim: int) -> MVAE:
    vae = _vae(networks, labels, z_dim)
    classifier = _classifier(partial(mlp, z_dim), labels)
    experts = LabelExperts(labels, z_dim)
    # The values of the authors' code: for the classes of MNIST, and for the attributes of CelebA.
    weight = 50.0 if all(isinstance(label, Categorical) for label in labels) else 10.0
    return MVAE(vae.encoder, vae.decoder, experts, classifier, vae.prior, labels, weight)


def _conditional_parts(
    networks: _Networks, labels: Sequence[Label], z_dim: int
) -> tuple[nn.Module, nn.Module, nn.Module]:
    r"""The encoder :math:`q(z \mid x, y)`, the decoder :math:`p(x \mid y, z)`, the prior."""
    size = LabelCode(labels).num_features
    head = mlp(HIDDEN + size, 2 * z_dim, hidden=HIDDEN)
    encoder = ConditionalEncoder(networks.encoder(HIDDEN), head, z_dim)
    return encoder, networks.decoder(z_dim + size), StandardNormal(z_dim)


def _classifier(network: Callable[[int], nn.Module], labels: Sequence[Label]) -> NetworkClassifier:
    return NetworkClassifier(network(LabelHead(labels).num_features), labels)


_BASELINES: dict[str, Callable[[_Networks, Sequence[Label], int], ImageModel]] = {
    "vae": _vae,
    "cvae": _cvae,
    "m1": _m1,
    "m2": _m2,
    "m1_m2": _m1_m2,
    "diva": _diva,
    "mvae": _mvae,
}
BASELINES = tuple(_BASELINES)
