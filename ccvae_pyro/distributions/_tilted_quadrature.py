r"""Integrals and quantiles of a standard Normal that a logistic function reweighs.

The density is :math:`f(t) = \phi(t) \, \sigma(\beta t + \gamma) / Z`. Its integrals are sums over
nodes that follow both of its scales, the Normal's and that of the logistic step.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.bernoulli import log_sigmoid
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
    """

    spacing: float
    sharpness: float
    far: float
    powers: Tensor
    log_weight: Tensor
    rule: Tensor


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
    return Layout(spacing, sharpness, far, powers, weight.log()[:, None], cells.cumsum(0) - cells)


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
        self.layout = layout = lay_nodes(slope)
        self.centre = centre = _find_centre(slope, offset, layout.far)
        t = layout.powers[1][:, None] + centre
        log_normal = torch.addcmul(layout.log_weight, t, t, value=-0.5)
        # About the centre, the logit is affine.
        logit = torch.stack([torch.addcmul(offset, slope, centre), slope])
        log_factor = log_sigmoid(layout.powers[:2].T @ logit)
        log_mass = log_normal + log_factor
        peak = log_mass.detach().amax(0)
        self.mass = (log_mass - peak).exp()
        self.total, tau, tau_squared = self.layout.powers @ self.mass
        sums = torch.stack([tau, tau_squared, (self.mass * log_factor).sum(0)])
        tau, tau_squared, self.log_factor = sums / self.total
        self.log_normalizer = self.total.log() + peak
        self.mean = tau + centre
        self.square = torch.addcmul(tau_squared, centre, tau + self.mean)

    def cdf(self, t: Tensor) -> Tensor:
        """The distribution function: between two nodes, a cubic.

        :param t: shape ``(num, num_densities)``.
        """
        layout, integral = self.layout, self.layout.rule @ self.mass
        last = len(integral) - 1  # beyond the nodes there is no mass
        s = ((t - self.centre) * layout.sharpness).asinh() / layout.spacing
        place = (s + last / 2).clamp(0, last)
        cell = place.detach().nan_to_num().floor().clamp_(max=last - 1).long()
        probability: Tensor = _cubic(self._ends(integral, cell), place - cell) / integral[-1]
        return probability.clamp(0, 1)

    def icdf(self, probability: Tensor) -> Tensor:
        """The inverse of the distribution function.

        Between two nodes, that is a cubic with the density at both as its rates.

        :param probability: shape ``(num, num_densities)``.
        """
        layout, integral = self.layout, self.layout.rule @ self.mass
        wanted, last = probability * integral[-1], len(integral) - 1
        cell = (integral.detach()[:, None] < wanted.detach()).sum(0).sub_(1).clamp_(0, last - 1)
        ends = self._ends(integral, cell)
        with torch.no_grad():
            x, rate = _solve(ends, wanted)
            s = (cell + x).sub_(last / 2).mul_(layout.spacing)
            t = torch.add(self.centre, s.sinh(), alpha=1 / layout.sharpness)
            dt = s.cosh_().mul_(layout.spacing / layout.sharpness) / rate
        # The gradient is that of one more of Newton's steps: that of F(t), divided by -f(t).
        step = wanted - _cubic(ends, x)
        return torch.addcmul(t, step - step.detach(), dt)

    def _ends(self, integral: Tensor, cell: Tensor) -> Tensor:
        """The integral up to both nodes of a cell and its rates there, shape ``(4, ...)``."""
        places = torch.cat([cell, cell + 1, cell + len(integral), cell + len(integral) + 1])
        return torch.cat([integral, self.mass]).gather(0, places).view(4, *cell.shape)


@torch.no_grad()
def _find_centre(slope: Tensor, offset: Tensor, far: float) -> Tensor:
    """The middle of a density, or its step if that is steep and not far."""
    step = offset / (slope + torch.finfo(slope.dtype).tiny).neg_()  # lest a slope of 0 divide
    # The mode is between that of the Normal and that of its product with an exponential.
    middle = step.clamp(slope.clamp(max=0), slope.clamp(min=0))
    if not far:
        return middle
    # Nodes do not follow a step that is not steep, or so far away that it bears on nothing.
    distance = step - middle
    nearness = (2 - distance.abs() / far).clamp_(0, 1) * (slope.abs() > math.pi)
    return torch.addcmul(middle, distance.clamp_(-far, far), nearness)


def _cubic(ends: Tensor, x: Tensor) -> Tensor:
    """The value of a cubic.

    :param ends: its values at 0 and 1, and its rates there.
    :param x: the variable.
    """
    w, v = x * x * (3 - 2 * x), x * (1 - x)
    return (torch.stack([1 - w, w, v * (1 - x), -v * x]) * ends).sum(0)


def _solve(ends: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Where a cubic has a value, and its rate there; of a cell, so that x is from 0 to 1.

    Far out in a tail, the integral over a cell may be less than its density allows, or negative,
    as it is rounded. A density with one mode is nowhere in a cell below both its ends.

    :param ends: its values at 0 and 1, and its rates there.
    """
    start, end, start_rate, end_rate = ends
    least = torch.minimum(start_rate, end_rate).clamp_(min=torch.finfo(ends.dtype).tiny)
    rise = torch.maximum(end - start, least)
    cube = start_rate + end_rate - 2 * rise
    square = rise - start_rate - cube
    wanted = value - start
    x = (wanted / rise).clamp_(0, 1)
    for _ in range(NEWTON_STEPS):
        rate = torch.addcmul(start_rate, x, torch.addcmul(2 * square, x, cube, value=3))
        reached = x * torch.addcmul(start_rate, x, torch.addcmul(square, x, cube))
        x = torch.addcdiv(x, wanted - reached, torch.maximum(rate, least)).clamp_(0, 1)
    rate = torch.addcmul(start_rate, x, torch.addcmul(2 * square, x, cube, value=3))
    return x, torch.maximum(rate, least)
