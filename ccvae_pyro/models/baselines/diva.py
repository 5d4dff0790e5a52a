"""DIVA, without its domains (Ilse et al., 2020)."""

from __future__ import annotations

from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ccvae_pyro.models.base import register
from ccvae_pyro.models.ccvae import CCVAE
from ccvae_pyro.objectives.ccvae_elbo import CCVAE_ELBO


class DIVA(CCVAE):
    r"""The domain invariant VAE of Ilse et al. (2020) without domains, as Joy et al. compare it.

    Its parts are those of a :class:`~ccvae_pyro.CCVAE`, and so is all that it can do. It differs
    in its objective, :class:`DIVA_ELBO`, and in a weight on what latents cost.

    :param args: as of :class:`~ccvae_pyro.CCVAE`.
    :param beta: :math:`\beta`, that weight.
    """

    def __init__(self, *args: Any, beta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.beta = beta

    def model(self, x: Tensor, y: Tensor | None = None) -> None:
        """The generative model, that of a CCVAE; its latents count beta times.

        Site by site::

            y       ~ p(y)                # observed where it is known
            z_c     ~ p(z_c | y)
            z_style ~ p(z_style)
            x       ~ p(x | z_c, z_style)
        """
        register("ccvae", self)
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", self.label_prior(), obs=y)
            with poutine.scale(scale=self.beta):
                z_c = pyro.sample("z_c", self.conditional_prior(y))
                z_style = pyro.sample("z_style", self.style_prior())
            pyro.sample("x", self.decoder(torch.cat([z_c, z_style], dim=-1)), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> None:
        """The inference model, that of a CCVAE; its latents count beta times.

        Site by site::

            z_c     ~ q(z_c | x)
            y       ~ q(y | z_c)
            z_style ~ q(z_style | x)
        """
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


class DIVA_ELBO(CCVAE_ELBO):
    r"""The objective of Ilse et al. (2020), label by label, for images with and without labels:

    .. math::
        \mathcal{F}(x, y) &= \log p(y) + \mathbb{E}_{q_\phi(z \mid x)} \left[
            \log p_\theta(x \mid z)
            + \beta \log \frac{p_\psi(z_c \mid y) \, p(z_{\setminus c})}{q_\phi(z \mid x)}
            + \alpha \log q_\varphi(y \mid z_c) \right] , \\
        \mathcal{F}(x) &= \mathbb{E}_{q_\phi(z \mid x)} \left[ \log p_\theta(x \mid z)
            + \beta \log \frac{p(z_{\setminus c})}{q_\phi(z \mid x)}
            + \sum_i \sum_{y_i} q_\varphi(y_i \mid z_c^i) \left(
              \beta \log p_\psi(z_c^i \mid y_i)
              + \log \frac{p(y_i)}{q_\varphi(y_i \mid z_c^i)} \right) \right] .

    It is what remains of :class:`~ccvae_pyro.CCVAE_ELBO` with one draw, by which labels are scored
    and :math:`q(y \mid x)` is estimated: then all weights are 1. The posterior of an image is the
    same whatever its label, and classification is a term of its own.

    :param classification_weight: :math:`\alpha`; :math:`\beta` is the model's.
    :param kwargs: passed to :class:`~ccvae_pyro.CCVAE_ELBO`, for example ``num_particles``.
    """

    def __init__(self, classification_weight: float, **kwargs) -> None:
        super().__init__(
            num_label_samples=1,
            share_sample=True,
            stop_gradient=False,
            classification_weight=classification_weight,
            **kwargs,
        )
