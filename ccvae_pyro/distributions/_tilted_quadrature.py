r"""Integrals and quantiles of a standard Normal that a logistic function reweighs.

The density is :math:`f(t) = \phi(t) \, \sigma(\beta t + \gamma) / Z`. Its integrals are sums over
nodes that follow both of its scales, the Normal's and that of the logistic step.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.bernoulli import log_sigmoid_of
from ccvae_pyro.distributions.nested_categorical import Size

# The nodes' spacing; their reach to both sides of the middle of a density no wider than the
# Normal; and the largest distance of a step from there at which nodes follow it.
FINE = (0.03, 8.5, 4.5)  # in float64: gradients err by less than 1e-6
COARSE = (0.18, 5.5, 3.5)  # in other types: integrals err by up to 4e-5
STEEPEST = 200.0  # slope that nodes are provided for where their number must not depend on values
NEWTON_STEPS = 2  # of the inverse of a cubic
# What is left out of either tail where samples are drawn: there, the rounding of an integral is no
# longer small beside the density, by which its gradient is divided.
TAIL, FINE_TAIL = 1e-5, 1e-10


class Layout(NamedTuple):
    r"""Nodes about 0, :math:`\tau_j = \sinh(j h) / k`, shared by all densities.

    :param spacing: :math:`h`.
    :param sharpness: :math:`k`.
    :param far: the largest distance of a step that nodes follow.
    :param powers: :math:`\tau^n` for n from 0 to 2, shape ``(3, num_nodes)``.
    :param log_weight: the logarithms of the nodes' weights, shape ``(num_nodes, 1)``.
    :param rule: the integrals up to each node, of a function by its values at the nodes, shape
        ``(num_nodes, num_nodes)``.
    :param ends: where the integral up to both nodes of the first cell and the values at both are
        among those of all nodes, shape ``(4, 1, 1)``.
    """

    spacing: float
    sharpness: float
    far: float
    powers: Tensor
    log_weight: Tensor
    rule: Tensor
    ends: Tensor


def sample_probability(shape: Size, like: Tensor) -> Tensor:
    """Uniform samples, for quantiles whose gradients are accurate: up to 4.3 standard deviations.

    :param like: a tensor of the device and dtype.
    """
    tail = FINE_TAIL if like.dtype == torch.float64 else TAIL
    noise = torch.rand(torch.Size(shape), dtype=like.dtype, device=like.device)
    return noise.clamp_(tail, 1 - tail)


def lay_nodes(slope: Tensor) -> Layout:
    """Nodes as close as the steepest of the slopes asks for."""
    steepest = STEEPEST  # on an accelerator no value is waited for
    if is_free_to_read(slope):
        steepest = float(slope.detach().abs().max()) if slope.numel() else 0.0
        steepest = min(1e6, max(1.0, steepest))  # a slope of NaN makes the loss NaN
    spacing, reach, far = FINE if slope.dtype == torch.float64 else COARSE
    far = far if steepest > math.pi else 0.0
    half = math.ceil(math.asinh((reach + far) * steepest / math.pi) / spacing)
    return _layout(half, spacing, reach, far, slope.dtype, slope.device)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept may have gradients later
@torch.no_grad()
def _layout(
    half: int, spacing: float, reach: float, far: float, dtype: torch.dtype, device: torch.device
) -> Layout:
    """Nodes of which so many on either side fill the reach."""
    sharpness = math.sinh(half * spacing) / (reach + far)
    s = spacing * torch.arange(-half, half + 1, dtype=dtype, device=device)
    tau = s.sinh() / sharpness
    powers = torch.stack([torch.ones_like(tau), tau, tau**2])
    weight = s.cosh() * (spacing / sharpness / math.sqrt(2 * math.pi))
    # Between two nodes, what is integrated is the quintic through the six next to them.
    cells = tau.new_zeros(len(tau), len(tau))
    for offset, coefficient in enumerate((11, -93, 802, 802, -93, 11), start=-2):
        cells.diagonal(offset).fill_(coefficient / 1440)
    rule = cells.cumsum(0) - cells
    ends = torch.arange(2, device=device).repeat(2)
    ends[2:] += len(tau)
    return Layout(
        spacing, sharpness, far, powers, weight.log()[:, None], rule, ends[:, None, None]
    )


class TiltedQuadrature:
    r"""Integrals of tilted densities by nodes about each one's centre :math:`c`,

    .. math:: t_j = c + \sinh(j h) / k ,

    which are closest at the centre, the step :math:`-\gamma / \beta` of the logistic where that is
    steep. The integrand is analytic in a strip about the real line of :math:`s = j h` whose width
    does not depend on the slope: the trapezoid rule's error falls exponentially with the number of
    nodes (Trefethen and Weideman, 2014).

    :param slope: :math:`\beta`, shape ``(num_densities,)``.
    :param offset: :math:`\gamma`, of the same.
    """

    #: :math:`\log Z`.
    log_normalizer: Tensor
    #: :math:`\mathbb{E}_f[t]`.
    mean: Tensor
    #: :math:`\mathbb{E}_f[t^2]`.
    square: Tensor
    #: :math:`\mathbb{E}_f[\log \sigma(\beta t + \gamma)]`.
    log_factor: Tensor

    def __init__(self, slope: Tensor, offset: Tensor) -> None:
        self.layout = lay_nodes(slope)
        self.centre = _find_centre(slope, offset, self.layout.far)
        self.mass, *moments = _Masses.apply(slope, offset, self.centre, self.layout)
        self.log_normalizer, self.mean, self.square, self.log_factor = moments

    def cdf(self, t: Tensor) -> Tensor:
        """The distribution function: between two nodes, a cubic.

        :param t: shape ``(num, num_densities)``.
        """
        layout, integral = self.layout, self.layout.rule @ self.mass
        last = len(integral) - 1  # beyond the nodes there is no mass
        s = ((t - self.centre) * layout.sharpness).asinh() / layout.spacing
        place = (s + last / 2).clamp(0, last)
        cell = place.detach().nan_to_num().floor().clamp_(max=last - 1).long()
        places = (cell + layout.ends).flatten(0, 1)
        ends = torch.cat([integral, self.mass]).gather(0, places).view(4, *cell.shape)
        probability: Tensor = (_cubic_weights(place - cell) * ends).sum(0) / integral[-1]
        return probability.clamp(0, 1)

    def icdf(self, probability: Tensor) -> Tensor:
        """The inverse of the distribution function.

        Between two nodes, that is a cubic with the density at both as its rates.

        :param probability: shape ``(num, num_densities)``.
        """
        icdf: Tensor = _Inverse.apply(probability, self.mass, self.centre, self.layout)
        return icdf


class _Masses(torch.autograd.Function):
    r"""The densities' masses at their nodes, and the moments that these have.

    The logarithm of a mass moves by :math:`\sigma(-\beta t - \gamma)` times its logit: so all
    gradients are sums over nodes, too.
    """

    @staticmethod
    def forward(
        ctx: Any, slope: Tensor, offset: Tensor, centre: Tensor, layout: Layout
    ) -> tuple[Tensor, ...]:
        tau = layout.powers[1][:, None]
        # About the centre, the logit is affine.
        logit = torch.addcmul(torch.addcmul(offset, slope, centre), slope, tau)
        log_factor = log_sigmoid_of(logit)
        t = tau + centre
        log_mass = torch.addcmul(layout.log_weight, t, t, value=-0.5).add_(log_factor)
        peak = log_mass.amax(0)
        mass = log_mass.sub_(peak).exp_()
        total, tau_1, tau_2 = layout.powers @ mass
        factor = (mass * log_factor).sum(0)
        tau_1, tau_2, factor = torch.stack([tau_1, tau_2, factor]) / total
        mean = tau_1 + centre
        square = torch.addcmul(tau_2, centre, tau_1 + mean)
        ctx.layout = layout
        ctx.save_for_backward(centre, logit, log_factor, mass, total, tau_1, tau_2, factor)
        return mass, total.log() + peak, mean, square, factor

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        by_mass: Tensor,
        by_log: Tensor,
        by_mean: Tensor,
        by_square: Tensor,
        by_factor: Tensor,
    ) -> tuple[Tensor | None, ...]:
        centre, logit, log_factor, mass, total, tau_1, tau_2, factor = ctx.saved_tensors
        powers = ctx.layout.powers
        by_tau = torch.addcmul(by_mean, centre, by_square, value=2)
        # A mean over normalized masses moves by the difference from itself.
        rest = by_log + by_factor
        for by_one, one in ((by_tau, tau_1), (by_square, tau_2), (by_factor, factor)):
            rest = torch.addcmul(rest, by_one, one, value=-1)
        by_sums = torch.stack([rest, by_tau, by_square, by_factor]) / total
        by_mass = torch.addmm(by_mass, powers.T, by_sums[:3])
        by_mass = by_mass.addcmul_(log_factor, by_sums[3]).mul_(mass)
        by_offset, by_slope = powers[:2] @ by_mass.mul_((-logit).sigmoid_())
        return torch.addcmul(by_slope, centre, by_offset), by_offset, None, None


class _Inverse(torch.autograd.Function):
    """Quantiles; their gradient is that of the distribution function F(t), divided by -f(t)."""

    @staticmethod
    def forward(
        ctx: Any, probability: Tensor, mass: Tensor, centre: Tensor, layout: Layout
    ) -> Tensor:
        integral = layout.rule @ mass
        wanted, last = probability * integral[-1], len(integral) - 1
        cell = (integral[:, None] < wanted).sum(0).sub_(1).clamp_(0, last - 1)
        places = (cell + layout.ends).flatten(0, 1)
        ends = torch.cat([integral, mass]).gather(0, places).view(4, *cell.shape)
        x, rate = _solve(ends, wanted)
        s = (cell + x).sub_(last / 2).mul_(layout.spacing)
        t = torch.add(centre, s.sinh(), alpha=1 / layout.sharpness)
        dt = s.cosh_().mul_(layout.spacing / layout.sharpness).div_(rate)
        ctx.layout = layout
        ctx.save_for_backward(probability, x, places, dt, integral[-1])
        return t

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        probability, x, places, dt, total = ctx.saved_tensors
        rule, num_nodes = ctx.layout.rule, len(ctx.layout.rule)
        by_wanted = gradient * dt
        by_ends = (_cubic_weights(x) * -by_wanted).flatten(0, 1)
        by_all = by_ends.new_zeros(2 * num_nodes, x.shape[-1]).scatter_add_(0, places, by_ends)
        by_all[num_nodes - 1] += (by_wanted * probability).sum(0)
        by_mass = torch.addmm(by_all[num_nodes:], rule.T, by_all[:num_nodes])
        return by_wanted * total, by_mass, None, None


@torch.no_grad()
def _find_centre(slope: Tensor, offset: Tensor, far: float) -> Tensor:
    """The middle of a density, or its step if that is steep and not far."""
    step = offset / torch.rsub(slope, -torch.finfo(slope.dtype).tiny)  # a slope of 0 divides too
    # The mode is between that of the Normal and that of its product with an exponential.
    middle = step.clamp(slope.clamp(max=0), slope.clamp(min=0))
    if not far:
        return middle
    # Nodes do not follow a step that is not steep, or so far away that it bears on nothing.
    distance = step - middle
    nearness = (2 - distance.abs() / far).clamp_(0, 1) * (slope.abs() > math.pi)
    return torch.addcmul(middle, distance.clamp_(-far, far), nearness)


def _cubic_weights(x: Tensor) -> Tensor:
    """The weights of its values at 0 and 1, and of its rates there, in a cubic at ``x``."""
    rest = 1 - x
    product = x * rest
    by_start_rate, by_end_rate = product * rest, product * -x
    by_end = torch.addcmul(-2 * by_end_rate, x, x)
    return torch.stack([1 - by_end, by_end, by_start_rate, by_end_rate])


def _solve(ends: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Where a cubic has a value, and its rate there; of a cell, so that x is from 0 to 1.

    Far out in a tail, the integral over a cell may be less than its density allows, or negative,
    as it is rounded. A density with one mode is nowhere in a cell below both its ends.

    :param ends: its values at 0 and 1, and its rates there.
    """
    start, end, start_rate, end_rate = ends
    least = torch.minimum(start_rate, end_rate).clamp_(min=torch.finfo(ends.dtype).tiny)
    rise, wanted = torch.maximum(end - start, least), value - start
    cube = torch.sub(start_rate + end_rate, rise, alpha=2)
    square = rise - start_rate - cube

    def look(x: Tensor) -> tuple[Tensor, Tensor]:
        """What the cubic has reached at a place, divided by x, and its rate (Horner's rule)."""
        inner = torch.addcmul(square, x, cube)
        reached = torch.addcmul(start_rate, x, inner)
        rate = torch.addcmul(reached, x, torch.addcmul(inner, x, cube))
        return reached, torch.maximum(rate, least)

    x = (wanted / rise).clamp_(0, 1)
    for _ in range(NEWTON_STEPS):
        reached, rate = look(x)
        lacks = torch.addcmul(wanted, x, reached, value=-1)
        x = torch.addcdiv(x, lacks, rate).clamp_(0, 1)
    return x, look(x)[1]
