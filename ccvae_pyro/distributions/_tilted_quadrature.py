r"""Integrals of a standard Normal that a logistic function reweighs, and their gradients.

The density is :math:`f(t) = \phi(t) \, \sigma(\beta t + \gamma) / Z`. Its integrals are sums over
nodes that follow both of its scales, the Normal's and that of the logistic step. Their gradients
are covariances under the same density, so that autograd keeps nothing of the nodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.distributions.utils import lazy_property

from ccvae_pyro.distributions._device import is_free_to_read

# The nodes' spacing; their reach to both sides of the middle of a density no wider than the
# Normal; and the largest distance of a step from there at which nodes follow it. Integrals err by
# less than 1e-7 up to slopes of 10, and by 1e-5 at 200.
FINE = (0.11, 7.5, 4.0)
COARSE = (0.18, 5.5, 3.5)  # in other types than float64: by up to 3e-5
STEEPEST = 200.0  # slope that nodes are provided for where their number must not depend on values
# Layouts are kept. They are for slopes up to this one, and up to so many times as steep ones.
LEAST_STEEP, GROWTH = 1.1, 1.25
LOG_NEGLIGIBLE = -36.0  # kept from falling further, to numbers that processors are slow on
CHUNK = 2**17  # nodes at a time on a CPU: few enough for its cache


class Layout(NamedTuple):
    r"""Nodes about 0, :math:`\tau_j = \sinh(j h) / k`, shared by all densities.

    :param half: the number of nodes on either side.
    :param spacing: :math:`h`.
    :param sharpness: :math:`k`.
    :param powers: :math:`\tau^n` for n from 0 to 3, shape ``(4, num_nodes)``.
    :param terms: 1, :math:`\tau`, and the logarithm of a node's weight, shape ``(num_nodes, 3)``.
    :param rules: the integrals up to each node, of a function by its values at the nodes, and of
        :math:`\tau` times it, shape ``(2, num_nodes, num_nodes)``.
    """

    half: int
    spacing: float
    sharpness: float
    powers: Tensor
    terms: Tensor
    rules: Tensor


@lru_cache(maxsize=64)
@torch.no_grad()
def lay_nodes(steepest: float, far: float, dtype: torch.dtype, device: torch.device) -> Layout:
    """Lays nodes as close as a slope asks for, out to a distance beyond the Normal's reach."""
    spacing, reach, _ = FINE if dtype == torch.float64 else COARSE
    sharpness = steepest / math.pi
    half = math.ceil(math.asinh((reach + far) * sharpness) / spacing)
    s = spacing * torch.arange(-half, half + 1, dtype=dtype, device=device)
    tau = s.sinh() / sharpness
    powers = torch.stack([torch.ones_like(tau), tau, tau**2, tau**3])
    weight = s.cosh() * (spacing / sharpness / math.sqrt(2 * math.pi))
    terms = torch.stack([powers[0], tau, weight.log() - tau**2 / 2], dim=-1)
    # Between two nodes, what is integrated is the quintic through the six next to them.
    cells = tau.new_zeros(len(tau), len(tau))
    for offset, coefficient in enumerate((11, -93, 802, 802, -93, 11), start=-2):
        cells.diagonal(offset).fill_(coefficient / 1440)
    rule = cells.cumsum(0) - cells
    return Layout(half, spacing, sharpness, powers, terms, torch.stack([rule, rule * tau]))


class Sums(NamedTuple):
    r"""Integrals of a tilted density, with :math:`r = 1 - \sigma(\beta t + \gamma)`.

    :param log_normalizer: :math:`\log Z`.
    :param r: :math:`\mathbb{E}[r]`.
    :param tr: :math:`\mathbb{E}[t r]`.
    :param ttr: :math:`\mathbb{E}[t^2 r]`.
    :param tttr: :math:`\mathbb{E}[t^3 r]`.
    :param log_factor: :math:`\mathbb{E}[\log \sigma]`.
    :param r_log: :math:`\mathbb{E}[r \log \sigma]`.
    :param tr_log: :math:`\mathbb{E}[t r \log \sigma]`.
    """

    log_normalizer: Tensor
    r: Tensor
    tr: Tensor
    ttr: Tensor
    tttr: Tensor
    log_factor: Tensor
    r_log: Tensor
    tr_log: Tensor


