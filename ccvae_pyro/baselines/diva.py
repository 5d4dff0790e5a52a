"""DIVA, without its domains (Ilse et al., 2020)."""

from __future__ import annotations

from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ccvae_pyro.elbo import CCVAE_ELBO
from ccvae_pyro.family import register
from ccvae_pyro.model import CCVAE


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
        """The generative model, that of a CCVAE; the first three count beta times.

        Site by site::

            y       ~ p(y)                # observed where it is known
            z_c     ~ p(z_c | y)
            z_style ~ p(z_style)
            x       ~ p(x | z_c, z_style)
        """
        register("ccvae", self)
        with pyro.plate("data", len(x)):
            with poutine.scale(scale=self.beta):
                y = pyro.sample("y", self.label_prior(), obs=y)
                z_c = pyro.sample("z_c", self.conditional_prior(y))
                z_style = pyro.sample("z_style", self.style_prior())
            pyro.sample("x", self.decoder(torch.cat([z_c, z_style], dim=-1)), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> None:
        """The inference model, that of a CCVAE; all of it counts beta times."""
        with poutine.scale(scale=self.beta):
            super().guide(x, y)


class DIVA_ELBO(CCVAE_ELBO):
    r"""The objective of Ilse et al. (2020), label by label, for images with and without labels:

    .. math::
        \mathcal{F}(x, y) &= \mathbb{E}_{q_\phi(z \mid x)} \left[ \log p_\theta(x \mid z)
            + \beta \log \frac{p(y) \, p_\psi(z_c \mid y) \, p(z_{\setminus c})}
                              {q_\phi(z \mid x)}
            + \alpha \log q_\varphi(y \mid z_c) \right] , \\
        \mathcal{F}(x) &= \mathbb{E}_{q_\phi(z \mid x)} \left[ \log p_\theta(x \mid z)
            + \beta \log \frac{p(z_{\setminus c})}{q_\phi(z \mid x)}
            + \beta \sum_i \sum_{y_i} q_\varphi(y_i \mid z_c^i)
              \log \frac{p(y_i) \, p_\psi(z_c^i \mid y_i)}{q_\varphi(y_i \mid z_c^i)} \right] .

    It is what remains of :class:`~ccvae_pyro.CCVAE_ELBO` with one draw, by which labels are scored
    and :math:`q(y \mid x)` is estimated: then all weights are 1. The posterior of an image is the
    same whatever its label, and classification is a term of its own.

    :param classification_weight: :math:`\alpha`; the paper's is 3,500 for images of digits.
    :param beta: :math:`\beta`, as the model has it.
    :param kwargs: passed to :class:`~ccvae_pyro.CCVAE_ELBO`, for example ``num_particles``.
    """

    def __init__(self, classification_weight: float, *, beta: float = 1.0, **kwargs) -> None:
        super().__init__(
            num_label_samples=1,
            count_used_draw=True,
            stop_gradient=False,
            classification_weight=classification_weight / beta,
            **kwargs,
        )
