"""Distributions of an image whose pixels share one scale."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor

from ccvae_pyro.distributions.nested_categorical import Size


class SharedScale(TorchDistribution):
    """Independent distributions of one family and one scale at all elements of an event.

    The same as ``Family(loc, scale).to_event(event_dim)``, which would compute the constant and
    divide by the scale pixel by pixel, and take a tenth of a training step to do it. Nor does it
    look whether each pixel is a number: of one that is not, the density is none either.

    :param loc: the location of each element, shape ``batch_shape + event_shape``.
    :param scale: one positive number.
    :param event_dim: how many dimensions an event has.
    :param image_range: the least and the greatest value of a pixel, to which the ``mean`` is
        clipped; by default it is not.
    :raises ValueError: if the scale is not one positive number, or ``loc`` has fewer dimensions
        than an event.
    """

    arg_constraints = {"scale": constraints.positive}  # noqa: RUF012
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        event_dim: int,
        validate_args: bool | None = None,
        *,
        image_range: tuple[float, float] | None = None,
    ) -> None:
        split = loc.dim() - event_dim
        if scale.dim() or split < 0:
            raise ValueError(
                f"wanted one scale, and a loc of at least {event_dim} dimensions, got shapes "
                f"{tuple(scale.shape)} and {tuple(loc.shape)}"
            )
        self.loc, self.scale, self.image_range = loc, scale, image_range
        super().__init__(loc.shape[:split], loc.shape[split:], validate_args=validate_args)

    def family(self) -> Any:
        """The distribution of each element."""
        raise NotImplementedError

    @property
    def support(self) -> constraints.Constraint:
        return constraints.independent(constraints.real, len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        return self.loc if self.image_range is None else self.loc.clamp(*self.image_range)

    @property
    def variance(self) -> Tensor:
        variance: Tensor = self.family().variance
        return variance.expand_as(self.loc)

    def rsample(self, sample_shape: Size = ()) -> Tensor:
        samples: Tensor = self.family().rsample(torch.Size(sample_shape))
        return samples

    def expand(self, batch_shape: Size, _instance: Any = None) -> SharedScale:
        loc = self.loc.expand(torch.Size(batch_shape) + self.event_shape)
        dims, image_range = len(self.event_shape), self.image_range
        return type(self)(loc, self.scale, dims, self._validate_args, image_range=image_range)

    def _sum(self, elements: Tensor) -> Tensor:
        """The sum over an event."""
        return elements.sum(tuple(range(-len(self.event_shape), 0)))

    def _pair(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Value and location, of one shape."""
        value, loc = torch.broadcast_tensors(value, self.loc)
        return value, loc

    @property
    def _num_elements(self) -> int:
        return math.prod(self.event_shape)


class SharedScaleLaplace(SharedScale):
    r"""Laplaces of one scale :math:`b` at :math:`D` elements.

    .. math:: \log p(x) = -\frac{1}{b} \sum_{i=1}^{D} |x_i - \mu_i| - D \log 2b
    """

    def family(self) -> Any:
        return dist.Laplace(self.loc, self.scale)

    def log_prob(self, value: Tensor) -> Tensor:
        value, loc = self._pair(value)
        distance = self._sum(F.l1_loss(loc, value, reduction="none"))  # no sign to turn
        constant = -self._num_elements * (2 * self.scale).log()
        return torch.addcdiv(constant, distance, self.scale, value=-1)


class SharedScaleNormal(SharedScale):
    r"""Normals of one standard deviation :math:`b` at :math:`D` elements.

    .. math:: \log p(x) = -\frac{1}{2 b^2} \sum_{i=1}^{D} (x_i - \mu_i)^2
              - \frac{D}{2} \log 2 \pi b^2
    """

    def family(self) -> Any:
        return dist.Normal(self.loc, self.scale)

    def log_prob(self, value: Tensor) -> Tensor:
        value, loc = self._pair(value)
        distance = self._sum(F.mse_loss(loc, value, reduction="none"))
        constant = self._num_elements * (2 * math.pi * self.scale**2).log()
        return -(constant + distance / self.scale**2) / 2


class SharedScaleLogistic(SharedScale):
    r"""Logistic distributions of one scale :math:`b`, discretized to the 256 values of a byte.

    The probability of a pixel is the mass between the midpoints to its neighbors, at a distance
    :math:`\delta = 1/510`; that of 0 and 1 includes the tails (Kingma et al., 2016):

    .. math:: p(x_i) = \sigma\!\left( \frac{x_i + \delta - \mu_i}{b} \right)
                     - \sigma\!\left( \frac{x_i - \delta - \mu_i}{b} \right)

    It is a probability and never above 1, so that no scale is too small for it.
    """

    has_rsample = False

    def family(self) -> Any:
        base = dist.Uniform(torch.zeros_like(self.loc), torch.ones_like(self.loc))
        to_logistic = [
            dist.transforms.SigmoidTransform().inv,
            dist.transforms.AffineTransform(self.loc, self.scale),
        ]
        return dist.TransformedDistribution(base, to_logistic)

    @property
    def variance(self) -> Tensor:
        return ((math.pi * self.scale) ** 2 / 3).expand_as(self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        value, loc = self._pair(value)
        half = 1 / 510
        above, below = (value + half - loc) / self.scale, (value - half - loc) / self.scale
        # sigma(a) - sigma(b) = sigma(a) sigma(-b) (1 - exp(b - a)), without cancellation
        log_above = F.logsigmoid(above)
        log_below = F.logsigmoid(-below)
        log_width = torch.log(-torch.expm1(-2 * half / self.scale))
        log_p = log_above + log_below + log_width
        log_p = torch.where(value <= half, log_above, log_p)
        return self._sum(torch.where(value >= 1 - half, log_below, log_p))

    @torch.no_grad()
    def sample(self, sample_shape: Size = ()) -> Tensor:
        samples: Tensor = self.family().sample(torch.Size(sample_shape))
        return (samples.clamp(0, 1) * 255).round() / 255
