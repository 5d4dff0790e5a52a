"""M1: a VAE, then a classifier on its latents (Kingma et al., 2014)."""

from __future__ import annotations

import pyro
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from ccvae_pyro.distributions.partially_observed import ObservedLabels
from ccvae_pyro.models.base import ImageModel, register
from ccvae_pyro.models.baselines.vae import VAE


class M1(ImageModel):
    r"""The first model of Kingma et al. (2014): a VAE, and a classifier of its latents.

    It is trained in two stages: first a :class:`VAE` on all images; then the classifier, with the
    VAE fixed. Pyro's ELBOs train the classifier too: for this model they reduce to

    .. math:: \sum_{i \text{ known}} \log q_\varphi(y_i \mid z = \mathbb{E}_{q_\phi}[z \mid x]) .

    It cannot edit a label: no part of ``z`` belongs to one label.

    :param vae: the trained VAE.
    :param classifier: :math:`q_\varphi(y \mid z)`, called as ``classifier(z)``.
    """

    def __init__(self, vae: VAE, classifier: nn.Module) -> None:
        super().__init__(vae.labels)
        self.vae, self.classifier = vae, classifier

    @property
    def decoder(self) -> nn.Module:
        """The decoder of the VAE."""
        decoder: nn.Module = self.vae.decoder
        return decoder

    def model(self, x: Tensor, y: Tensor) -> None:
        """The second stage.

        Site by site::

            y ~ q(y | z)              # z: the posterior mean of the VAE
        """
        y = self.checked_batch(x, y)
        register("m1", self.classifier)
        with pyro.plate("data", len(x)):
            pyro.sample("y", ObservedLabels(self._q_y_x(x)), obs=y)

    def guide(self, x: Tensor, y: Tensor) -> None:
        """The inference model, which is empty: there are no latents."""

    def q_y_x(self, x: Tensor) -> TorchDistribution:
        r""":math:`q_\varphi(y \mid z)` at the posterior mean."""
        self.check_images(x)
        return self._q_y_x(x)

    def _q_y_x(self, x: Tensor) -> TorchDistribution:
        with torch.no_grad():
            z = self.vae.posterior_mean(x)
        q_y_x: TorchDistribution = self.classifier(z)
        return q_y_x

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior means of the VAE's latents."""
        self.check_images(x)
        return self.vae.encode(x)

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """The mean image given the VAE's latents."""
        return self.vae.decode(z_c, z_style)

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Samples of the VAE's latents; the labels are ignored."""
        return self.vae.sample_latents(y)
