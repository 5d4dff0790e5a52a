"""VAE: a model without labels (Kingma and Welling, 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import pyro
from torch import Tensor, nn

from ccvae_pyro.labels import Label
from ccvae_pyro.models._contract import of_shape
from ccvae_pyro.models.base import ImageModel, moments, register


class VAE(ImageModel):
    r"""The variational autoencoder of Kingma and Welling (2014), trained by Pyro's ELBOs:

    .. math:: \mathcal{L}(x) = \mathbb{E}_{q_\phi(z \mid x)} [\log p_\theta(x \mid z)]
              - \operatorname{KL}(q_\phi(z \mid x) \,\|\, p(z))

    It ignores the labels: it cannot predict or edit them, nor generate images with target labels.

    :param encoder: :math:`q_\phi(z \mid x)`, called as ``(q_z,) = encoder(x)``.
    :param decoder: :math:`p_\theta(x \mid z)`, called as ``decoder(z)``.
    :param prior: :math:`p(z)`, called as ``prior()``.
    :param labels: descriptions of the labels, which the model ignores.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, labels: Sequence[Label]
    ) -> None:
        super().__init__(labels)
        self.encoder, self.decoder, self.prior = encoder, decoder, prior

    @property
    def latent_sizes(self) -> dict[str, int]:
        """The number of dimensions of ``z``."""
        return {"z": self.prior().event_shape[0]}

    def model(self, x: Tensor, y: Tensor | None = None) -> None:
        """The generative model; the labels are ignored.

        Site by site::

            z ~ p(z)
            x ~ p(x | z)
        """
        self.checked_batch(x, y)
        register("vae", self)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", self.prior())
            pyro.sample("x", of_shape(self.decoder(z), x), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> None:
        """The inference model.

        Site by site::

            z ~ q(z | x)
        """
        self.checked_batch(x, y)
        register("vae", self)
        with pyro.plate("data", len(x)):
            (q_z,) = self.encoder(x)
            pyro.sample("z", q_z)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """An empty ``z_c``, and the posterior mean of ``z``."""
        self.check_images(x)
        z = self.posterior_mean(x)
        return z[..., :0], z

    def posterior_mean(self, x: Tensor) -> Tensor:
        """The posterior mean of ``z``."""
        (q_z,) = self.encoder(x)
        return moments(q_z)[0]

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """The mean image given ``z``."""
        image: Tensor = self.decoder(z_style).mean
        return image

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """An empty ``z_c``, and a sample of ``z`` from its prior for each label vector."""
        z = self.prior()(y.shape[:-1])
        return z[..., :0], z
