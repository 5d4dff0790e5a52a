"""The Normal distribution, scored fast."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributions.kl import register_kl
from torch.distributions.utils import broadcast_all

from ccvae_pyro.distributions.nested_categorical import Size

HALF_LOG_TWO_PI = math.log(2 * math.pi) / 2


class FusedNormal(dist.Normal):
    r"""A Normal whose density and gradient take a third of PyTorch's operations.

    .. math:: \log p(z) = -\frac{t^2}{2} - \log s - \frac{\log 2 \pi}{2}, \qquad
              t = \frac{z - \mu}{s}

    The same as :class:`pyro.distributions.Normal`. A step scores several, each of a few numbers,
    and on an accelerator it is the number of operations that takes the time.
    """

    def __init__(
        self, loc: Tensor | float, scale: Tensor | float, validate_args: bool | None = None
    ) -> None:
        if (
            not isinstance(loc, Tensor)
            or not isinstance(scale, Tensor)
            or loc.shape != scale.shape
        ):
            loc, scale = broadcast_all(loc, scale)
        self.loc, self.scale = loc, scale
        torch.distributions.Distribution.__init__(self, loc.shape, validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        log_prob: Tensor = _LogDensity.apply(value, self.loc, self.scale)
        return log_prob

    def rsample(self, sample_shape: Size = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return torch.addcmul(self.loc, self.scale, noise)

    def expand(self, batch_shape: Size, _instance: Any = None) -> FusedNormal:
        shape = torch.Size(batch_shape)
        if shape == self.batch_shape:
            return self
        new = FusedNormal(self.loc.expand(shape), self.scale.expand(shape), validate_args=False)
        new._validate_args = self._validate_args  # of values; the parameters were validated
        return new


class ClampedNormal(dist.Normal):
    """A Normal whose samples are labels: clamped to their bounds, and whole if they are ranks.

    Densities, moments and reparametrized samples (``rsample``) are those of the Normal, which make
    a bound computable in closed form.

    :param bounds: the least and the greatest sample.
    :param are_whole: whether samples are rounded.
    """

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        bounds: tuple[float, float],
        *,
        are_whole: bool = False,
        validate_args: bool | None = None,
    ) -> None:
        self.bounds, self.are_whole = bounds, are_whole
        super().__init__(loc, scale, validate_args=validate_args)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        with torch.no_grad():
            sample: Tensor = self.rsample(torch.Size(sample_shape)).clamp(*self.bounds)
        return sample.round() if self.are_whole else sample

    def expand(self, batch_shape: Size, _instance: Any = None) -> ClampedNormal:
        shape = torch.Size(batch_shape)
        loc, scale = self.loc.expand(shape), self.scale.expand(shape)
        new = ClampedNormal(loc, scale, self.bounds, are_whole=self.are_whole, validate_args=False)
        new._validate_args = self._validate_args
        return new


def rank_log_probs(loc: Tensor, scale: Tensor, num_ranks: int) -> Tensor:
    r"""The log-probability of each rank, for a Normal of which only ranks are possible:

    .. math:: P(k) = \frac{\mathcal{N}(k; \mu, s)}{\sum_{j=0}^{n-1} \mathcal{N}(j; \mu, s)} .

    :param num_ranks: :math:`n`.
    :returns: shape ``(..., num_ranks)``.

    Example:

        >>> rank_log_probs(torch.tensor(1.0), torch.tensor(0.5), 3).exp()
        tensor([0.1065, 0.7870, 0.1065])
    """
    ranks = torch.arange(num_ranks, dtype=loc.dtype, device=loc.device)
    return (-(((ranks - loc[..., None]) / scale[..., None]) ** 2) / 2).log_softmax(-1)


class _LogDensity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        t = (value - loc) / scale
        ctx.save_for_backward(t, scale)
        ctx.shapes = value.shape, loc.shape, scale.shape
        return torch.rsub(torch.addcmul(scale.log(), t, t, value=0.5), -HALF_LOG_TWO_PI)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        t, scale = ctx.saved_tensors
        by_log = gradient / scale
        by_loc = by_log * t
        by_value = by_scale = None
        if ctx.needs_input_grad[0]:
            by_value = sum_to(by_loc.neg(), ctx.shapes[0])
        if ctx.needs_input_grad[2]:
            by_scale = sum_to((by_loc * t).sub_(by_log), ctx.shapes[2])
        return (
            by_value,
            sum_to(by_loc, ctx.shapes[1]) if ctx.needs_input_grad[1] else None,
            by_scale,
        )


@register_kl(FusedNormal, FusedNormal)  # type: ignore[untyped-decorator]
def _kl_fused_normals(p: FusedNormal, q: FusedNormal) -> Tensor:
    kl: Tensor = _Divergence.apply(p.loc, p.scale, q.loc, q.scale)
    return kl


class _Divergence(torch.autograd.Function):
    r"""With :math:`r = s_p / s_q` and :math:`d = (\mu_p - \mu_q) / s_q`,

    .. math:: \operatorname{KL}(p \,\|\, q) = (r^2 + d^2 - 1) / 2 - \log r .
    """

    @staticmethod
    def forward(ctx: Any, loc: Tensor, scale: Tensor, q_loc: Tensor, q_scale: Tensor) -> Tensor:
        r, d = scale / q_scale, (loc - q_loc) / q_scale
        ctx.save_for_backward(r, d, q_scale)
        ctx.shapes = loc.shape, scale.shape, q_loc.shape, q_scale.shape
        return torch.addcmul(r * r, d, d).mul_(0.5).sub_(r.log()).sub_(0.5)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        r, d, q_scale = ctx.saved_tensors
        per_scale = gradient / q_scale
        by_loc, by_scale = per_scale * d, (r - r.reciprocal()).mul_(per_scale)
        by_q_loc = by_q_scale = None
        if ctx.needs_input_grad[2]:
            by_q_loc = sum_to(by_loc.neg(), ctx.shapes[2])
        if ctx.needs_input_grad[3]:
            by_q_scale = sum_to((1 - r * r - d * d) * per_scale, ctx.shapes[3])
        by_loc, by_scale = sum_to(by_loc, ctx.shapes[0]), sum_to(by_scale, ctx.shapes[1])
        return by_loc, by_scale, by_q_loc, by_q_scale


def sum_to(gradient: Tensor, shape: torch.Size) -> Tensor:
    """A gradient, summed to the shape of what was broadcast."""
    return gradient if gradient.shape == shape else gradient.sum_to_size(shape)
