r"""A tilted density's distribution function and its inverse, by its nodes, and their gradients."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ccvae_pyro.distributions._tilted_quadrature import LOG_NEGLIGIBLE, Nodes, TiltedGrid

NEWTON_STEPS = 4  # of the inverse of a cubic, from the middle of its cell


def find_quantile(slope: Tensor, offset: Tensor, grid: TiltedGrid, probability: Tensor) -> Tensor:
    """The inverse of the distribution function, differentiable by both parameters.

    :param probability: shape ``sample_shape + batch_shape``.
    """
    slope, offset = (array.expand_as(probability) for array in (slope, offset))
    flat = _by_density(probability, grid)
    find_quantile: Tensor = _Quantile.apply(slope, offset, grid, flat)
    return find_quantile


def find_probability(slope: Tensor, offset: Tensor, grid: TiltedGrid, t: Tensor) -> Tensor:
    """The distribution function, differentiable by both parameters and by its argument.

    :param t: the standardized variable, shape ``sample_shape + batch_shape``.
    """
    slope, offset = (array.expand_as(t) for array in (slope, offset))
    find_probability: Tensor = _Probability.apply(slope, offset, t, grid)
    return find_probability


class _Probability(Function):
    @staticmethod
    def forward(ctx: Any, slope: Tensor, offset: Tensor, t: Tensor, grid: TiltedGrid) -> Tensor:
        last = len(grid.layout.terms) - 1  # beyond which there is no mass
        place = grid.place_of(_by_density(t, grid)).clamp_(0, last)
        cell = place.nan_to_num().floor().clamp_(max=last - 1)
        _, cubics = _find_cells(grid, place, cell)
        probability, *below = _at(cubics, place - cell).unbind()
        everywhere = grid.sums.r, grid.sums.tr
        by_offset, by_slope = (
            part - whole * probability for part, whole in zip(below, everywhere, strict=True)
        )
        jacobian = by_slope, by_offset, _density(grid, grid.t_at(place))
        ctx.save_for_backward(*(part.view(t.shape) for part in jacobian))
        return probability.clamp(0, 1).view(t.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return (*(grad * jacobian for jacobian in ctx.saved_tensors), None)


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


def _by_density(values: Tensor, grid: TiltedGrid) -> Tensor:
    """Values of shape ``sample_shape + batch_shape`` as ``(num, num_densities)``, also of none."""
    num_densities = len(grid.slope)
    return values.reshape(values.numel() // max(num_densities, 1), num_densities)


def _solve(grid: TiltedGrid, probability: Tensor) -> tuple[Tensor, ...]:
    """Quantiles and their derivatives, for probabilities of shape ``(num, num_densities)``."""
    cell, cubics = _find_cells(grid, probability)
    start, linear, square, cube = cubics[:, 0]
    start, twice, thrice = start - probability, 2 * square, 3 * cube
    x = torch.full_like(probability, 0.5)
    for _ in range(NEWTON_STEPS):
        error = torch.addcmul(start, x, torch.addcmul(linear, x, torch.addcmul(square, x, cube)))
        rate = torch.addcmul(linear, x, torch.addcmul(twice, x, thrice))
        x = torch.addcdiv(x, error, rate, value=-1).clamp_(-0.1, 1.1)
    t = grid.t_at(cell + x)
    below = _at(cubics[:, 1:], x)
    everywhere = torch.stack([grid.sums.r, grid.sums.tr])[:, None]
    by_offset, by_slope = (everywhere * probability - below) / _density(grid, t)
    return t, by_slope, by_offset


def _find_cells(
    grid: TiltedGrid, probability: Tensor, cell: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The cells between two nodes that answers are in; the grid keeps the sums of all nodes.

    :param cell: the number of the node at the cell's start, where it is known.
    :returns: the number of the node at the cell's start, and the coefficients, from the lowest,
        of the cubics that the integrals of the density and of its scores by offset and slope are
        there: shape ``(4, 3, num, num_densities)``.
    """
    found, sums = [], []
    for nodes in grid.nodes():
        part = None if cell is None else cell[:, nodes.part]
        found.append(_find_cell(nodes, grid.layout.rules, probability[:, nodes.part], part))
        sums.append(nodes.sums)
    grid.sums = grid.collect(sums)
    cell, at_ends = found[0] if len(found) == 1 else _joined(found)
    density, score, of_density, of_score, of_tau = at_ends
    # By t, which is tau and the centre.
    of_score_t = torch.addcmul(of_tau, of_score, grid.centre)
    tau = grid.layout.powers[1][torch.stack([cell, cell + 1]).long()]
    score_t = score * (tau + grid.centre)
    values = torch.stack([of_density, of_score, of_score_t], dim=1)
    rates = torch.stack([density, score, score_t], dim=1)
    return cell, _cubics(values, rates)


def _joined(found: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(parts, dim=-1) for parts in zip(*found, strict=True))


def _find_cell(
    nodes: Nodes, rules: Tensor, probability: Tensor, cell: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The cell that an answer is in, and the values at its ends, shape ``(5, 2, ...)``.

    These are the density, its score by the offset, and three integrals: of these, and of tau
    times the latter.
    """
    (num_nodes, num_densities), total = nodes.mass.shape, nodes.sums[0]
    integral, score, score_tau = rules[0] @ nodes.mass, *(rules @ nodes.score)
    if cell is None:
        below = probability.new_empty(num_nodes, *probability.shape)
        torch.le(integral[:, None], probability * total, out=below)  # the fastest into floats
        cell = below.sum(0).sub_(1).clamp_(0, num_nodes - 2)
    start = cell.long().mul_(num_densities).add_(torch.arange(num_densities, device=cell.device))
    places = torch.stack([start, start + num_densities]).view(-1)
    of_nodes = torch.stack([nodes.mass, nodes.score, integral, score, score_tau]).view(5, -1)
    at_ends = of_nodes.index_select(1, places).view(5, 2, *start.shape)
    return cell, at_ends.div_(total)


def _cubics(values: Tensor, rates: Tensor) -> Tensor:
    """Coefficients of cubics by their values and rates at 0 and 1, along the first dimension."""
    rise, start_rate = values[1] - values[0], rates[0]
    cube = (start_rate + rates[1]).sub_(rise, alpha=2)
    square = rise.sub_(start_rate).sub_(cube)
    return torch.stack([values[0], start_rate, square, cube])


def _at(cubics: Tensor, x: Tensor) -> Tensor:
    """The values of cubics, by Horner's rule."""
    start, linear, square, cube = cubics
    return torch.addcmul(start, x, torch.addcmul(linear, x, torch.addcmul(square, x, cube)))


def _density(grid: TiltedGrid, t: Tensor) -> Tensor:
    log_density, _ = grid.log_density(t)
    log_density = log_density.sub_(grid.sums.log_normalizer).clamp_(min=LOG_NEGLIGIBLE)
    return log_density.exp_() / math.sqrt(2 * math.pi)
