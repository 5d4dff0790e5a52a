r"""Nodes for the integrals of a standard Normal that a logistic function reweighs.

The density is :math:`f(t) = \phi(t) \, \sigma(\beta t + \gamma) / Z`; its integrals are sums over
nodes that follow both of its scales, the Normal's and that of the logistic step.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Of the nodes: errors are about 1e-8 up to slopes of 10, and 1e-4 at 200.
SPACING = {torch.float64: 0.11}
COARSE_SPACING = 0.22  # in other types, whose rounding is above the rest
REACH = 7.5  # of the nodes to both sides of the middle of a density no wider than the Normal
FAR = 5.0  # from the middle
STEEPEST = 200.0  # slope that nodes are provided for where their number must not depend on values
LOG_NEGLIGIBLE = -36.0  # kept from falling further, to numbers that processors are slow on
CHUNK = 4096  # densities at a time on a CPU: few enough for its cache


def make_grids(slope: Tensor, offset: Tensor) -> list[TiltedGrid]:
    r"""Tilted densities on nodes, as many at a time as are quick.

    :param slope: :math:`\beta`, of any batch's shape.
    :param offset: :math:`\gamma`, of the same.
    """
    size = CHUNK if slope.device.type == "cpu" else max(slope.numel(), 1)
    flat = (array.detach().flatten().split(size) for array in (slope, offset))
    with torch.no_grad():
        return [TiltedGrid(*chunk) for chunk in zip(*flat, strict=True)]


class TiltedGrid:
    r"""Tilted densities on nodes, which are the first dimension.

    The nodes are equally spaced in :math:`s = \operatorname{arsinh}(k (t - t_0))`, and so closest
    at the step :math:`t_0 = -\gamma / \beta` of the logistic, where that matters. The integrand is
    analytic in a strip about the real line of :math:`s` whose width does not depend on the slope:
    the trapezoid rule's error falls exponentially with the number of nodes (Trefethen and
    Weideman, 2014).

    :param slope: :math:`\beta`, shape ``(num_densities,)``.
    :param offset: :math:`\gamma`, of the same shape.
    """

    def __init__(self, slope: Tensor, offset: Tensor) -> None:
        self.slope, self.offset = slope, offset
        up = self._place().exp()
        down = up.reciprocal()
        self.t = (up - down).div_(2 * self.sharpness).add_(self.step)
        self.log_factor = F.logsigmoid(self.logits(self.t).clamp_(max=-LOG_NEGLIGIBLE))
        log_density = torch.addcmul(self.log_factor, self.t, self.t, value=-0.5)
        peak = log_density.amax(0)
        density = log_density.sub_(peak).clamp_(min=LOG_NEGLIGIBLE).exp_()
        mass = up.add_(down).mul_(density)
        total = mass.sum(0)
        self.weight = mass.div_(total)  # of a node: the spacing times the density in s
        integral = total * self.spacing / (2 * self.sharpness * math.sqrt(2 * math.pi))
        self.log_normalizer = peak + integral.log()
        # The derivative of log_factor by the logit, times the weight, and also times t.
        self.score = self.log_factor.expm1().neg_().mul_(self.weight)
        self.score_t = self.score * self.t

    def _place(self) -> Tensor:
        """Chooses the nodes, in s: as close at the step as it is steep, where it matters."""
        tiny = torch.finfo(self.slope.dtype).tiny
        step = -self.offset / torch.where(self.slope.abs() < tiny, tiny, self.slope)
        # The mode is between that of the Normal and that of its product with an exponential.
        middle = step.clamp(self.slope.clamp(max=0), self.slope.clamp(min=0))
        distance = step - middle
        relevance = (-(distance**2) / 8).exp()
        self.sharpness = (self.slope.abs() * relevance).clamp(min=1) / math.pi
        # A step that is far from the middle bears on next to nothing, and draws no nodes to it.
        nearness = (2 - distance.abs() / FAR).clamp(0, 1)
        self.step = middle + distance.clamp(-FAR, FAR) * nearness
        lower, upper = middle - REACH, middle + REACH
        start, end = (((t - self.step) * self.sharpness).asinh() for t in (lower, upper))
        num_nodes = self._num_nodes(end - start)
        fraction = torch.linspace(0, 1, num_nodes, dtype=start.dtype, device=start.device)
        self.start, self.spacing = start, (end - start) / (num_nodes - 1)
        return torch.lerp(start, end, fraction[:, None])

    def _num_nodes(self, length: Tensor) -> int:
        """As many as the longest interval needs; on an accelerator no value is waited for."""
        longest = 2 * math.asinh(REACH * STEEPEST / math.pi)
        if length.device.type == "cpu":
            longest = float(length.max())
        return 2 + math.ceil(longest / SPACING.get(length.dtype, COARSE_SPACING))

    def t_at(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """A point and its derivative by s."""
        return self.step + s.sinh() / self.sharpness, s.cosh() / self.sharpness

    def logits(self, t: Tensor) -> Tensor:
        return torch.addcmul(self.offset, self.slope, t)

    def density(self, t: Tensor) -> Tensor:
        log_density = F.logsigmoid(self.logits(t)) - t**2 / 2 - self.log_normalizer
        return log_density.exp() / math.sqrt(2 * math.pi)
