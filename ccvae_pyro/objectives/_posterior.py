"""The posterior of characteristics whose labels are known or missing, and its terms in a bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from pyro.infer.util import is_validation_enabled
from torch import Tensor
from torch.distributions import Distribution, Normal, kl_divergence

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions._tilted_quadrature import sample_probability
from ccvae_pyro.distributions.label_vector import (
    AffineBinary,
    AffineCategorical,
    AffineContinuous,
    AffineGroup,
    AffineLabels,
    are_independent,
    class_log_probs,
    label_groups,
    take_columns,
)
from ccvae_pyro.distributions.labelwise_prior import AffineFactors, ClassFactors, Factors
from ccvae_pyro.distributions.normal import FusedNormal
from ccvae_pyro.distributions.tilted_normal import TiltedNormal
from ccvae_pyro.errors import NotFactorizedError


class LabelTerms(NamedTuple):
    r"""The terms of a bound that belong to labels, summed over these, shape ``(batch,)`` each.

    :param log_p_y: :math:`\log p(y)`, or its expectation under :math:`q(y \mid x)`.
    :param kl: the divergence of the characteristics' posterior from their prior.
    :param log_q_y_x: :math:`\alpha \log q(y \mid x)` of the labels that are known, and the entropy
        of :math:`q(y \mid x)` of those that are missing.
    """

    log_p_y: Tensor
    kl: Tensor
    log_q_y_x: Tensor


class LabelPosterior:
    r"""The posterior :math:`q(z_c, y \mid x)` of a label vector, of which some labels are known.

    :param q_z_c: :math:`q(z_c \mid x)`, shape ``(batch, num_characteristics)``.
    :param q_y: the classifier's labels.
    :param y: the labels, NaN where missing, shape ``(batch, num_labels)``.
    :param is_complete: whether none is missing; on a CPU that is looked up.
    """

    def __init__(
        self, q_z_c: Normal, q_y: AffineLabels, y: Tensor, *, is_complete: bool = False
    ) -> None:
        self.groups = q_y.affine_groups
        self.posteriors = [_posterior(q_z_c, group, y, is_complete) for group in self.groups]

    def rsample(self) -> Tensor:
        r"""Samples :math:`z_c` from its posterior given the known labels."""
        samples = [posterior.rsample().flatten(-2) for posterior in self.posteriors]
        latents = [group.latents for group in self.groups if group.latents is not None]
        if not latents:
            return samples[0]
        entries = torch.cat([each.flatten() for each in latents])
        return torch.cat(samples, dim=-1)[..., entries.argsort()]

    def terms(self, p_y: Any, factors: Sequence[Factors], alpha: Any) -> LabelTerms:
        r"""The terms of the bound.

        :param p_y: the label prior.
        :param factors: those of the conditional prior.
        :param alpha: :math:`\alpha`, the classification weight.
        """
        parts: Any = zip(self.posteriors, label_groups(p_y), factors, strict=True)
        terms = [each.terms(p.distribution, f, alpha) for each, p, f in parts]
        columns: Any = zip(*terms, strict=True)
        total = LabelTerms(*(sum(each[1:], start=each[0]) for each in columns))
        if are_independent(p_y):
            return total
        probs = [each.class_probs for each in self.posteriors if isinstance(each, ClassPosterior)]
        return total._replace(log_p_y=total.log_p_y + p_y.expected_dependence(probs))


def _posterior(
    q_z_c: Normal, group: AffineGroup, y: Tensor, is_complete: bool
) -> ClassPosterior | ConjugatePosterior:
    loc, scale = group.block(q_z_c.loc), group.block(q_z_c.scale)
    y = take_columns(y, group.columns).expand(loc.shape[:-1])
    if is_validation_enabled():
        _check_labels(group, y)
    if type(group) is AffineContinuous:
        return ConjugatePosterior(loc, scale, group, y)
    if type(group) in (AffineBinary, AffineCategorical):
        return ClassPosterior(loc, scale, group, y, is_complete=is_complete)
    raise NotFactorizedError(  # a subclass may have another distribution than it declares
        f"'y' of the guide has {type(group).__name__}: wanted AffineBinary, AffineCategorical or "
        "AffineContinuous"
    )


class ClassPosterior:
    r"""The posterior :math:`q(z_c, y \mid x)` of labels with classes.

    A class is a sequence of dichotomies, each with an affine logit in one characteristic; a binary
    label is one dichotomy. Those of the class tilt their characteristics' Normals, to one side or
    to the other, and leave all others as they are:

    .. math:: q(z_c, y = k \mid x) = \prod_j \mathcal{N}(z^j; \mu_j, s_j)
              \prod_{j : S_{kj} \neq 0} \sigma(S_{kj} (a_j z^j + c_j)) .

    :param loc: :math:`\mu`, shape ``(batch, num_labels, dim)``.
    :param scale: :math:`s`, of the same shape.
    :param group: the logits' slopes and offsets, and the signs :math:`S`.
    :param y: the classes, NaN where missing, shape ``(batch, num_labels)``.
    """

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        group: AffineGroup,
        y: Tensor,
        *,
        is_complete: bool = False,
    ) -> None:
        num_read = group.slope.shape[-1]
        self.signs = group.signs if isinstance(group, AffineCategorical) else None
        self.y = y
        self.known = ~y.isnan()
        self.all_known, self.any_known = is_complete, True  # as far as is known without waiting
        if is_free_to_read(y):
            self.all_known = bool(self.known.all())
            self.any_known = self.all_known or bool(self.known.any())
        self.read = FusedNormal(loc[..., :num_read], scale[..., :num_read], validate_args=False)
        self.rest = None
        if loc.shape[-1] > num_read:
            self.rest = FusedNormal(
                loc[..., num_read:], scale[..., num_read:], validate_args=False
            )
        if self.all_known:
            sign = self.sign
            slope, offset = sign * group.slope, sign * group.offset
        else:  # both sides on the left: the classes of a binary label, or else to be combined
            sides = (2,) if self.signs is None else (2, 1)
            slope, offset = (
                torch.stack([-side, side]).view(
                    *sides, *[1] * (loc.dim() - side.dim()), *side.shape
                )
                for side in (group.slope, group.offset)
            )
        self.tilted = TiltedNormal(
            self.read.loc, self.read.scale, slope, offset, validate_args=False
        ).keep_standard()

    @property
    def sign(self) -> Tensor:
        """The side that each dichotomy of a known label takes; 0 for none, else 0 or NaN."""
        if self.signs is None:
            return (2 * self.y - 1)[..., None]
        sign = self.signs[self.y.nan_to_num().long()]
        return sign if self.all_known else sign * self.known[..., None]

    def rsample(self) -> Tensor:
        r"""Samples :math:`z_c` from its posterior given the known labels."""
        if self.all_known:
            z_c = self.tilted.rsample()
        else:
            noise = sample_probability(self.read.loc.shape, self.read.loc)
            z_c = self.read.icdf(noise)  # type: ignore[no-untyped-call]
            if self.any_known:
                sides = self.tilted.icdf(
                    noise.expand(*self.tilted.batch_shape[: -noise.dim()], *noise.shape)
                )
                z_c = _by_sign(self.sign, sides.view(2, *noise.shape), z_c)
        return z_c if self.rest is None else torch.cat([z_c, self.rest.rsample()], dim=-1)

    def terms(self, p_y: Any, factors: ClassFactors, alpha: Any) -> LabelTerms:
        """The terms of the bound that belong to these labels."""
        return (self._known_terms if self.all_known else self._terms)(p_y, factors, alpha)

    def _known_terms(self, p_y: Any, factors: ClassFactors, alpha: Any) -> LabelTerms:
        """Where no label is missing, the terms at the labels."""
        log_q_y_x = self.tilted.log_normalizer
        if self.signs is not None:
            log_q_y_x = log_q_y_x * self.sign.abs()
        log_q_y_x = log_q_y_x.sum((-2, -1))
        prior = factors.distribution
        if isinstance(prior, Normal):
            kl = self._kl(_at_class(prior, self.y))
        else:
            z = self.tilted.rsample()
            of_classes = prior.log_prob(z.movedim(-1, 0).unsqueeze(-2))[0]  # (..., 2, num)
            log_p = torch.where(self.y > 0.5, of_classes[..., 1, :], of_classes[..., 0, :])
            kl = self.tilted.log_prob(z)[..., 0] - log_p
        return LabelTerms(p_y.log_prob(self.y).sum(-1), kl.sum(-1), alpha * log_q_y_x)

    def _terms(self, p_y: Any, factors: ClassFactors, alpha: Any) -> LabelTerms:
        """Where labels may be missing, expectations over all classes."""
        prior, num_plates = factors.distribution, self.y.dim() - 1
        log_q = _sum_last(self._of_classes(self.tilted.log_normalizer, torch.zeros_like))
        is_class = (self.y == self._classes()).to(log_q)
        self._weight = weight = torch.where(self.known, is_class, log_q.exp())
        if isinstance(prior, Normal):
            kl = self._kl(_over_plates(prior, num_plates))
        else:
            z = self.tilted.rsample()  # of both sides, which are both classes
            log_p = (
                prior.log_prob(z[..., 0].unsqueeze(-2)).diagonal(dim1=0, dim2=-2).movedim(-1, 0)
            )
            kl = self.tilted.log_prob(z)[..., 0] - log_p
        sign = torch.where(self.known, alpha, -1.0)
        return LabelTerms(
            log_p_y=(weight * class_log_probs(p_y)).sum((0, -1)),
            kl=(weight * kl).sum((0, -1)),
            log_q_y_x=(weight * log_q * sign).sum((0, -1)),
        )

    @property
    def class_probs(self) -> Tensor:
        r""":math:`q(y = k \mid x)` of a missing label, and of a known one whether it is ``k``.

        After :meth:`terms`; classes are to the left of all other dimensions.
        """
        return (self.y == self._classes()).to(self.y) if self.all_known else self._weight

    def _classes(self) -> Tensor:
        """All classes, to the left of plates and labels."""
        num_classes = 2 if self.signs is None else len(self.signs)
        classes = torch.arange(num_classes, device=self.y.device)
        return classes.view(-1, *[1] * self.y.dim())

    def _of_classes(self, sides: Tensor, other: Callable[[Tensor], Tensor]) -> Tensor:
        """What each class has in each dichotomy, by what both sides have; classes on the left.

        :param other: what it has in a dichotomy of other classes, by what one side has.
        """
        if self.signs is None:
            return sides
        signs = self.signs.view(len(self.signs), *[1] * self.y.dim(), self.signs.shape[-1])
        return _by_sign(signs, sides, other(sides[0]))

    def _kl(self, prior: Normal) -> Tensor:
        """The divergence from Normal priors, summed over characteristics, shape ``(..., num)``."""
        num_read = self.read.loc.shape[-1]
        of_read = _entries(prior, slice(num_read))
        kl: Tensor = kl_divergence(self.tilted, of_read)
        if not self.all_known:
            kl = self._of_classes(kl, lambda _: kl_divergence(self.read, of_read))
        kl = _sum_last(kl)
        if self.rest is None:
            return kl
        return kl + kl_divergence(self.rest, _entries(prior, slice(num_read, None))).sum(-1)


class ConjugatePosterior:
    r"""The posterior :math:`q(z_c, y \mid x)` of continuous labels, all in closed form.

    With :math:`q(z \mid x) = \mathcal{N}(\mu, s)` and :math:`q(y \mid z) = \mathcal{N}(a z + c,
    \sigma)` it is Normal: with :math:`v = a^2 s^2 + \sigma^2` and the gain :math:`g = a s^2 / v`,

    .. math:: q(y \mid x) = \mathcal{N}(a \mu + c, \sqrt{v}), \qquad
              q(z \mid x, y) = \mathcal{N}(\mu + g (y - a \mu - c), \, s \sigma / \sqrt{v}) .

    :param loc: :math:`\mu`, shape ``(batch, num_labels, dim)``; the first is read.
    :param scale: :math:`s`, of the same shape.
    :param group: :math:`a`, :math:`c` and :math:`\sigma`.
    :param y: the labels, NaN where missing, shape ``(batch, num_labels)``.
    """

    def __init__(self, loc: Tensor, scale: Tensor, group: AffineContinuous, y: Tensor) -> None:
        self.known = ~y.isnan()
        slope, offset = group.slope[..., 0], group.offset[..., 0]
        mu, s = loc[..., 0], scale[..., 0]
        variance = slope**2 * s**2 + group.scale**2
        self.q_y_x = Normal(slope * mu + offset, variance.sqrt(), validate_args=False)
        self.gain = slope * s**2 / variance
        # A missing label counts with its mean, and its variance where that matters.
        self.y = torch.where(self.known, y.nan_to_num(), self.q_y_x.mean)
        posterior_loc = mu + self.gain * (self.y - self.q_y_x.mean)
        posterior_scale = s * group.scale / self.q_y_x.stddev
        self.given_y = FusedNormal(posterior_loc, posterior_scale, validate_args=False)
        self.scale = torch.where(self.known, posterior_scale, s)
        self.rest = FusedNormal(loc[..., 1:], scale[..., 1:], validate_args=False)

    def rsample(self) -> Tensor:
        r"""Samples :math:`z_c` from its posterior given the known labels."""
        # Where the label is missing, the mean is that of q(z | x).
        read = Normal(self.given_y.loc, self.scale, validate_args=False).rsample()
        return torch.cat([read[..., None], self.rest.rsample()], dim=-1)

    def terms(self, p_y: Any, factors: AffineFactors, alpha: Any) -> LabelTerms:
        """The terms of the bound that belong to these labels."""
        prior = factors.given(self.y)
        kl = kl_divergence(self.given_y, _entries(prior, 0))
        kl = kl + kl_divergence(self.rest, _entries(prior, slice(1, None))).sum(-1)
        # A missing label varies, and moves the means of posterior and prior with it.
        variance = torch.where(self.known, 0.0, self.q_y_x.variance)
        gain = F.pad(self.gain[..., None], (0, factors.slope.shape[-1] - 1))
        moves = (gain - factors.slope) ** 2 / (2 * factors.scale**2)
        kl = kl + (variance[..., None] * moves).sum(-1)
        log_p_y = p_y.log_prob(self.y) - variance / (2 * p_y.variance)
        log_q_y_x = alpha * self.q_y_x.log_prob(self.y)
        log_q_y_x = torch.where(self.known, log_q_y_x, self.q_y_x.entropy())
        return LabelTerms(log_p_y.sum(-1), kl.sum(-1), log_q_y_x.sum(-1))


def _sum_last(terms: Tensor) -> Tensor:
    """The sum over the last dimension."""
    return terms.squeeze(-1) if terms.shape[-1] == 1 else terms.sum(-1)


def divergence(q: Distribution, p: Distribution) -> Tensor:
    """The divergence of ``q`` from ``p``, from one sample where there is no formula for it."""
    try:
        kl: Tensor = kl_divergence(q, p)
        return kl
    except NotImplementedError:
        z = q.rsample()
        return q.log_prob(z) - p.log_prob(z)


def _at_class(prior: Normal, y: Tensor) -> Normal:
    """The factors at known classes, shape ``(..., num_labels, dim)``."""
    if len(prior.loc) == 2:
        is_second = (y > 0.5)[..., None]
        loc, scale = (torch.where(is_second, p[1], p[0]) for p in (prior.loc, prior.scale))
    else:  # one label
        loc, scale = (p[:, 0][y.long()] for p in (prior.loc, prior.scale))
    return FusedNormal(loc, scale, validate_args=False)


def _over_plates(prior: Normal, num_plates: int) -> Normal:
    """Factors of each class, to the left of plates."""
    loc, scale = (
        p.view(len(p), *[1] * num_plates, *p.shape[1:]) for p in (prior.loc, prior.scale)
    )
    return FusedNormal(loc, scale, validate_args=False)


def _entries(fn: Normal, entries: slice | int) -> Normal:
    """Some of the characteristics of each label, or one."""
    return FusedNormal(fn.loc[..., entries], fn.scale[..., entries], validate_args=False)


def _by_sign(sign: Tensor, sides: Tensor, zero: Tensor) -> Tensor:
    """The second of two sides where a sign is positive, the first where it is negative."""
    return torch.where(sign > 0, sides[1], torch.where(sign < 0, sides[0], zero))


def _check_labels(group: AffineGroup, y: Tensor) -> None:
    """Refuses values that are not of the labels' kind."""
    if isinstance(group, AffineContinuous):
        wrong, wanted = y.isinf(), "a finite number"
    else:
        last = len(group.signs) - 1 if isinstance(group, AffineCategorical) else 1
        wrong = (y - y.round().clamp_(0, last)).nan_to_num_()
        wanted = "0 or 1" if last == 1 else f"a class from 0 to {last}"
    if wrong.any():
        place = tuple(wrong.nonzero()[0].tolist())
        column = place[-1] if group.columns is None else int(group.columns[place[-1]])
        raise ValueError(
            f"row {', '.join(map(str, place[:-1]))}, column {column} of 'y' is {y[place]:g}: "
            f"wanted {wanted}, or NaN where it is missing"
        )
