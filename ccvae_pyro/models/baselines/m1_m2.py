"""M1+M2: an M2 of the latents of a VAE (Kingma et al., 2014)."""

from __future__ import annotations

import pyro
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from ccvae_pyro.components import join
from ccvae_pyro.distributions.partially_observed import infer_labels, sample_labels
from ccvae_pyro.models._contract import of_shape
from ccvae_pyro.models.base import ImageModel, register
from ccvae_pyro.models.baselines.m2 import M2
from ccvae_pyro.models.baselines.vae import VAE


class M1M2(ImageModel):
    r"""The stacked model of Kingma et al. (2014), trained by
    :class:`~ccvae_pyro.objectives.M2_ELBO`, in two stages or jointly.

    For two stages, train the VAE on all images, then :meth:`freeze` it and train the rest. As
    :class:`M2`, it has no characteristics.

    :param vae: the VAE of the images, with latents :math:`z_1`.
    :param m2: the M2 of :math:`z_1` in place of images, with latents :math:`z_2`.
    """

    def __init__(self, vae: VAE, m2: M2) -> None:
        super().__init__(m2.labels)
        self.vae, self.m2 = vae, m2

    @property
    def decoder(self) -> nn.Module:
        """The decoder of the VAE, from :math:`z_1`."""
        decoder: nn.Module = self.vae.decoder
        return decoder

    def model(self, x: Tensor, y: Tensor | None = None) -> None:
        """The generative model.

        Site by site::

            y   ~ p(y)                # observed where it is known
            z_2 ~ p(z_2)
            z_1 ~ p(z_1 | y, z_2)
            x   ~ p(x | z_1)
        """
        y = self.checked_batch(x, y)
        vae, m2 = self._registered()
        with pyro.plate("data", len(x)):
            y = sample_labels(m2.label_prior().expand([len(x)]), y)
            z_2 = pyro.sample("z_2", m2.prior())
            z_1 = pyro.sample("z_1", m2.decoder(join(m2.code(y), z_2)))
            pyro.sample("x", of_shape(vae.decoder(z_1), x), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> None:
        """The inference model.

        Site by site::

            z_1 ~ q(z_1 | x)
            y   ~ q(y | z_1)          # scored where it is known
            z_2 ~ q(z_2 | z_1, y)
        """
        y = self.checked_batch(x, y)
        vae, m2 = self._registered()
        with pyro.plate("data", len(x)):
            (q_z_1,) = vae.encoder(x)
            z_1 = pyro.sample("z_1", q_z_1)
            y = infer_labels(m2.classifier(z_1), y)
            pyro.sample("z_2", m2.encoder(z_1, m2.code(y)))

    def freeze(self) -> None:
        """Fixes the parameters of the VAE."""
        self.vae.eval().requires_grad_(False)  # Pyro warns of a frozen module in training mode

    def _registered(self) -> tuple[VAE, M2]:
        """Registers the two models and returns them."""
        register("vae", self.vae)
        register("m2", self.m2)
        return self.vae, self.m2

    def q_y_x(self, x: Tensor) -> TorchDistribution:
        r""":math:`q_\varphi(y \mid z_1)` at the mean of :math:`z_1`."""
        self.check_images(x)
        return self.m2.q_y_x(self.vae.encode(x)[1])

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The code of the most probable labels; the posterior mean of :math:`z_2` given these,
        with the standardized residual of :math:`z_1` given both.
        """
        self.check_images(x)
        z_1 = self.vae.encode(x)[1]
        code, z_2 = self.m2.encode(z_1)
        p_z_1 = self.m2.decoder(join(code, z_2))
        return code, torch.cat([z_2, (z_1 - p_z_1.mean) / p_z_1.variance.sqrt()], dim=-1)

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """The mean image given :math:`z_1`."""
        z_dim = self.m2.prior().event_shape[0]
        p_z_1 = self.m2.decoder(join(z_c, z_style[..., :z_dim]))
        return self.vae.decode(z_c, p_z_1.mean + z_style[..., z_dim:] * p_z_1.variance.sqrt())

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The labels' code; samples of :math:`z_2` and of the standardized :math:`z_1`."""
        code, z_2 = self.m2.sample_latents(y)
        z_1 = self.m2.decoder(join(code, z_2)).mean
        return code, torch.cat([z_2, torch.randn_like(z_1)], dim=-1)

    def latent_slice(self, index: int) -> slice:
        """The position of a label in the code."""
        return self.m2.latent_slice(index)

    def latent_prior(self, index: int, value: float) -> tuple[Tensor, Tensor]:
        """The code of a label's value, with standard deviation 0."""
        return self.m2.latent_prior(index, value)
