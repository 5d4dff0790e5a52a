"""The posterior of characteristics whose labels are numbers, all in closed form."""

from __future__ import annotations

import math

import torch
from pyro.infer.util import is_validation_enabled
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.objectives._posterior import LabelTerms, Line


class LinePosterior:
    r"""The posterior :math:`q(z_c, y \mid x)` of labels that are numbers.

    With :math:`q(z \mid x) = \mathcal{N}(\mu, s)` and :math:`q(y \mid z) = \mathcal{N}(a z + b,
    \sigma)`, all is Normal: with :math:`v = a^2 s^2 + \sigma^2` and :math:`k = a s^2 / v`,

    .. math:: q(y \mid x) = \mathcal{N}(a \mu + b, \sqrt{v}), \qquad
              q(z \mid x, y) = \mathcal{N}(\mu + k (y - a \mu - b), \, s \sigma / \sqrt{v}) .

    :param normal: :math:`q(z_c \mid x)`, shape ``(batch, num, dim)``; the first is read.
    :param line: :math:`a` and :math:`b`, shape ``(..., num, 1)``.
    :param scale: :math:`\sigma`, shape ``(..., num)``.
    :param y: the numbers, NaN where missing, shape ``(batch, num)``.
    """

    def __init__(self, normal: Normal, line: Line, scale: Tensor, y: Tensor) -> None:
        y = y.expand(normal.batch_shape[:-1])
        self.known, y = ~y.isnan(), y.nan_to_num()
        slope, offset = line.slope[..., 0], line.offset[..., 0]
        loc, s = normal.loc[..., 0], normal.scale[..., 0]
        self.q_y_x = Normal(slope * loc + offset, (slope**2 * s**2 + scale**2).sqrt())
        self.gain = slope * s**2 / self.q_y_x.variance
        self.y = torch.where(self.known, y, self.q_y_x.mean)  # a mean, where it is not known
        posterior_scale = s * scale / self.q_y_x.stddev
        self.given_y = Normal(loc + self.gain * (self.y - self.q_y_x.mean), posterior_scale)
        self.read = Normal(loc, s)
        self.rest = Normal(normal.loc[..., 1:], normal.scale[..., 1:])

    def rsample(self) -> Tensor:
        r"""Draws :math:`z_c` from what the known labels make of the Normal."""
        scale = torch.where(self.known, self.given_y.scale, self.read.scale)
        read = Normal(self.given_y.loc, scale).rsample()  # without a label, the mean is that of q
        return torch.cat([read[..., None], self.rest.rsample()], dim=-1)

    def terms(self, label_prior: Normal, prior: Normal) -> LabelTerms:
        """The bound's terms about these labels.

        :param prior: of characteristics, shape ``(num_rows, ..., num, dim)``, where the label is
            its own prior's mean, one deviation more, and so on. Its mean has to be a line in the
            label, and its deviation the same.
        :raises NotFactorizedError: if they are not.
        """
        if is_validation_enabled():
            _check_line(prior)
        rate = (prior.loc[1] - prior.loc[0]) / label_prior.stddev[..., None]
        # The prior's mean where the label is as known, or as expected.
        from_mean = (self.y - label_prior.mean)[..., None]
        at_y = Normal(prior.loc[0] + rate * from_mean, prior.scale[0])
        kl = kl_divergence(self.given_y, Normal(at_y.loc[..., 0], at_y.scale[..., 0]))
        kl = kl + kl_divergence(self.rest, Normal(at_y.loc[..., 1:], at_y.scale[..., 1:])).sum(-1)
        # A label that is not known varies, and moves both means with it.
        variance = torch.where(self.known, 0.0, self.q_y_x.variance)
        moves = torch.cat(
            [(self.gain - rate[..., 0])[..., None], rate[..., 1:].expand_as(self.rest.loc)], -1
        )
        kl = kl + (variance[..., None] * moves**2 / (2 * at_y.variance)).sum(-1)
        log_p_y = label_prior.log_prob(self.y) - variance / (2 * label_prior.variance)
        entropy = self.q_y_x.stddev.log() + math.log(2 * math.pi * math.e) / 2
        return LabelTerms(
            log_p_y=log_p_y.sum(-1),
            kl=kl.sum(-1),
            log_q_y_x=(self.q_y_x.log_prob(self.y) * self.known).sum(-1),
            entropy=(entropy * ~self.known).sum(-1),
        )


def _check_line(prior: Normal) -> None:
    first, second, third = prior.loc[:3].unbind()
    is_line = torch.allclose(third - second, second - first, rtol=1e-3, atol=1e-3)
    if not is_line or not torch.allclose(prior.scale[:3], prior.scale[0], rtol=1e-3):
        raise NotFactorizedError(
            "the conditional prior's mean is no line in a label that is a number, or its "
            "deviation varies"
        )
