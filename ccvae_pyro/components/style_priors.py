"""Style priors: modules that return p(z_style)."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ccvae_pyro.components._normal import vector
from ccvae_pyro.distributions.normal import FusedNormal
from ccvae_pyro.networks._sizes import check_sizes


class StandardNormal(nn.Module):
    r"""The style prior :math:`p(z_{\setminus c}) = \mathcal{N}(0, I)`.

    :param dim: the number of style dimensions.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        check_sizes(0, dim=dim)
        self.loc: Tensor
        self.scale: Tensor
        self.register_buffer("loc", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def forward(self) -> dist.Independent:
        return vector(FusedNormal(self.loc, self.scale, validate_args=False))
