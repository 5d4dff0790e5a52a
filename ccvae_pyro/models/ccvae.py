"""The characteristic capturing VAE as a Pyro model and guide."""

from __future__ import annotations

from collections.abc import Sequence

import pyro
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from ccvae_pyro.components.bayes_classifier import BayesClassifier
from ccvae_pyro.distributions.label_vector import widened
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.labels import Continuous, Label, Ordinal, binaries, block_of
from ccvae_pyro.models._contract import check_not_missing, of_shape
from ccvae_pyro.models.base import ImageModel, moments, register


class CCVAE(ImageModel):
    r"""Characteristic capturing VAE: its six distributions, as a model and a guide.

    Each part is a module that returns a :class:`~pyro.distributions.Distribution`, so any of
    them is swapped by passing another module with the same signature.

    :param encoder: :math:`q_\phi(z \mid x)`, called as ``q_z_c, q_z_style = encoder(x)``.
    :param decoder: :math:`p_\theta(x \mid z)`, called as ``decoder(z)``.
    :param classifier: :math:`q_\varphi(y \mid z_c)`, called as ``classifier(z_c)``.
    :param conditional_prior: :math:`p_\psi(z_c \mid y)`, called as ``conditional_prior(y)``.
    :param style_prior: :math:`p(z_{\setminus c})`, called as ``style_prior()``.
    :param label_prior: :math:`p(y)`, called as ``label_prior()``.
    :param labels: descriptions of the labels, in the order of the columns of ``y``: interventions
        find a label by its name. By default, all labels are binary.
    :param label_names: the names of binary labels, in place of ``labels``.
    :raises ValueError: if a part is no module, or a prior has another event shape than its
        contract in :mod:`ccvae_pyro.components.protocols` says.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        classifier: nn.Module,
        conditional_prior: nn.Module,
        style_prior: nn.Module,
        label_prior: nn.Module,
        labels: Sequence[Label] = (),
        *,
        label_names: Sequence[str] = (),
    ) -> None:
        parts = {
            "encoder": encoder, "decoder": decoder, "classifier": classifier,
            "conditional_prior": conditional_prior, "style_prior": style_prior,
            "label_prior": label_prior,
        }  # fmt: skip
        for name, part in parts.items():
            if not isinstance(part, nn.Module):
                raise ValueError(f"{name} must be a module (nn.Module), got {type(part).__name__}")
        _check_event(style_prior(), "style_prior", "num_style")
        num_labels = _check_event(label_prior(), "label_prior", "num_labels", len(labels))
        if not labels:
            labels = binaries(label_names or [str(i) for i in range(num_labels)])
        super().__init__(labels)
        self.encoder = encoder
        self.decoder = decoder
        self.classifier = classifier
        self.conditional_prior = conditional_prior
        self.style_prior = style_prior
        self.label_prior = label_prior

    @property
    def latent_sizes(self) -> dict[str, int]:
        """The number of characteristics ``z_c``, and that of the other latents ``z_style``."""
        num_style = self.style_prior().event_shape[0]
        return {"z_c": sum(label.dim for label in self.labels), "z_style": num_style}

    def model(self, x: Tensor, y: Tensor | None = None) -> None:
        r"""The generative model, Joy et al. (2021), Section 4::

            y       ~ p(y)                # observed where the data are labeled
            z_c     ~ p(z_c | y)          # the characteristics behind the labels
            z_style ~ p(z_style)          # all that no label describes
            x       ~ p(x | z_c, z_style)

        :param x: images, shape ``(batch, channels, height, width)``.
        :param y: labels, shape ``(batch, num_labels)``, or None for an unlabeled batch.
        """
        y = self.checked_batch(x, y)
        register("ccvae", self)
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", self.label_prior(), obs=y)
            check_not_missing(y, self.labels, can_wait=False)
            z_c = pyro.sample("z_c", self.conditional_prior(y))
            z_style = pyro.sample("z_style", self.style_prior())
            p_x = self.decoder(torch.cat([z_c, z_style], dim=-1))
            pyro.sample("x", of_shape(p_x, x), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> None:
        r"""The inference model, with the arguments of :meth:`model`.

        A given label is scored, a missing one is sampled::

            z_c     ~ q(z_c | x)
            y       ~ q(y | z_c)
            z_style ~ q(z_style | x)

        See :class:`CCVAE_ELBO` for the objective that compares the two.
        """
        y = self.checked_batch(x, y)
        register("ccvae", self)
        with pyro.plate("data", len(x)):
            q_z_c, q_z_style = self.encoder(x)
            z_c = pyro.sample("z_c", q_z_c)
            # Without the mark, Pyro warns at every step of an observed site of the guide.
            is_labeled = y is not None
            pyro.sample("y", self.classifier(z_c), obs=y, infer={"is_auxiliary": is_labeled})
            pyro.sample("z_style", q_z_style)

    def q_y_x(self, x: Tensor) -> TorchDistribution:
        r""":math:`q_\varphi(y \mid z_c)` at the mean of :math:`q_\phi(z_c \mid x)`.

        Where :attr:`predicts_by_bayes_rule`, the classifier is that of Bayes' rule in its place.
        If there is a :attr:`probe`, it predicts from the means of all latents.

        The standard deviation of a continuous label, or of a rank, includes that of :math:`z_c`
        given the image.
        """
        self.check_images(x)
        if self.probe is not None:
            of_all_latents: TorchDistribution = self.probe(torch.cat(self.encode(x), dim=-1))
            return of_all_latents
        mean, std = moments(self.encoder(x)[0])
        classifier = self.classifier
        if self.predicts_by_bayes_rule:
            classifier = BayesClassifier(self.label_prior, self.conditional_prior)
        q_y_x: TorchDistribution = classifier(mean)
        if any(isinstance(label, Continuous | Ordinal) for label in self.labels):
            # Each latent alone a standard deviation up, as one batch.
            shifted = (mean.unsqueeze(-2) + std.diag_embed()).movedim(-2, 0)
            q_y_x = widened(q_y_x, classifier(shifted.flatten(0, -2)), len(shifted))
        return q_y_x

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior means of ``z_c`` and ``z_style``."""
        self.check_images(x)
        q_z_c, q_z_style = self.encoder(x)
        return moments(q_z_c)[0], moments(q_z_style)[0]

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """The mean image given ``z_c`` and ``z_style``, of any leading shape."""
        z = torch.cat([z_c, z_style], dim=-1)
        images: Tensor = self.decoder(z.flatten(0, -2)).mean
        return images.reshape(*z.shape[:-1], *images.shape[1:])

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Samples of ``z_c`` from the conditional prior and ``z_style`` from the style prior."""
        check_not_missing(y, self.labels)
        z_c = self.conditional_prior(y)()
        return z_c, self.style_prior()(z_c.shape[:-1])

    def sample_fitted_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Samples of ``z_c`` and ``z_style`` from the fitted sampler.

        :raises UnsupportedError: if there is none.
        """
        if self.sampler is None:
            raise UnsupportedError(
                "the model has no fitted sampler: fit one by fit_sampler, or sample from the prior"
            )
        loc, scale = self.prior_moments(y)
        z = loc + scale * self.sampler(y)()
        num_style = self.style_prior().event_shape[0]
        z_c, z_style = z.split([z.shape[-1] - num_style, num_style], dim=-1)
        return z_c, z_style

    def prior_moments(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of the priors of ``(z_c, z_style)`` given labels."""
        check_not_missing(y, self.labels)
        of_c, of_style = moments(self.conditional_prior(y)), moments(self.style_prior())
        pairs = zip(of_c, of_style, strict=True)
        loc, scale = (torch.cat([c, s.expand(*c.shape[:-1], -1)], dim=-1) for c, s in pairs)
        return loc, scale

    def latent_slice(self, index: int) -> slice:
        """The position of a label's characteristics in ``z_c``."""
        return block_of(self.labels, index)

    def latent_prior(self, index: int, value: float) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the conditional prior of a label's characteristics."""
        mean, std = moments(self.conditional_prior(self.label_vector_with(index, value)))
        block = self.latent_slice(index)
        return mean[block], std[block]


def _check_event(fn: TorchDistribution, name: str, size: str, num_wanted: int = 0) -> int:
    """The size of a prior's event, which has to be a vector, of a given size if there is one."""
    shape = tuple(fn.event_shape)
    if len(shape) != 1 or (num_wanted and shape != (num_wanted,)):
        raise ValueError(
            f"{name} must return a distribution of event shape ({num_wanted or size},), as "
            f"Normal(...).to_event(1) has, got {type(fn).__name__} of event shape {shape}"
        )
    return shape[0]


def with_bayes_classifier(ccvae: CCVAE) -> CCVAE:
    """The same model, with the classifier that follows from its priors by Bayes' rule.

    The two models share all other components. Where few labels are known, this classifier is
    often the more accurate one.

    Example:

        >>> import torch
        >>> from ccvae_pyro import celeba, classify
        >>> ccvae = with_bayes_classifier(celeba())
        >>> classify(ccvae, torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 18])
    """
    bayes = CCVAE(
        ccvae.encoder,
        ccvae.decoder,
        BayesClassifier(ccvae.label_prior, ccvae.conditional_prior),
        ccvae.conditional_prior,
        ccvae.style_prior,
        ccvae.label_prior,
        labels=ccvae.labels,
    )
    bayes.image_shape, bayes.preprocessing = ccvae.image_shape, ccvae.preprocessing
    bayes.sampler = ccvae.sampler
    return bayes
