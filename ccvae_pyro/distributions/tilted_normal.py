"""The tilted Normal: the posterior of a Normal latent whose classifier's label is known."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributions import Normal
from torch.distributions.kl import register_kl
from torch.distributions.utils import broadcast_all

from ccvae_pyro.distributions._tilted_quadrature import TiltedQuadrature, sample_probability
from ccvae_pyro.distributions.nested_categorical import Size
from ccvae_pyro.distributions.normal import sum_to


class TiltedNormal(TorchDistribution):
    r"""A Normal reweighed by a logistic function of its variable, and normalized.

    .. math::
        p(z) = \frac{\mathcal{N}(z; \mu, s) \, \sigma(a z + c)}{Z}, \qquad
        Z = \int \mathcal{N}(z; \mu, s) \, \sigma(a z + c) \, dz

    With :math:`q(z \mid x)` the Normal and :math:`q(y = 1 \mid z) = \sigma(a z + c)` a classifier,
    it is the posterior :math:`q(z \mid x, y = 1)` of Joy et al. (2021), Section 4, and
    :math:`Z = q(y = 1 \mid x)`; for :math:`y = 0` negate ``slope`` and ``offset``. With a slope of
    0 it is the Normal itself.

    :math:`Z`, the moments and the distribution function are sums over a few dozen nodes.

    :param loc: :math:`\mu`, the Normal's mean.
    :param scale: :math:`s`, the Normal's standard deviation.
    :param slope: :math:`a`.
    :param offset: :math:`c`.

    Example:

        >>> posterior = TiltedNormal(loc=0.0, scale=1.0, slope=20.0, offset=0.0)
        >>> posterior.mean  # nearly that of half a Normal, sqrt(2 / pi) = 0.798
        tensor(0.7946)
    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real,
        "scale": constraints.positive,
        "slope": constraints.real,
        "offset": constraints.real,
    }
    support = constraints.real
    has_rsample = True
    _kept: TiltedQuadrature | None = None

    def __init__(
        self,
        loc: Tensor | float,
        scale: Tensor | float,
        slope: Tensor | float,
        offset: Tensor | float,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.scale, self.slope, self.offset = broadcast_all(loc, scale, slope, offset)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def _standard(self) -> TiltedQuadrature:
        """That of the standardized variable, ``(z - loc) / scale``.

        Made anew each time: an optimizer may have moved the parameters.
        """
        if self._kept is not None:
            return self._kept
        slope = self.slope * self.scale
        offset = torch.addcmul(self.offset, self.slope, self.loc)
        return TiltedQuadrature(slope.flatten(), offset.flatten())

    def keep_standard(self) -> TiltedNormal:
        """Computes the quadrature once.

        Samples and moments then share it, and their gradients one backward pass: a second one
        needs another distribution, and so do parameters that were changed in place.
        """
        self._kept = self._standard
        return self

    @property
    def log_normalizer(self) -> Tensor:
        r""":math:`\log Z`, which is :math:`\log q(y \mid x)`."""
        return self._standard.log_normalizer.view(self.batch_shape)

    @property
    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        r"""Expectations of the standardized variable, its square, and :math:`\log \sigma`."""
        of = self._standard
        mean, square, log_factor = (
            each.view(self.batch_shape) for each in (of.mean, of.square, of.log_factor)
        )
        return mean, square, log_factor

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * self.moments[0]

    @property
    def variance(self) -> Tensor:
        mean, square, _ = self.moments
        return self.scale**2 * (square - mean**2)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        normal = Normal(self.loc, self.scale, validate_args=False).log_prob(value)
        log_prob: Tensor = (
            normal + F.logsigmoid(self.slope * value + self.offset) - self.log_normalizer
        )
        return log_prob

    def rsample(self, sample_shape: Size = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.icdf(sample_probability(shape, self.loc))

    def cdf(self, value: Tensor) -> Tensor:
        """The distribution function, to some 1e-6 in double precision and 1e-4 in single."""
        if self._validate_args:
            self._validate_sample(value)
        t = (value.to(self.loc.dtype) - self.loc) / self.scale
        return self._standard.cdf(self._by_density(t)).view(t.shape)

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of the distribution function.

        :param value: probabilities, strictly between 0 and 1.
        """
        if self._validate_args and not ((value > 0) & (value < 1)).all():
            raise ValueError(f"a quantile needs probabilities between 0 and 1, got {value}")
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        value = value.to(self.loc.dtype).expand(shape)
        t = self._standard.icdf(self._by_density(value))
        return torch.addcmul(self.loc, self.scale, t.view(value.shape))

    def _by_density(self, values: Tensor) -> Tensor:
        """Values as ``(num, num_densities)``, also of none."""
        num_densities = self.loc.numel()
        return values.reshape(values.numel() // max(num_densities, 1), num_densities)

    def entropy(self) -> Tensor:
        _, square, log_factor = self.moments
        log_normal = -(square + math.log(2 * math.pi)) / 2 - self.scale.log()
        return self.log_normalizer - log_factor - log_normal

    def expand(self, batch_shape: Size, _instance: TiltedNormal | None = None) -> TiltedNormal:
        shape = torch.Size(batch_shape)
        return TiltedNormal(
            self.loc.expand(shape),
            self.scale.expand(shape),
            self.slope.expand(shape),
            self.offset.expand(shape),
            validate_args=self._validate_args,
        )


@register_kl(TiltedNormal, Normal)  # type: ignore[untyped-decorator]
def _kl_tilted_normal_normal(p: TiltedNormal, q: Normal) -> Tensor:
    mean, square, log_factor = p.moments
    kl: Tensor = _Divergence.apply(
        p.log_normalizer, mean, square, log_factor, p.loc, p.scale, q.loc, q.scale
    )
    return kl


class _Divergence(torch.autograd.Function):
    r"""The expectation of :math:`\log p - \log q`, by moments of the standardized variable.

    With :math:`r = s_p / s_q` and :math:`d = (\mu_p - \mu_q) / s_q`,

    .. math:: \operatorname{KL}(p \,\|\, q) = \mathbb{E}_p[\log \sigma] - \log Z - \log r
              + \mathbb{E}_p[(r t + d)^2 - t^2] / 2 .
    """

    @staticmethod
    def forward(
        ctx: Any,
        log_z: Tensor,
        mean: Tensor,
        square: Tensor,
        log_factor: Tensor,
        loc: Tensor,
        scale: Tensor,
        q_loc: Tensor,
        q_scale: Tensor,
    ) -> Tensor:
        r, d = scale / q_scale, (loc - q_loc) / q_scale
        by_r, by_d = torch.addcmul(d * mean, r, square), torch.addcmul(d, r, mean)
        ctx.save_for_backward(r, d, by_r, by_d, q_scale)
        ctx.shapes = loc.shape, q_loc.shape
        half_square = torch.addcmul(r * by_r, d, by_d).sub_(square).mul_(0.5)
        return half_square.add_(log_factor).sub_(log_z).sub_(r.log())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        r, d, by_r, by_d, q_scale = ctx.saved_tensors
        by_mean = gradient * r * d
        by_square = torch.addcmul(gradient, gradient * r, r, value=-1) * -0.5
        per_scale = gradient / q_scale
        by_loc, by_scale = per_scale * by_d, per_scale * (by_r - r.reciprocal())
        by_q_scale = torch.addcmul(by_scale * r, by_loc, d).neg_()
        of_p, of_q = ctx.shapes
        by_p = (-gradient, by_mean, by_square, gradient, by_loc, by_scale)
        by_q = (-by_loc, by_q_scale)
        return *(sum_to(each, of_p) for each in by_p), *(sum_to(each, of_q) for each in by_q)
