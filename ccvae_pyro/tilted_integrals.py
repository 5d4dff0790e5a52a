r"""Integrals of a tilted density, by its nodes, and their gradients.

The gradients are covariances under the same density, so that autograd keeps nothing of the nodes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ccvae_pyro.tilted_grid import TiltedGrid

NEWTON_STEPS = 4  # of the inverse of a cubic, from a start that is close


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


@torch.no_grad()
def sum_nodes(grids: list[TiltedGrid]) -> Tensor:
    """All that moments and their gradients need of the nodes, shape ``(10, num_densities)``."""
    return torch.cat([_sums(grid) for grid in grids], dim=-1)


def find_moments(slope: Tensor, offset: Tensor, sums: Tensor) -> Moments:
    """The integrals, differentiable by both parameters.

    :param sums: those of :func:`sum_nodes`.
    """
    return Moments(*_Moments.apply(slope, offset, sums.view(-1, *slope.shape)))


def find_quantile(
    slope: Tensor, offset: Tensor, grids: list[TiltedGrid], probability: Tensor
) -> Tensor:
    """The inverse of the distribution function, differentiable by both parameters.

    :param probability: shape ``sample_shape + batch_shape``.
    """
    batch_dim = slope.dim()
    slope, offset = (array.expand_as(probability) for array in (slope, offset))
    flat = probability.reshape((*probability.shape[: probability.dim() - batch_dim], -1))
    return _Quantile.apply(slope, offset, grids, flat)


class _Moments(torch.autograd.Function):
    r"""With :math:`r = 1 - \sigma`, the derivative of :math:`\log \sigma` by the logit,

    .. math:: \partial_\gamma \, \mathbb{E}_f[h] = \mathbb{E}_f[\partial_\gamma h] +
              \operatorname{Cov}_f(h, r), \qquad \text{and } t r \text{ for } r \text{ in } \beta,

    and by Stein's lemma the mean is :math:`\beta \mathbb{E}_f[r]`, and
    :math:`\mathbb{E}_f[t^2] = 1 + \beta \mathbb{E}_f[t r]`.
    """

    @staticmethod
    def forward(ctx: Any, slope: Tensor, offset: Tensor, sums: Tensor) -> tuple[Tensor, ...]:
        log_normalizer, r, tr, log_factor = sums[:4]
        ctx.save_for_backward(slope, sums)
        variance = 1 + slope * tr - (slope * r) ** 2
        return log_normalizer.clone(), slope * r, variance, log_factor.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        slope, sums = ctx.saved_tensors
        _, r, tr, log_factor, rr, trr, ttrr, ttr, r_log, tr_log = sums
        by_normalizer, by_mean, by_variance, by_log_factor = grads
        by_mean = by_mean - 2 * slope * r * by_variance  # by way of the variance as well
        r_by_offset = 2 * rr - r - r * r
        r_by_slope = tr_by_offset = 2 * trr - tr - r * tr
        tr_by_slope = 2 * ttrr - ttr - tr * tr
        by_slope = by_normalizer * tr + by_log_factor * (tr + tr_log - log_factor * tr)
        by_slope += by_mean * (r + slope * r_by_slope) + by_variance * (tr + slope * tr_by_slope)
        by_offset = by_normalizer * r + by_log_factor * (r + r_log - log_factor * r)
        by_offset += slope * (by_mean * r_by_offset + by_variance * tr_by_offset)
        return by_slope, by_offset, None


def _sums(grid: TiltedGrid) -> Tensor:
    r"""log Z; the means of r, tr, log sigma, r^2, tr^2, (tr)^2, t^2 r, and r, tr by log sigma."""
    r = grid.log_factor.expm1().neg_()
    by_log, ttr = grid.log_factor, grid.score_t * grid.t
    pairs = [(grid.weight, by_log), (grid.score, r), (grid.score_t, r), (ttr, r)]
    dots = [(left * right).sum(0) for left, right in pairs]
    dots += [ttr.sum(0), (grid.score * by_log).sum(0), (grid.score_t * by_log).sum(0)]
    return torch.stack([grid.log_normalizer, grid.score.sum(0), grid.score_t.sum(0), *dots])


class _Quantile(torch.autograd.Function):
    r"""With :math:`F` the distribution function, :math:`\partial t = -\partial F(t) / f(t)`."""

    @staticmethod
    def forward(
        ctx: Any, slope: Tensor, offset: Tensor, grids: list[TiltedGrid], probability: Tensor
    ) -> Tensor:
        split = probability.split([len(grid.slope) for grid in grids], dim=-1)
        chunks = (_quantile_and_jacobian(*chunk) for chunk in zip(grids, split, strict=True))
        parts = zip(*chunks, strict=True)
        t, *jacobian = (torch.cat(part, dim=-1).view(slope.shape) for part in parts)
        ctx.save_for_backward(*jacobian)
        return t

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        by_slope, by_offset = ctx.saved_tensors
        return grad * by_slope, grad * by_offset, None, None


def _quantile_and_jacobian(grid: TiltedGrid, probability: Tensor) -> tuple[Tensor, ...]:
    """Quantiles and their derivatives, for probabilities of shape ``(..., num_densities)``."""
    # The trapezoid rule up to each node. A product with a matrix is faster than a running sum.
    num_nodes = len(grid.weight)
    rule = torch.ones(num_nodes, num_nodes).to(grid.weight).tril().fill_diagonal_(0.5)
    cell_shape = (num_nodes, *[1] * (probability.dim() - 1), -1)
    running = [(rule @ w).view(cell_shape) for w in (grid.weight, grid.score_t, grid.score)]
    # The cell between two nodes that each answer is in.
    cell = ((running[0] <= probability).sum(0) - 1).clamp_(0, num_nodes - 2)
    index = cell[None]
    sums = torch.cat([r.expand(-1, *cell.shape).gather(0, index) for r in running])
    cubics = _cubics(grid, cell, sums)
    x = torch.full_like(probability, 0.5)
    for _ in range(NEWTON_STEPS):
        value, rate = _at(x, *(part[0] for part in cubics))
        x = (x - (value - probability) / rate).clamp(-0.1, 1.1)
    t, _ = grid.t_at(grid.start + (cell + x) * grid.spacing)
    partials, _ = _at(x, *(part[1:] for part in cubics))
    wholes = torch.stack([running[1][-1], running[2][-1]])
    by_slope, by_offset = (wholes * probability - partials) / grid.density(t)
    return t, by_slope, by_offset


def _cubics(grid: TiltedGrid, cell: Tensor, sums: Tensor) -> tuple[Tensor, ...]:
    """The integrals up to both ends of a cell, of the density and of its two scores; their rates.

    What the trapezoid rule errs by up to an inner node is told by the derivatives at its two ends
    (Euler and Maclaurin), and the first term of it is taken off.

    :param sums: the trapezoid rule up to the cell.
    """
    s = grid.start + cell * grid.spacing
    start_rate, start_bend = _rates(grid, s)
    end_rate, end_bend = _rates(grid, s + grid.spacing)
    start = sums - start_bend / 12
    end = start + (start_rate + end_rate) / 2 + (start_bend - end_bend) / 12
    return start, end, start_rate, end_rate


def _rates(grid: TiltedGrid, s: Tensor) -> tuple[Tensor, Tensor]:
    """The integrands at a node, for the density and its two scores, and their derivatives."""
    t, dt_ds = grid.t_at(s)
    r = (-grid.logits(t)).sigmoid()
    dr_ds = -grid.slope * r * (1 - r) * dt_ds
    weight = grid.density(t) * dt_ds * grid.spacing
    log_weight_ds = (grid.slope * r - t) * dt_ds + s.tanh()
    score = torch.stack([torch.ones_like(t), t * r, r])
    score_ds = torch.stack([torch.zeros_like(t), r * dt_ds + t * dr_ds, dr_ds])
    return weight * score, weight * (score * log_weight_ds + score_ds) * grid.spacing


def _at(
    x: Tensor, start: Tensor, end: Tensor, start_rate: Tensor, end_rate: Tensor
) -> tuple[Tensor, Tensor]:
    """The cubic with these values and rates at 0 and 1, and its rate, at ``x``."""
    rise = end - start
    square, cube = 3 * rise - 2 * start_rate - end_rate, start_rate + end_rate - 2 * rise
    value = start + x * (start_rate + x * (square + x * cube))
    return value, start_rate + x * (2 * square + x * 3 * cube)
