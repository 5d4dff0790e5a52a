"""The Laplace distribution of an image."""

from __future__ import annotations

import math

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor

from ccvae_pyro.distributions.nested_categorical import Size


class SharedScaleLaplace(TorchDistribution):
    r"""Independent Laplaces of one scale :math:`b` at all :math:`D` elements of an event.

    .. math:: \log p(x) = -\frac{1}{b} \sum_{i=1}^{D} |x_i - \mu_i| - D \log 2b

    The same as ``Laplace(loc, scale).to_event(event_dim)``, which would compute the constant and
    divide by the scale pixel by pixel, and take a tenth of a training step to do it. Nor does it
    look whether each pixel is a number: of one that is not, the density is none either.

    :param loc: :math:`\mu`, shape ``batch_shape + event_shape``.
    :param scale: :math:`b`, one positive number.
    :param event_dim: how many dimensions an event has.
    :raises ValueError: if the scale is not one positive number, or ``loc`` has fewer dimensions
        than an event.
    """

    arg_constraints = {"scale": constraints.positive}  # noqa: RUF012
    has_rsample = True

    def __init__(
        self, loc: Tensor, scale: Tensor, event_dim: int, validate_args: bool | None = None
    ) -> None:
        split = loc.dim() - event_dim
        if scale.dim() or split < 0:
            raise ValueError(
                f"wanted one scale, and a loc of at least {event_dim} dimensions, got shapes "
                f"{tuple(scale.shape)} and {tuple(loc.shape)}"
            )
        self.loc, self.scale = loc, scale
        super().__init__(loc.shape[:split], loc.shape[split:], validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return (2 * self.scale**2).expand_as(self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        event = tuple(range(-len(self.event_shape), 0))
        value, loc = torch.broadcast_tensors(value, self.loc)
        distance = F.l1_loss(loc, value, reduction="none").sum(event)  # no sign to turn
        constant = math.prod(self.event_shape) * (2 * self.scale).log()
        return -torch.addcdiv(constant, distance, self.scale)

    def rsample(self, sample_shape: Size = ()) -> Tensor:
        samples: Tensor = dist.Laplace(self.loc, self.scale).rsample(torch.Size(sample_shape))
        return samples

    def expand(
        self, batch_shape: Size, _instance: SharedScaleLaplace | None = None
    ) -> SharedScaleLaplace:
        loc = self.loc.expand(torch.Size(batch_shape) + self.event_shape)
        return SharedScaleLaplace(loc, self.scale, len(self.event_shape), self._validate_args)
