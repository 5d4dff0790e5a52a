r"""The inverse of a tilted density's distribution function, by its nodes, and its gradients."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ccvae_pyro.distributions._tilted_quadrature import LOG_NEGLIGIBLE, Nodes, TiltedGrid

Cubic = tuple[Tensor, Tensor, Tensor, Tensor]  # its coefficients, from the lowest up
NEWTON_STEPS = 4  # of the inverse of a cubic, from the middle of its cell


def find_quantile(slope: Tensor, offset: Tensor, grid: TiltedGrid, probability: Tensor) -> Tensor:
    """The inverse of the distribution function, differentiable by both parameters.

    :param probability: shape ``sample_shape + batch_shape``.
    """
    slope, offset = (array.expand_as(probability) for array in (slope, offset))
    flat = probability.reshape(-1, len(grid.slope))
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
    """Quantiles and their derivatives, for probabilities of shape ``(num, num_densities)``."""
    cell, (of_density, of_score, of_score_t) = _find_cells(grid, probability)
    x = torch.full_like(probability, 0.5)
    for _ in range(NEWTON_STEPS):
        error = _value_at(x, *of_density).sub_(probability)
        x = x.sub_(error.div_(_rate_at(x, *of_density))).clamp_(-0.1, 1.1)
    t = grid.t_at(cell + x)
    by_offset, by_slope = _value_at(x, *of_score), _value_at(x, *of_score_t)
    density = _density(grid, t)
    r, tr = grid.sums[1:3]
    return t, (tr * probability - by_slope) / density, (r * probability - by_offset) / density


def _find_cells(grid: TiltedGrid, probability: Tensor) -> tuple[Tensor, list[Cubic]]:
    """The cells between two nodes that answers are in; the grid keeps the sums of all nodes.

    :returns: the number of the node at the cell's start, and the cubics that the integrals of the
        density and of its scores by offset and slope are there.
    """
    rules, found, sums = _rules(grid), [], []
    for nodes in grid.nodes():
        found.append(_find_cell(nodes, rules, probability[:, nodes.part]))
        sums.append(nodes.sums)
    grid.sums = grid.collect(sums)
    cell, at_ends = (torch.cat(parts, dim=-1) for parts in zip(*found, strict=True))
    density, score, of_density, of_score, of_tau = at_ends
    # By t, which is tau and the centre.
    of_score_t = torch.addcmul(of_tau, of_score, grid.centre)
    score_t = score * grid.t_at(torch.stack([cell, cell + 1]))
    values, rates = (of_density, of_score, of_score_t), (density, score, score_t)
    return cell, [_cubic(*both) for both in zip(values, rates, strict=True)]


def _find_cell(nodes: Nodes, rules: Tensor, probability: Tensor) -> tuple[Tensor, Tensor]:
    """The cell that an answer is in, and what there is at its ends, shape ``(5, 2, ...)``.

    That is the density, its score by the offset, and three integrals: of these, and of tau times
    the latter.
    """
    (num_nodes, num_densities), total = nodes.mass.shape, nodes.sums[0]
    integrals = [rules[0] @ nodes.mass, *(rules.flatten(0, 1) @ nodes.score).chunk(2)]
    below = probability.new_empty(num_nodes, *probability.shape)
    torch.le(integrals[0][:, None], probability * total, out=below)  # the fastest into floats
    cell = below.sum(0).sub_(1).clamp_(0, num_nodes - 2)
    start = cell.long().mul_(num_densities).add_(torch.arange(num_densities, device=cell.device))
    places = torch.stack([start, start + num_densities])
    of_nodes = [nodes.mass, nodes.score, *integrals]
    at_ends = [one.view(-1).index_select(0, places.view(-1)) for one in of_nodes]
    return cell, torch.stack(at_ends).view(5, *places.shape).div_(total)


def _rules(grid: TiltedGrid) -> Tensor:
    """The integrals up to each node, of a function by its values there, and of tau times it.

    Between two nodes, what is integrated is the quintic through the six next to them.
    """
    cells = grid.powers.new_zeros(grid.num_nodes, grid.num_nodes)
    for offset, weight in enumerate((11, -93, 802, 802, -93, 11), start=-2):
        cells.diagonal(offset).fill_(weight / 1440)
    rule = cells.cumsum(0) - cells
    return torch.stack([rule, rule * grid.powers[1]])


def _cubic(values: Tensor, rates: Tensor) -> Cubic:
    """The cubic with these values and rates at 0 and 1."""
    (start, end), (start_rate, end_rate) = values, rates
    rise = end - start
    cube = (start_rate + end_rate).sub_(rise, alpha=2)
    return start, start_rate, rise.sub_(start_rate).sub_(cube), cube


def _value_at(x: Tensor, start: Tensor, linear: Tensor, square: Tensor, cube: Tensor) -> Tensor:
    """The value of a cubic."""
    return start + x * (linear + x * (square + x * cube))


def _rate_at(x: Tensor, start: Tensor, linear: Tensor, square: Tensor, cube: Tensor) -> Tensor:
    """The derivative of a cubic."""
    return linear + x * (2 * square + x * (3 * cube))


def _density(grid: TiltedGrid, t: Tensor) -> Tensor:
    log_density, _ = grid.log_density(t)
    log_density = log_density.sub_(grid.sums[0]).clamp_(min=LOG_NEGLIGIBLE)
    return log_density.exp_() / math.sqrt(2 * math.pi)
