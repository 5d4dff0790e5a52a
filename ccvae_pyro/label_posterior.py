"""The posterior of characteristics some of whose labels are known."""

from __future__ import annotations

from typing import NamedTuple

import torch
from pyro.infer.util import is_validation_enabled
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal, kl_divergence
from torch.distributions.utils import clamp_probs

from ccvae_pyro.tilted_normal import TiltedNormal


class LabelTerms(NamedTuple):
    r"""The bound's terms about labels, each summed over these, shape ``(batch,)``.

    :param log_p_y: :math:`\log p(y)`, or its mean under :math:`q(y \mid x)`.
    :param kl: the divergence of the characteristics' posterior from their prior.
    :param log_q_y_x: :math:`\log q(y \mid x)` of the labels that are known.
    :param entropy: the entropy of :math:`q(y \mid x)` of those that are not.
    """

    log_p_y: Tensor
    kl: Tensor
    log_q_y_x: Tensor
    entropy: Tensor


class LabelPosterior:
    r"""The posterior :math:`q(z_c, y \mid x)`, some of whose labels are known.

    :param normal: :math:`q(z_c^i \mid x)`, shape ``(batch, num_labels)``.
    :param slope: of the classifier's logit of each label.
    :param offset: of the same.
    :param y: labels, NaN where missing.
    """

    def __init__(self, normal: Normal, slope: Tensor, offset: Tensor, y: Tensor) -> None:
        if is_validation_enabled() and not ((y == 0) | (y == 1) | y.isnan()).all():
            raise ValueError(f"a label is 0, 1, or NaN where it is missing, got {y}")
        self.normal, self.y = normal, y
        self.known = ~y.isnan()
        self.all_known, self.any_known = torch.stack([self.known.all(), self.known.any()]).tolist()
        rows = torch.tensor([0.0, 1.0]).to(normal.loc).view(2, *[1] * normal.loc.dim())
        self.values = rows  # of a label, along a new dimension on the left
        sign = 2 * (y if self.all_known else rows) - 1
        self.tilted = TiltedNormal(normal.loc, normal.scale, sign * slope, sign * offset)

    def rsample(self) -> Tensor:
        r"""Draws :math:`z_c` from what the known labels make of the Normal."""
        if self.all_known:
            return self.tilted.rsample()
        noise = clamp_probs(torch.rand_like(self.normal.loc))
        z_c = self.normal.icdf(noise)
        if not self.any_known:
            return z_c
        without, with_it = self.tilted.icdf(noise.expand(2, *noise.shape))
        return torch.where(self.known, torch.where(self.y == 1, with_it, without), z_c)

    def terms(self, label_prior: Bernoulli, priors: Distribution) -> LabelTerms:
        """The bound's terms about labels.

        :param priors: that of a characteristic under both values of its label.
        """
        log_q = self.tilted.log_normalizer.expand(2, *self.normal.loc.shape)
        weight = torch.where(self.known, (self.y == self.values).to(log_q), log_q.exp())
        log_p = label_prior.log_prob(self.values.expand_as(log_q))
        kl = divergence(self.tilted, priors)
        log_q_y = weight * log_q
        return LabelTerms(
            log_p_y=(weight * log_p).sum((0, -1)),
            kl=(weight * kl).sum((0, -1)),
            log_q_y_x=(log_q_y * self.known).sum((0, -1)),
            entropy=-(log_q_y * ~self.known).sum((0, -1)),
        )


def divergence(q: Distribution, p: Distribution) -> Tensor:
    """The divergence of ``q`` from ``p``, from one draw where there is no formula for it."""
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        z = q.rsample()
        return q.log_prob(z) - p.log_prob(z)
