"""The posterior of characteristics some of whose labels are known."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, kl_divergence
from torch.distributions.utils import clamp_probs

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.reading import class_log_probs
from ccvae_pyro.distributions.tilted_normal import TiltedNormal


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


class Line(NamedTuple):
    r"""What a classifier makes of characteristics: :math:`a_j z^j + b_j` for each that it reads.

    :param slope: :math:`a`, shape ``(..., num, num_decisions)``.
    :param offset: :math:`b`, of the same shape.
    """

    slope: Tensor
    offset: Tensor


class ClassPosterior:
    r"""The posterior :math:`q(z_c, y \mid x)` of labels with classes, some of which are known.

    A class is reached by decisions, each of which reads one characteristic: a binary label takes
    one. Those that lead to the class tilt their characteristics' Normals, to one side or to the
    other, and leave all others as they are,

    .. math:: q(z_c, y = c \mid x) = \prod_j \mathcal{N}(z^j; \mu_j, s_j)
              \prod_{j : S_{cj} \neq 0} \sigma(S_{cj} (a_j z^j + b_j)) .

    :param normal: :math:`q(z_c \mid x)`, shape ``(batch, num, dim)``.
    :param line: the decisions' logits.
    :param signs: :math:`S`, shape ``(num_classes, num_decisions)``.
    :param y: the classes, NaN where missing, shape ``(batch, num)``.
    """

    def __init__(self, normal: Normal, line: Line, signs: Tensor, y: Tensor) -> None:
        num_classes, num_decisions = signs.shape
        y = y.expand(normal.batch_shape[:-1])
        self.known = ~y.isnan()
        self.all_known, self.any_known = False, True  # as far as is known without waiting
        if is_free_to_read(y):
            self.all_known, self.any_known = bool(self.known.all()), bool(self.known.any())
        self.read = _entries(normal, slice(num_decisions))
        self.rest = _entries(normal, slice(num_decisions, None))
        # Along a new dimension on the left: classes, then plates, labels, decisions.
        leading = (num_classes, *[1] * (y.dim() - 1))
        self.signs = signs.view(*leading, 1, num_decisions)
        classes = torch.arange(num_classes, device=y.device).view(*leading, 1)
        self.is_class = y == classes
        # The way that a decision goes in a row: 0 where it is not made, or not known.
        self.way = signs[0].expand(*y.shape, -1)
        if self.any_known:
            self.way = (self.is_class[..., None] * self.signs).sum(0)
        sign = self.way[None] if self.all_known else _both_ways(self.way)
        tilt = (sign * line.slope, sign * line.offset)  # of what the guide's sites have validated
        self.tilted = TiltedNormal(self.read.loc, self.read.scale, *tilt, validate_args=False)

    def rsample(self) -> Tensor:
        r"""Draws :math:`z_c` from what the known labels make of the Normal."""
        if self.all_known:
            z_c = self.tilted.rsample()[0]
        else:
            noise = clamp_probs(torch.rand_like(self.read.loc))
            z_c = self.read.icdf(noise)
            if self.any_known:
                ways = self.tilted.icdf(noise.expand(2, 1, *noise.shape)).squeeze(1)
                z_c = _by_sign(self.way, ways, z_c)
        if not self.rest.batch_shape[-1]:
            return z_c
        return torch.cat([z_c, self.rest.rsample()], dim=-1)

    def terms(self, label_prior: Distribution, prior: Distribution) -> LabelTerms:
        """The bound's terms about these labels.

        :param prior: of characteristics, given each of the classes.
        """
        log_q = self._log_q_y_x()
        weight = self.is_class.to(log_q)
        if self.all_known:
            log_q_y_x = log_q.sum(-1)
            entropy = torch.zeros_like(log_q_y_x)
        else:
            weight = torch.where(self.known, weight, log_q.exp())
            log_q_y = weight * log_q
            log_q_y_x = (log_q_y * self.known).sum((0, -1))
            entropy = -(log_q_y * ~self.known).sum((0, -1))
        log_p_y = (weight * class_log_probs(label_prior)).sum((0, -1))
        kl = (weight * self._kl(prior)).sum((0, -1))
        return LabelTerms(log_p_y, kl, log_q_y_x, entropy)

    def _log_q_y_x(self) -> Tensor:
        """Of every class, shape ``(num_classes, batch, num)``; if all are known, of these only."""
        log_z = self.tilted.log_normalizer
        if self.all_known:
            return (log_z * self.way.abs()).sum(-1)
        return _by_sign(self.signs, log_z, torch.zeros_like(log_z[0])).sum(-1)

    def _kl(self, prior: Distribution) -> Tensor:
        """The divergence from the prior of every class, shape ``(num_classes, batch, num)``."""
        num_decisions = self.signs.shape[-1]
        of_read = _entries(prior, slice(num_decisions))
        kl = _divergence_of_read(self.tilted, of_read)
        if not self.all_known:
            untouched = _divergence_of_read(self.read, of_read)
            kl = _by_sign(self.signs, kl, untouched)
        if not self.rest.batch_shape[-1]:
            return kl.sum(-1)
        return kl.sum(-1) + divergence(self.rest, _entries(prior, slice(num_decisions, None))).sum(
            -1
        )


def divergence(q: Distribution, p: Distribution) -> Tensor:
    """The divergence of ``q`` from ``p``, from one draw where there is no formula for it."""
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        z = q.rsample()
        return q.log_prob(z) - p.log_prob(z)


def _divergence_of_read(q: Distribution, p: Distribution) -> Tensor:
    """As :func:`divergence`; a prior of another kind is that of one characteristic a label."""
    if isinstance(p, Normal):
        return kl_divergence(q, p)
    z = q.rsample()
    return q.log_prob(z) - p.log_prob(z[..., 0])[..., None]


def _entries(fn: Distribution, entries: slice) -> Any:
    """Some of the characteristics of each label."""
    if not isinstance(fn, Normal):
        return fn
    return Normal(fn.loc[..., entries], fn.scale[..., entries], validate_args=False)


def _both_ways(like: Tensor) -> Tensor:
    """The two signs, to the left of classes, plates, labels and decisions."""
    return torch.tensor([1.0, -1.0]).to(like).view(2, 1, *[1] * like.dim())


def _by_sign(sign: Tensor, ways: Tensor, zero: Tensor) -> Tensor:
    """Of two ways, the first where a sign is positive and the second where it is negative."""
    return torch.where(sign > 0, ways[0], torch.where(sign < 0, ways[1], zero))
