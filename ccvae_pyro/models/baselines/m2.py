"""M2: a model in which the labels are latents, known or not (Kingma et al., 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import pyro
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from ccvae_pyro.components import join
from ccvae_pyro.distributions.label_vector import most_likely
from ccvae_pyro.distributions.partially_observed import infer_labels, sample_labels
from ccvae_pyro.labels import Label
from ccvae_pyro.models._contract import of_shape
from ccvae_pyro.models.base import moments, register
from ccvae_pyro.models.baselines.cvae import CVAE


class M2(CVAE):
    r"""The semi-supervised VAE of Kingma et al. (2014), trained by
    :class:`~ccvae_pyro.objectives.M2_ELBO`.

    It is a :class:`CVAE` with a classifier and a prior of the labels. It has no characteristics:
    an image depends on the value of a label alone.

    :param classifier: :math:`q_\varphi(y \mid x)`, called as ``classifier(x)``.
    :param encoder: :math:`q_\phi(z \mid x, y)`, called as ``encoder(x, code)``.
    :param decoder: :math:`p_\theta(x \mid y, z)`, called with the concatenated code and ``z``.
    :param prior: :math:`p(z)`, called as ``prior()``.
    :param label_prior: :math:`p(y)`, called as ``label_prior()``.
    :param labels: descriptions of the labels.
    """

    def __init__(
        self,
        classifier: nn.Module,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        label_prior: nn.Module,
        labels: Sequence[Label],
    ) -> None:
        super().__init__(encoder, decoder, prior, labels)
        self.classifier, self.label_prior = classifier, label_prior

    def model(self, x: Tensor, y: Tensor | None = None) -> None:
        """The generative model.

        Site by site::

            y ~ p(y)                  # observed where it is known
            z ~ p(z)
            x ~ p(x | y, z)
        """
        y = self.checked_batch(x, y)
        register("m2", self)
        with pyro.plate("data", len(x)):
            y = sample_labels(self.label_prior().expand([len(x)]), y)
            z = pyro.sample("z", self.prior())
            p_x = self.decoder(join(self.code(y), z))
            pyro.sample("x", of_shape(p_x, x), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> None:
        """The inference model.

        Site by site::

            y ~ q(y | x)              # scored where it is known
            z ~ q(z | x, y)
        """
        y = self.checked_batch(x, y)
        register("m2", self)
        with pyro.plate("data", len(x)):
            y = infer_labels(self.classifier(x), y)
            pyro.sample("z", self.encoder(x, self.code(y)))

    def q_y_x(self, x: Tensor) -> TorchDistribution:
        r""":math:`q_\varphi(y \mid x)`."""
        self.check_images(x)
        q_y_x: TorchDistribution = self.classifier(x)
        return q_y_x

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The code of the most probable labels, and the posterior mean of ``z`` given these."""
        code = self.code(most_likely(self.q_y_x(x)))
        return code, moments(self.encoder(x, code))[0]
