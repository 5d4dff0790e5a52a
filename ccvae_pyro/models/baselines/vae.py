"""VAE: no labels at all (Kingma and Welling, 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import pyro
from torch import Tensor, nn

from ccvae_pyro.labels import Label
from ccvae_pyro.models.base import ImageModel, register


class VAE(ImageModel):
    r"""The variational autoencoder of Kingma and Welling (2014), trained by Pyro's own objectives:

    .. math:: \mathcal{L}(x) = \mathbb{E}_{q_\phi(z \mid x)} [\log p_\theta(x \mid z)]
              - \operatorname{KL}(q_\phi(z \mid x) \,\|\, p(z))

    It knows of no labels: it can neither read them, nor edit them, and what it generates has any.

    :param encoder: :math:`q_\phi(z \mid x)`, called as ``(q_z,) = encoder(x)``.
    :param decoder: :math:`p_\theta(x \mid z)`, called as ``decoder(z)``.
    :param prior: :math:`p(z)`, called as ``prior()``.
    :param labels: what the labels are that it does without.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, labels: Sequence[Label]
    ) -> None:
        super().__init__(labels)
        self.encoder, self.decoder, self.prior = encoder, decoder, prior

    def model(self, x: Tensor, y: Tensor | None = None) -> None:
        """The generative model, whatever the labels are.

        Site by site::

            z ~ p(z)
            x ~ p(x | z)
        """
        register("vae", self)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", self.prior())
            pyro.sample("x", self.decoder(z), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> None:
        """The inference model.

        Site by site::

            z ~ q(z | x)
        """
        register("vae", self)
        with pyro.plate("data", len(x)):
            (q_z,) = self.encoder(x)
            pyro.sample("z", q_z)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """No latents of labels, and the posterior mean of ``z``."""
        z = self.encoder(x)[0].mean
        return z[..., :0], z

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """The mean image of ``z``."""
        return self.decoder(z_style).mean

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As many ``z`` as there are rows of labels, whatever these are."""
        z = self.prior().sample(y.shape[:-1])
        return z[..., :0], z
