r"""Moments of a tilted density, by its nodes, and their gradients.

The gradients are covariances under the same density, so that autograd keeps nothing of the nodes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ccvae_pyro.distributions._tilted_quadrature import TiltedGrid


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
        mean, square = slope * r, 1 + slope * tr
        ctx.save_for_backward(mean, square, sums)
        return log_normalizer.clone(), mean.clone(), square - mean**2, log_factor.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        mean, square, sums = ctx.saved_tensors
        _, r, tr, ttr, tttr, log_factor, r_log, tr_log = sums
        by_normalizer, by_mean, by_square, by_log_factor = grads
        # The mean bears on the variance as well.
        by_mean = torch.addcmul(by_mean, mean, by_square, value=-2)
        # What all covariances have, of the product of expectations.
        by_score = by_normalizer + (1 - log_factor) * by_log_factor
        by_score.addcmul_(mean, by_mean, value=-1).addcmul_(square, by_square, value=-1)
        by_slope = (by_score * tr).addcmul_(by_mean, ttr)
        by_slope.addcmul_(by_square, tttr).addcmul_(by_log_factor, tr_log)
        by_offset = (by_score * r).addcmul_(by_mean, tr)
        by_offset.addcmul_(by_square, ttr).addcmul_(by_log_factor, r_log)
        return by_slope, by_offset, None