class TiltedGrid:
    r"""The nodes of tilted densities, each about its own centre :math:`c`,

    .. math:: t_j = c + \sinh(j h) / k ,

    which makes sums over them products of matrices. They are closest at the centre, which is the
    step :math:`-\gamma / \beta` of the logistic where that is steep. The integrand is analytic in
    a strip about the real line of :math:`s = j h` whose width does not depend on the slope: the
    trapezoid rule's error falls exponentially with the number of nodes (Trefethen and Weideman,
    2014).

    :param slope: :math:`\beta`, of any batch's shape, which is flattened.
    :param offset: :math:`\gamma`, of the same.
    """

    @torch.no_grad()
    def __init__(self, slope: Tensor, offset: Tensor) -> None:
        self.slope, self.offset = slope.flatten(), offset.flatten()
        _, _, far = FINE if slope.dtype == torch.float64 else COARSE
        steepest = STEEPEST
        # On an accelerator no value is waited for.
        can_read = is_free_to_read(slope) and slope.numel() > 0
        if can_read:
            steepest = _round_up(float(self.slope.abs().max()))
        self._find_centres(steepest, far)
        if can_read:
            far = 0.0
            if self.middle is not self.centre:
                far = math.ceil(2 * float((self.centre - self.middle).abs().max())) / 2
        self.layout = lay_nodes(steepest, far, slope.dtype, slope.device)
        self.reference, _ = self.log_density(self.middle)  # near the peak
        # About the centre, the logit is affine and the Normal's logarithm a parabola.
        ones = torch.ones_like(self.centre)
        logit = torch.addcmul(self.offset, self.slope, self.centre)
        self.negative_logit = torch.stack([logit, self.slope]).neg_()
        constant = torch.addcmul(-self.reference, self.centre, self.centre, value=-0.5)
        self.parabola = torch.stack([constant, -self.centre, ones])

    def _find_centres(self, steepest: float, far: float) -> None:
        """Chooses the middles of the densities, and of their nodes."""
        tiny = torch.finfo(self.slope.dtype).tiny  # lest a slope of 0 divide
        step = self.offset / (self.slope + tiny).neg_()
        # The mode is between that of the Normal and that of its product with an exponential.
        self.middle = step.clamp(self.slope.clamp(max=0), self.slope.clamp(min=0))
        self.centre = self.middle
        if steepest <= math.pi:
            return
        distance = step - self.middle
        # A step that is far from the middle, or not steep, bears on next to nothing, and draws no
        # nodes to it.
        nearness = (2 - distance.abs() / far).clamp_(0, 1)
        steepness = (self.slope.abs() / math.pi - 1).clamp_(0, 1)
        self.centre = self.middle + distance.clamp(-far, far) * nearness * steepness

    def nodes(self) -> Iterator[Nodes]:
        """The nodes, of as many densities at a time as are quick; none of them is kept."""
        on_cpu, num_densities = self.slope.device.type == "cpu", len(self.slope)
        size = max(CHUNK // len(self.layout.terms) if on_cpu else num_densities, 1)
        for start in range(0, max(num_densities, 1), size):
            yield Nodes(self, slice(start, start + size))

    @lazy_property
    def sums(self) -> Sums:
        """The integrals, of shape ``(num_densities,)`` each."""
        return self.collect([nodes.sums for nodes in self.nodes()])

    def collect(self, of_nodes: list[Tensor]) -> Sums:
        """The integrals from the sums of all nodes."""
        sums = torch.cat(of_nodes, dim=-1) if len(of_nodes) > 1 else of_nodes[0]
        total = sums[0]
        r, r1, r2, r3, r_log, r1_log, log_factor = (sums[1:] / total).unbind()
        # From powers of tau to those of t, which is tau and the centre.
        c = self.centre
        tr = torch.addcmul(r1, c, r)
        ttr = torch.addcmul(r2, c, r1 + tr)
        tttr = torch.addcmul(r3, c, torch.addcmul(ttr, c, r1).add_(r2, alpha=2))
        tr_log = torch.addcmul(r1_log, c, r_log)
        log_normalizer = self.reference + total.log()
        return Sums(log_normalizer, r, tr, ttr, tttr, log_factor, r_log, tr_log)

    def t_at(self, place: Tensor) -> Tensor:
        """The point at a place among the nodes, which count as one each."""
        tau = ((place - self.layout.half) * self.layout.spacing).sinh_()
        return torch.add(self.centre, tau, alpha=1 / self.layout.sharpness)

    def place_of(self, t: Tensor) -> Tensor:
        """The inverse of :meth:`t_at`."""
        tau = (t - self.centre).mul_(self.layout.sharpness)
        return tau.asinh_().div_(self.layout.spacing).add_(self.layout.half)

    def log_density(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The logarithm of the density, not normalized, and its derivative by the offset."""
        log_factor, r = log_logistic(torch.addcmul(self.offset, self.slope, t).neg_())
        return torch.addcmul(log_factor, t, t, value=-0.5), r


class Nodes:
    """The nodes of some of a grid's densities, along the first dimension, and sums over them.

    :param grid: where the nodes are.
    :param part: which of its densities.
    """

    def __init__(self, grid: TiltedGrid, part: slice) -> None:
        self.part = part
        powers, terms = grid.layout.powers, grid.layout.terms
        log_factor, r = log_logistic(terms[:, :2] @ grid.negative_logit[:, part])
        log_mass = (terms @ grid.parabola[:, part]).add_(log_factor)
        # The density, and its product with its logarithm's derivative by the offset.
        self.mass = log_mass.clamp_(min=LOG_NEGLIGIBLE).exp_()
        self.score = r.mul_(self.mass)
        sums = [powers[:1] @ self.mass, powers @ self.score]
        sums += [powers[:2] @ (self.score * log_factor), powers[:1] @ log_factor.mul_(self.mass)]
        self.sums = torch.cat(sums)


class Moments(NamedTuple):
    r"""Integrals of the tilted density, each of the batch's shape.

    :param log_normalizer: :math:`\log Z = \log \int \phi(t) \, \sigma(\beta t + \gamma) \, dt`.
    :param mean: :math:`\mathbb{E}_f[t]`.
    :param square: :math:`\mathbb{E}_f[t^2]`.
    :param log_factor: :math:`\mathbb{E}_f[\log \sigma(\beta t + \gamma)]`.
    """

    log_normalizer: Tensor
    mean: Tensor
    square: Tensor
    log_factor: Tensor


def find_moments(slope: Tensor, offset: Tensor, grid: TiltedGrid) -> Moments:
    """The integrals, differentiable by both parameters."""
    sums = (integral.view(slope.shape) for integral in grid.sums)
    return Moments(*_Moments.apply(slope, offset, *sums))


class _Moments(Function):
    r"""With :math:`r = 1 - \sigma`, the derivative of :math:`\log \sigma` by the logit,

    .. math:: \partial_\gamma \, \mathbb{E}_f[h] = \mathbb{E}_f[\partial_\gamma h] +
              \operatorname{Cov}_f(h, r), \qquad \text{and } t r \text{ for } r \text{ in } \beta,

    and by Stein's lemma the mean is :math:`\beta \mathbb{E}_f[r]`, and
    :math:`\mathbb{E}_f[t^2] = 1 + \beta \mathbb{E}_f[t r]`.
    """

    @staticmethod
    def forward(ctx: Any, slope: Tensor, offset: Tensor, *sums: Tensor) -> tuple[Tensor, ...]:
        integrals = Sums(*sums)
        mean, square = slope * integrals.r, torch.addcmul(torch.ones_like(slope), slope, sums[2])
        ctx.save_for_backward(mean, square, *sums)
        return integrals.log_normalizer.clone(), mean, square, integrals.log_factor.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        mean, square, *sums = ctx.saved_tensors
        _, r, tr, ttr, tttr, log_factor, r_log, tr_log = sums
        by_normalizer, by_mean, by_square, by_log_factor = grads
        # What all covariances have, of the product of expectations.
        by_score = torch.addcmul(
            by_normalizer + by_log_factor, log_factor, by_log_factor, value=-1
        )
        by_score.addcmul_(mean, by_mean, value=-1).addcmul_(square, by_square, value=-1)
        by_slope = (by_score * tr).addcmul_(by_mean, ttr)
        by_slope.addcmul_(by_square, tttr).addcmul_(by_log_factor, tr_log)
        by_offset = (by_score * r).addcmul_(by_mean, tr)
        by_offset.addcmul_(by_square, ttr).addcmul_(by_log_factor, r_log)
        return (by_slope, by_offset, *[None] * 8)


def log_logistic(negative: Tensor) -> tuple[Tensor, Tensor]:
    r""":math:`\log \sigma(t)` from :math:`-t`, which is overwritten, and its derivative.

    In less than half the time that PyTorch takes for the first.
    """
    negative = negative.clamp_(min=LOG_NEGLIGIBLE)
    r = negative.sigmoid()
    return r.log().sub_(negative), r


def _round_up(slope: float) -> float:
    """The next of the slopes that nodes are laid for."""
    if not math.isfinite(slope):  # the loss will say so
        return STEEPEST
    slope = max(slope, LEAST_STEEP)
    power = math.ceil(math.log(slope / LEAST_STEEP) / math.log(GROWTH))
    return float(LEAST_STEEP * GROWTH**power)
