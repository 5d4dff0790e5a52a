r"""Moments of a tilted density, by its nodes, and their gradients.

The gradients are covariances under the same density, so that autograd keeps nothing of the nodes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ccvae_pyro.tilted_grid import TiltedGrid


class Moments(NamedTuple):
    r"""Integrals of the tilted density, each of the batch's shape.

    :param log_normalizer: :math:`\log Z = \log \int \phi(t) \, \sigma(\beta t + \gamma) \, dt`.
    :param mean: :math:`\mathbb{E}_f[t]`.
    :param variance: :math:`\mathbb{V}_f[t]`.
    :param log_factor: :math:`\mathbb{E}_f[\log \sigma(\beta t + \gamma)]`.
    """

    log_normalizer: Tensor
    mean: Tensor
    variance: Tensor
    log_factor: Tensor


def find_moments(slope: Tensor, offset: Tensor, grid: TiltedGrid) -> Moments:
    """The integrals, differentiable by both parameters."""
    return Moments(*_Moments.apply(slope, offset, grid.sums.view(-1, *slope.shape)))


class _Moments(Function):
    r"""With :math:`r = 1 - \sigma`, the derivative of :math:`\log \sigma` by the logit,

    .. math:: \partial_\gamma \, \mathbb{E}_f[h] = \mathbb{E}_f[\partial_\gamma h] +
              \operatorname{Cov}_f(h, r), \qquad \text{and } t r \text{ for } r \text{ in } \beta,

    and by Stein's lemma the mean is :math:`\beta \mathbb{E}_f[r]`, and
    :math:`\mathbb{E}_f[t^2] = 1 + \beta \mathbb{E}_f[t r]`.
    """

    @staticmethod
    def forward(ctx: Any, slope: Tensor, offset: Tensor, sums: Tensor) -> tuple[Tensor, ...]:
        log_normalizer, r, tr, _, _, log_factor, _, _ = sums
        ctx.save_for_backward(slope, sums)
        mean = slope * r
        return log_normalizer.clone(), mean, 1 + slope * tr - mean**2, log_factor.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        slope, sums = ctx.saved_tensors
        _, r, tr, ttr, tttr, log_factor, r_log, tr_log = sums
        by_normalizer, by_mean, by_variance, by_log_factor = grads
        mean, square = slope * r, 1 + slope * tr
        by_mean = by_mean - 2 * mean * by_variance  # by way of the variance as well
        by_slope = by_normalizer * tr + by_log_factor * (tr + tr_log - log_factor * tr)
        by_slope += by_mean * (ttr - mean * tr) + by_variance * (tttr - square * tr)
        by_offset = by_normalizer * r + by_log_factor * (r + r_log - log_factor * r)
        by_offset += by_mean * (tr - mean * r) + by_variance * (ttr - square * r)
        return by_slope, by_offset, None
