r"""Nodes for the integrals of a standard Normal that a logistic function reweighs.

The density is :math:`f(t) = \phi(t) \, \sigma(\beta t + \gamma) / Z`; its integrals are sums over
nodes that follow both of its scales, the Normal's and that of the logistic step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions.utils import lazy_property

from ccvae_pyro.distributions._device import is_free_to_read

# The nodes' spacing; their reach to both sides of the middle of a density no wider than the
# Normal; and how far from there a step may be, to have them all. Integrals err by less than 1e-7
# up to slopes of 10, and by 1e-5 at 200.
FINE = (0.11, 7.5, 4.0)
COARSE = (0.18, 5.5, 3.5)  # in other types than float64: by up to 3e-5
STEEPEST = 200.0  # slope that nodes are provided for where their number must not depend on values
LOG_NEGLIGIBLE = -36.0  # kept from falling further, to numbers that processors are slow on
CHUNK = 2**17  # nodes at a time on a CPU: few enough for its cache


class TiltedGrid:
    r"""Where the nodes of tilted densities are, and what they weigh.

    All densities have the same nodes, each about its own centre :math:`c`,

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
        spacing, reach, far = FINE if slope.dtype == torch.float64 else COARSE
        self._find_centres(far)
        self._lay_nodes(spacing, reach, far)
        self.reference, _ = self.log_density(self.middle)  # near the peak
        # About the centre, the logit is a line and the Normal's logarithm a parabola.
        offset = torch.addcmul(self.offset, self.slope, self.centre)
        self.line = torch.stack([offset, self.slope]).neg_()  # of the logit, negated
        constant = torch.addcmul(-self.reference, self.centre, self.centre, value=-0.5)
        self.parabola = torch.stack([constant, -self.centre, torch.ones_like(constant)])

    def _find_centres(self, far: float) -> None:
        """Chooses the middles of the densities, and of their nodes."""
        tiny = torch.finfo(self.slope.dtype).tiny
        step = -self.offset / torch.where(self.slope.abs() < tiny, tiny, self.slope)
        # The mode is between that of the Normal and that of its product with an exponential.
        self.middle = step.clamp(self.slope.clamp(max=0), self.slope.clamp(min=0))
        distance = step - self.middle
        # A step that is far from the middle, or not steep, bears on next to nothing, and draws no
        # nodes to it.
        nearness = (2 - distance.abs() / far).clamp(0, 1)
        steepness = (self.slope.abs() / math.pi - 1).clamp(0, 1)
        self.centre = self.middle + distance.clamp(-far, far) * nearness * steepness

    def _lay_nodes(self, spacing: float, reach: float, far: float) -> None:
        """Lays nodes about 0, as close there as the steepest slope asks for."""
        steepest = STEEPEST
        # On an accelerator no value is waited for.
        if is_free_to_read(self.slope) and self.slope.numel():
            steepest = max(float(self.slope.abs().max()), 1.0)
            far = float((self.centre - self.middle).abs().max())
        self.spacing, self.sharpness = spacing, steepest / math.pi
        self.half = math.ceil(math.asinh((reach + far) * self.sharpness) / spacing)
        dtype, device = self.slope.dtype, self.slope.device
        s = spacing * torch.arange(-self.half, self.half + 1, dtype=dtype, device=device)
        tau = s.sinh() / self.sharpness
        self.powers = torch.stack([torch.ones_like(tau), tau, tau**2, tau**3])
        weight = s.cosh() * (spacing / self.sharpness / math.sqrt(2 * math.pi))
        self.terms = torch.stack([*self.powers[:2], weight.log() - tau**2 / 2], dim=-1)

    @property
    def num_nodes(self) -> int:
        return len(self.terms)

    def nodes(self) -> Iterator[Nodes]:
        """The nodes, of as many densities at a time as are quick; none of them is kept."""
        on_cpu, num_densities = self.slope.device.type == "cpu", len(self.slope)
        size = max(CHUNK // self.num_nodes if on_cpu else num_densities, 1)
        for start in range(0, max(num_densities, 1), size):
            yield Nodes(self, slice(start, start + size))

    @lazy_property
    def sums(self) -> Tensor:
        """What :meth:`collect` makes of all nodes."""
        return self.collect([nodes.sums for nodes in self.nodes()])

    def collect(self, sums: list[Tensor]) -> Tensor:
        r"""The integrals, shape ``(8, num_densities)``, of the sums of all nodes.

        The logarithm of :math:`Z`, and expectations: with :math:`r = 1 - \sigma`, those of
        :math:`r t^n` for n from 0 to 3, of :math:`\log \sigma`, :math:`r \log \sigma` and
        :math:`r t \log \sigma`.
        """
        total, *others = torch.cat(sums, dim=-1)
        r, r1, r2, r3, r_log, r1_log, log_factor = (one / total for one in others)
        # From powers of tau to those of t, which is tau and the centre.
        c = self.centre
        tr = torch.addcmul(r1, c, r)
        ttr = torch.addcmul(r2, c, r1 + tr)
        tttr = torch.addcmul(r3, c, 2 * r2 + c * r1 + ttr)
        tr_log = torch.addcmul(r1_log, c, r_log)
        log_normalizer = self.reference + total.log()
        return torch.stack([log_normalizer, r, tr, ttr, tttr, log_factor, r_log, tr_log])

    def t_at(self, place: Tensor) -> Tensor:
        """The point at a place among the nodes, which count as one each."""
        up = ((place - self.half) * self.spacing).exp_()
        return torch.add(self.centre, up - up.reciprocal(), alpha=0.5 / self.sharpness)

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
        log_factor, r = log_logistic(grid.terms[:, :2] @ grid.line[:, part])
        log_mass = (grid.terms @ grid.parabola[:, part]).add_(log_factor)
        # The density, and its product with its logarithm's derivative by the offset.
        self.mass = log_mass.clamp_(min=LOG_NEGLIGIBLE).exp_()
        self.score = r.mul_(self.mass)
        sums = [grid.powers[:1] @ self.mass, grid.powers @ self.score]
        sums += [grid.powers[:2] @ (self.score * log_factor)]
        self.sums = torch.cat([*sums, grid.powers[:1] @ log_factor.mul_(self.mass)])


def log_logistic(negative: Tensor) -> tuple[Tensor, Tensor]:
    r""":math:`\log \sigma(t)` and its derivative of :math:`-t`, which is not kept.

    In less than half the time that PyTorch takes for the first.
    """
    negative = negative.clamp_(min=LOG_NEGLIGIBLE)
    r = negative.sigmoid()
    return r.log().sub_(negative), r
