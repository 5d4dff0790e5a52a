"""DIVA, without its domains (Ilse et al., 2020)."""

from __future__ import annotations

from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ccvae_pyro.models._contract import check_not_missing, of_shape
from ccvae_pyro.models.base import register
from ccvae_pyro.models.ccvae import CCVAE


class DIVA(CCVAE):
    r"""The domain invariant VAE of Ilse et al. (2020) without domains, as Joy et al. compare it.

    It has the components and the methods of a :class:`~ccvae_pyro.CCVAE`. It differs in its
    objective, :class:`~ccvae_pyro.objectives.DIVA_ELBO`, and in the weight of the KL divergence.

    :param args: the arguments of :class:`~ccvae_pyro.CCVAE`.
    :param beta: :math:`\beta`, the weight of the KL divergence of the latents.
    """

    def __init__(self, *args: Any, beta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.beta = beta

    def model(self, x: Tensor, y: Tensor | None = None) -> None:
        """The generative model of a CCVAE, with its latents scaled by beta.

        Site by site::

            y       ~ p(y)                # observed where it is known
            z_c     ~ p(z_c | y)
            z_style ~ p(z_style)
            x       ~ p(x | z_c, z_style)
        """
        y = self.checked_batch(x, y)
        register("ccvae", self)
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", self.label_prior(), obs=y)
            check_not_missing(y, self.labels, can_wait=False)
            with poutine.scale(scale=self.beta):
                z_c = pyro.sample("z_c", self.conditional_prior(y))
                z_style = pyro.sample("z_style", self.style_prior())
            p_x = self.decoder(torch.cat([z_c, z_style], dim=-1))
            pyro.sample("x", of_shape(p_x, x), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> None:
        """The inference model of a CCVAE, with its latents scaled by beta.

        Site by site::

            z_c     ~ q(z_c | x)
            y       ~ q(y | z_c)
            z_style ~ q(z_style | x)
        """
        y = self.checked_batch(x, y)
        register("ccvae", self)
        latents = poutine.scale(scale=self.beta)
        with pyro.plate("data", len(x)):
            q_z_c, q_z_style = self.encoder(x)
            with latents:
                z_c = pyro.sample("z_c", q_z_c)
            is_labeled = y is not None
            pyro.sample("y", self.classifier(z_c), obs=y, infer={"is_auxiliary": is_labeled})
            with latents:
                pyro.sample("z_style", q_z_style)
