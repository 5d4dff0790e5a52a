"""Conditional priors of latents that factorize over labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor
from torch.distributions import Distribution, Normal
from torch.distributions.utils import lazy_property

from ccvae_pyro.distributions.label_vector import (
    class_log_probs,
    label_groups,
    num_classes_of,
    take_latents,
)
from ccvae_pyro.distributions.nested_categorical import Size
from ccvae_pyro.distributions.normal import FusedNormal
from ccvae_pyro.errors import NotFactorizedError


class ClassFactors(NamedTuple):
    r"""The factors :math:`p(z_c^i \mid y_i)` of labels with classes, for every class.

    :param distribution: Normals of batch shape ``(num_classes, num_labels, dim)``; or, for labels
        of one latent each, any distribution of batch shape ``(num_classes, num_labels)``.
    :param columns: the labels' columns in ``y``, or None for all of them.
    :param latents: the labels' entries of ``z_c``, shape ``(num_labels, dim)``; or None, if label
        ``i`` has the one entry ``i``.
    """

    distribution: Any
    columns: Tensor | None = None
    latents: Tensor | None = None

    def log_prob(self, z_c: Tensor) -> Tensor:
        """The log-density of every factor, shape ``(num_classes, ..., num_labels)``."""
        z = take_latents(z_c, self.latents)
        log_prob: Tensor
        if isinstance(self.distribution, Normal):
            log_prob = self.distribution.log_prob(z.unsqueeze(-3)).sum(-1)
        else:
            log_prob = self.distribution.log_prob(z[..., 0].unsqueeze(-2))
        return log_prob.movedim(-2, 0)

    def expected_log_prob(self, q_y: Any, z_c: Tensor) -> Tensor:
        """The expected log-density under labels' probabilities, summed over labels."""
        return (class_log_probs(q_y).exp() * self.log_prob(z_c)).sum((0, -1))


class AffineFactors(NamedTuple):
    r"""The factors of continuous labels, Normals with an affine mean:
    :math:`p(z_c^i \mid y_i) = \mathcal{N}(z_c^i; a_i y_i + c_i, \sigma_i)`.

    :param slope: :math:`a`, shape ``(num_labels, dim)``.
    :param offset: :math:`c`, shape ``(num_labels, dim)``.
    :param scale: :math:`\sigma`, shape ``(num_labels, dim)``.
    :param columns: the labels' columns in ``y``, or None for all of them.
    :param latents: the labels' entries of ``z_c``, shape ``(num_labels, dim)``; or None, if label
        ``i`` has the one entry ``i``.
    """

    slope: Tensor
    offset: Tensor
    scale: Tensor
    columns: Tensor | None = None
    latents: Tensor | None = None

    def given(self, y: Tensor) -> Normal:
        """The factors at labels of shape ``(..., num_labels)``."""
        loc = self.slope * y[..., None] + self.offset
        return FusedNormal(loc, self.scale.expand(loc.shape), validate_args=False)

    def log_prob(self, z_c: Tensor, y: Tensor) -> Tensor:
        """The log-density of each factor, shape ``(..., num_labels)``."""
        z = take_latents(z_c, self.latents)
        log_prob: Tensor = self.given(y).log_prob(z).sum(-1)
        return log_prob

    def expected_log_prob(self, q_y: Any, z_c: Tensor) -> Tensor:
        """The expected log-density under Normal labels, summed over labels."""
        spread = q_y.variance[..., None] * (self.slope / self.scale) ** 2 / 2
        expected_log_prob: Tensor = (self.log_prob(z_c, q_y.mean) - spread.sum(-1)).sum(-1)
        return expected_log_prob


Factors = ClassFactors | AffineFactors


