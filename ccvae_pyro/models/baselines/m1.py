"""M1: a VAE, then a classifier on its latents (Kingma et al., 2014)."""

from __future__ import annotations

import pyro
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from ccvae_pyro.distributions.partially_observed import KnownLabels
from ccvae_pyro.models.base import ImageModel, register
from ccvae_pyro.models.baselines.vae import VAE


class M1(ImageModel):
    r"""The first model of Kingma et al. (2014): a classifier of what a VAE makes of images.

    It is trained in two stages: a :class:`VAE`, on all images, and then, with that as it is, the
    classifier, by Pyro's own objectives, of which nothing is left but

    .. math:: \sum_{i \text{ known}} \log q_\varphi(y_i \mid z = \mathbb{E}_{q_\phi}[z \mid x]) .

    It cannot edit a label, as it does not know which part of ``z`` is the label's.

    :param vae: the trained model.
    :param classifier: :math:`q_\varphi(y \mid z)`, called as ``classifier(z)``.
    """

    def __init__(self, vae: VAE, classifier: nn.Module) -> None:
        super().__init__(vae.labels)
        self.vae, self.classifier = vae, classifier

    def model(self, x: Tensor, y: Tensor) -> None:
        """The second stage.

        Site by site::

            y ~ q(y | z)              # z the posterior mean of the VAE
        """
        register("m1", self.classifier)
        with pyro.plate("data", len(x)):
            pyro.sample("y", KnownLabels(self.q_y_x(x)), obs=y)

    def guide(self, x: Tensor, y: Tensor) -> None:
        """There is nothing to infer."""

    def q_y_x(self, x: Tensor) -> TorchDistribution:
        r""":math:`q_\varphi(y \mid z)` at the posterior mean."""
        with torch.no_grad():
            _, z = self.vae.encode(x)
        return self.classifier(z)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As the VAE does."""
        return self.vae.encode(x)

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """As the VAE does."""
        return self.vae.decode(z_c, z_style)

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As the VAE does, whatever the labels are."""
        return self.vae.sample_latents(y)
