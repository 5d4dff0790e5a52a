r"""The inverse of a tilted density's distribution function, by its nodes, and its gradients."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ccvae_pyro.tilted_grid import LOG_NEGLIGIBLE, Nodes, TiltedGrid

NEWTON_STEPS = 4  # of the inverse of a cubic, from a start that is close


def find_quantile(slope: Tensor, offset: Tensor, grid: TiltedGrid, probability: Tensor) -> Tensor:
    """The inverse of the distribution function, differentiable by both parameters.

    :param probability: shape ``sample_shape + batch_shape``.
    """
    batch_dim = slope.dim()
    slope, offset = (array.expand_as(probability) for array in (slope, offset))
    flat = probability.reshape((*probability.shape[: probability.dim() - batch_dim], -1))
    return _Quantile.apply(slope, offset, grid, flat)


class _Quantile(Function):
    r"""With :math:`F` the distribution function, :math:`\partial t = -\partial F(t) / f(t)`."""

    @staticmethod
    def forward(
        ctx: Any, slope: Tensor, offset: Tensor, grid: TiltedGrid, probability: Tensor
    ) -> Tensor:
        t, *jacobian = (part.view(slope.shape) for part in _solve(grid, probability))
        ctx.save_for_backward(*jacobian)
        return t

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        by_slope, by_offset = ctx.saved_tensors
        return grad * by_slope, grad * by_offset, None, None


def _solve(grid: TiltedGrid, probability: Tensor) -> tuple[Tensor, ...]:
    """Quantiles and their derivatives, for probabilities of shape ``(..., num_densities)``."""
    cell, *below = _find_cells(grid, probability)
    cubics = _cubics(grid, cell, torch.stack(below))
    x = torch.full_like(probability, 0.5)
    for _ in range(NEWTON_STEPS):
        value, rate = _at(x, *(part[0] for part in cubics))
        x = (x - (value - probability) / rate).clamp_(-0.1, 1.1)
    t, _ = grid.t_at(torch.addcmul(grid.start, cell + x, grid.spacing))
    (by_offset, by_slope), _ = _at(x, *(part[1:] for part in cubics))
    density, _ = _density(grid, t)
    r, tr = grid.sums[1:3]
    return t, (tr * probability - by_slope) / density, (r * probability - by_offset) / density


def _find_cells(grid: TiltedGrid, probability: Tensor) -> Tensor:
    """As :func:`_find_cell`, for all nodes, whose other sums are kept when they are here."""
    cells, sums = [], []
    for nodes in grid.nodes():
        cells.append(_find_cell(nodes, probability[..., nodes.part]))
        sums.append(nodes.sums)
    grid.sums = torch.cat(sums, dim=-1)
    return torch.cat(cells, dim=-1)


def _find_cell(nodes: Nodes, probability: Tensor) -> Tensor:
    """The cell between two nodes that an answer is in, and three sums up to its start.

    The sums are of the density and of its two scores, over the nodes that are below.
    """
    inner = [part[1:-1] for part in (nodes.mass, nodes.score, nodes.score_t)]
    num_inner = len(inner[0])
    # The trapezoid rule up to each node. A product with a matrix is faster than a running sum.
    rule = torch.ones(num_inner, num_inner).to(nodes.mass).tril_().fill_diagonal_(0.5)
    shape = (num_inner, *[1] * (probability.dim() - 1), -1)
    running = (rule @ inner[0]).view(shape)
    below = torch.empty(num_inner, *probability.shape).to(running)
    torch.le(running, probability * nodes.total, out=below)
    parts = [(below * part.view(shape)).sum(0) / nodes.total for part in inner]
    return torch.stack([below.sum(0), *parts])


def _cubics(grid: TiltedGrid, cell: Tensor, sums: Tensor) -> tuple[Tensor, ...]:
    """The integrals up to both ends of a cell, of the density and of its two scores; their rates.

    What the trapezoid rule errs by up to an inner node is told by the derivatives at its two ends
    (Euler and Maclaurin), and the first term of it is taken off.

    :param sums: over the nodes below the cell.
    """
    nodes = torch.addcmul(grid.start, torch.stack([cell, cell + 1]), grid.spacing)
    rates, bends = _rates(grid, nodes)
    (start_rate, end_rate), (start_bend, end_bend) = rates.unbind(1), bends.unbind(1)
    start = sums - start_rate / 2 - start_bend / 12
    end = start + (start_rate + end_rate) / 2 + (start_bend - end_bend) / 12
    return start, end, start_rate, end_rate


def _rates(grid: TiltedGrid, s: Tensor) -> tuple[Tensor, Tensor]:
    """The integrands at nodes, for the density and its two scores, and their derivatives."""
    t, dt_ds = grid.t_at(s)
    density, r = _density(grid, t)
    dr_ds = grid.slope * r * (r - 1) * dt_ds
    weight = density * dt_ds * grid.spacing
    log_weight_ds = (grid.slope * r - t) * dt_ds + s.tanh()
    score = torch.stack([torch.ones_like(t), r, t * r])
    score_ds = torch.stack([torch.zeros_like(t), dr_ds, torch.addcmul(r * dt_ds, t, dr_ds)])
    return weight * score, weight * grid.spacing * (score * log_weight_ds + score_ds)


def _density(grid: TiltedGrid, t: Tensor) -> tuple[Tensor, Tensor]:
    """The density, and the derivative of its logarithm by the offset, but for a constant."""
    log_density, r = grid.log_density(t)
    log_density = log_density.sub_(grid.sums[0]).clamp_(min=LOG_NEGLIGIBLE)
    return log_density.exp_() / math.sqrt(2 * math.pi), r


def _at(
    x: Tensor, start: Tensor, end: Tensor, start_rate: Tensor, end_rate: Tensor
) -> tuple[Tensor, Tensor]:
    """The cubic with these values and rates at 0 and 1, and its rate, at ``x``."""
    rise = end - start
    square, cube = 3 * rise - 2 * start_rate - end_rate, start_rate + end_rate - 2 * rise
    value = start + x * (start_rate + x * (square + x * cube))
    return value, start_rate + x * (2 * square + x * 3 * cube)