class LabelwisePrior(TorchDistribution):
    r"""A conditional prior that declares to factorize over labels:

    .. math:: p_\psi(z_c \mid y) = \prod_i p_\psi(z_c^i \mid y_i) .

    The latents of a label depend on that label alone. A conditional prior that returns it gives
    the objectives its factors for each value of a label (:attr:`given_each_value`), so that they
    can sum over labels that are missing. The distribution at ``y`` is computed when it is first
    asked for, and kept, with its gradient; for a second backward pass, call the prior again.

    :param given: from labels of shape ``(..., num_labels)`` to a distribution of batch shape
        ``(..., num_latents)``, whose entries of one label depend on that label alone.
    :param y: the labels.
    :param factors: returns the factors for each value of a label, one entry for the labels of each
        kind. By default labels are binary, have one latent each, and ``given`` is called for both
        values.
    :param num_latents: the number of latents; by default, of labels.
    :raises ValueError: when it is asked for, if ``given`` returns a distribution of other
        latents.

    Example:

        >>> from pyro.distributions import StudentT
        >>> prior = LabelwisePrior(lambda y: StudentT(4.0, 4 * y - 2), torch.zeros(5, 3))
        >>> prior.event_shape, prior.given_each_value[0].distribution.mean[:, 0]
        (torch.Size([3]), tensor([-2.,  2.]))
    """

    arg_constraints = {}  # noqa: RUF012
    has_rsample = True
    support = constraints.independent(constraints.real, 1)

    def __init__(
        self,
        given: Callable[[Tensor], Any],
        y: Tensor,
        factors: Callable[[], Sequence[Factors]] | None = None,
        num_latents: int | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.given, self.y, self.factors = given, y, factors
        event_shape = torch.Size([num_latents or y.shape[-1]])
        super().__init__(y.shape[:-1], event_shape, validate_args=validate_args)

    @lazy_property
    def at_y(self) -> Any:
        """The distribution at ``y``, of event shape ``(num_latents,)``."""
        at_y = self.given(self.y).to_event(1)
        if at_y.event_shape != self.event_shape:
            raise ValueError(
                f"given labels of shape {tuple(self.y.shape)}, wanted a distribution of "
                f"{self.event_shape[0]} latents, got {type(at_y.base_dist).__name__} of batch "
                f"shape {tuple(at_y.base_dist.batch_shape)}"
            )
        return at_y

    @lazy_property
    def given_each_value(self) -> tuple[Factors, ...]:
        """The factors for each value of a label."""
        if self.factors is not None:
            return tuple(self.factors())
        num_labels = self.y.shape[-1]
        values = torch.arange(2, dtype=self.y.dtype, device=self.y.device)
        fn = self.given(values[:, None].expand(2, num_labels)).expand([2, num_labels])
        if isinstance(fn, Normal):  # one latent for each label
            fn = FusedNormal(fn.loc[..., None], fn.scale[..., None], validate_args=False)
        return (ClassFactors(fn),)

    def expected_log_prob(self, q_y: Any, z_c: Tensor) -> Tensor:
        r"""The expected log-density under a label vector,
        :math:`\mathbb{E}_{q(y)}[\log p(z_c \mid y)]`.

        :param q_y: independent labels of the same kinds.
        :param z_c: latents, shape ``(..., num_latents)``.
        :returns: shape ``(...)``.
        :raises NotFactorizedError: if the kinds of labels differ.
        """
        factors, groups = self.given_each_value, label_groups(q_y)
        check_kinds(q_y, factors)
        pairs = zip(factors, groups, strict=True)
        terms = [each.expected_log_prob(group.distribution, z_c) for each, group in pairs]
        return sum(terms[1:], start=terms[0])

    @property
    def mean(self) -> Tensor:
        mean: Tensor = self.at_y.mean
        return mean

    @property
    def variance(self) -> Tensor:
        variance: Tensor = self.at_y.variance
        return variance

    def log_prob(self, value: Tensor) -> Tensor:
        log_prob: Tensor = self.at_y.log_prob(value)
        return log_prob

    def sample(self, sample_shape: Size = ()) -> Tensor:
        samples: Tensor = self.at_y.sample(torch.Size(sample_shape))
        return samples

    def rsample(self, sample_shape: Size = ()) -> Tensor:
        # Pathwise, if the distribution at y is. Plates ask, and nothing is computed to answer.
        samples: Tensor = self.at_y(torch.Size(sample_shape))
        return samples

    def expand(self, batch_shape: Size, _instance: Any = None) -> LabelwisePrior:
        if torch.Size(batch_shape) == self.batch_shape:
            return self
        y = self.y.expand(*batch_shape, -1)
        return LabelwisePrior(
            self.given, y, self.factors, self.event_shape[0], validate_args=self._validate_args
        )


def check_kinds(fn: Any, factors: Sequence[Factors]) -> None:
    """Makes sure that labels and factors are of the same kinds.

    :raises NotFactorizedError: if not.
    """
    kinds = [num_classes_of(group.distribution) for group in label_groups(fn)]
    given = [0 if isinstance(f, AffineFactors) else f.distribution.batch_shape[0] for f in factors]
    if kinds != given:
        raise NotFactorizedError(
            "labels and the factors of their conditional prior differ in kind: labels have "
            f"{kinds} classes, 0 for a continuous label, and factors {given}"
        )


def is_vector_of(fn: Any, kind: type[Distribution]) -> bool:
    """Whether a distribution is a vector of independent scalars of this kind."""
    if isinstance(fn, LabelwisePrior):
        fn = fn.at_y
    base: Any = getattr(fn, "base_dist", None)
    return (
        getattr(fn, "reinterpreted_batch_ndims", 0) == 1
        and isinstance(base, kind)
        and base.event_shape == torch.Size()
    )
