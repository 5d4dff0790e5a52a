"""CVAE: a model of images given their labels (Sohn et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor, nn

from ccvae_pyro.components import LabelCode, join
from ccvae_pyro.labels import Label
from ccvae_pyro.models._contract import check_not_missing, of_shape
from ccvae_pyro.models.base import ImageModel, register


class CVAE(ImageModel):
    r"""The conditional VAE of Sohn et al. (2015), trained by Pyro's ELBOs:

    .. math:: \mathcal{L}(x \mid y) = \mathbb{E}_{q_\phi(z \mid x, y)} [\log p_\theta(x \mid y, z)]
              - \operatorname{KL}(q_\phi(z \mid x, y) \,\|\, p(z))

    The labels are inputs: it cannot predict them, and it does not learn from images with missing
    labels. It has no characteristics: an image depends on the value of a label alone.

    :param encoder: :math:`q_\phi(z \mid x, y)`, called as ``encoder(x, code)``.
    :param decoder: :math:`p_\theta(x \mid y, z)`, called with the concatenated code and ``z``.
    :param prior: :math:`p(z)`, called as ``prior()``.
    :param labels: descriptions of the labels; :class:`~ccvae_pyro.components.LabelCode` encodes
        them.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, labels: Sequence[Label]
    ) -> None:
        super().__init__(labels)
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        self.code = LabelCode(labels)

    @property
    def latent_sizes(self) -> dict[str, int]:
        """The number of dimensions of ``z``."""
        return {"z": self.prior().event_shape[0]}

    def model(self, x: Tensor, y: Tensor) -> None:
        """The generative model; images with missing labels are masked.

        Site by site::

            z ~ p(z)
            x ~ p(x | y, z)
        """
        y = self.checked_batch(x, y)
        register("cvae", self)
        with pyro.plate("data", len(x)), poutine.mask(mask=_is_labeled(y)):
            z = pyro.sample("z", self.prior())
            p_x = self.decoder(join(self.code(y.nan_to_num()), z))
            pyro.sample("x", of_shape(p_x, x), obs=x)

    def guide(self, x: Tensor, y: Tensor) -> None:
        """The inference model.

        Site by site::

            z ~ q(z | x, y)
        """
        y = self.checked_batch(x, y)
        register("cvae", self)
        with pyro.plate("data", len(x)), poutine.mask(mask=_is_labeled(y)):
            pyro.sample("z", self.encoder(x, self.code(y.nan_to_num())))

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """The mean image given the labels' code and ``z``."""
        image: Tensor = self.decoder(join(z_c, z_style)).mean
        return image

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The labels' code, and a sample of ``z`` from its prior."""
        check_not_missing(y, self.labels)
        return self.code(y), self.prior()(y.shape[:-1])

    def latent_slice(self, index: int) -> slice:
        """The position of a label in the code."""
        return self.code.latent_slice(index)

    def latent_prior(self, index: int, value: float) -> tuple[Tensor, Tensor]:
        """The code of a label's value, with standard deviation 0."""
        code = self.code(self.label_vector_with(index, value))[self.latent_slice(index)]
        return code, torch.zeros_like(code)


def _is_labeled(y: Tensor) -> Any:
    """Whether all labels of an image are known, shape ``(batch,)``."""
    return ~y.isnan().any(-1)
