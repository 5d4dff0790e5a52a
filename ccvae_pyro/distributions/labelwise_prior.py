"""Conditional priors of latents that factorize over labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor
from torch.distributions import Distribution, Normal
from torch.distributions.utils import lazy_property

from ccvae_pyro.distributions.nested_categorical import Size
from ccvae_pyro.distributions.normal import FusedNormal


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
        z = z_c[..., None] if self.latents is None else z_c[..., self.latents]
        if isinstance(self.distribution, Normal):
            log_prob: Tensor = self.distribution.log_prob(z.unsqueeze(-3)).sum(-1)
        else:
            log_prob = self.distribution.log_prob(z[..., 0].unsqueeze(-2))
        return log_prob.movedim(-2, 0)


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
        z = z_c[..., None] if self.latents is None else z_c[..., self.latents]
        log_prob: Tensor = self.given(y).log_prob(z).sum(-1)
        return log_prob


Factors = ClassFactors | AffineFactors


class LabelwisePrior(TorchDistribution):
    r"""A conditional prior that declares to factorize over labels:

    .. math:: p_\psi(z_c \mid y) = \prod_i p_\psi(z_c^i \mid y_i) .

    The latents of a label depend on that label alone. A conditional prior that returns it gives
    the objectives its factors for each value of a label (:attr:`given_each_value`), so that they
    can sum over labels that are missing. The distribution at ``y`` is computed when it is asked
    for.

    :param given: from labels of shape ``(..., num_labels)`` to a distribution of batch shape
        ``(..., num_latents)``, whose entries of one label depend on that label alone.
    :param y: the labels.
    :param factors: returns the factors for each value of a label, one entry for the labels of each
        kind. By default labels are binary, have one latent each, and ``given`` is called for both
        values.
    :param num_latents: the number of latents; by default, of labels.

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
        return self.given(self.y).to_event(1)

    @lazy_property
    def given_each_value(self) -> tuple[Factors, ...]:
        """The factors for each value of a label."""
        if self.factors is not None:
            return tuple(self.factors())
        num_labels = self.y.shape[-1]
        values = torch.arange(2, dtype=self.y.dtype, device=self.y.device)
        fn = self.given(values[:, None].expand(2, num_labels))
        if isinstance(fn, Normal):  # one latent for each label
            fn = FusedNormal(fn.loc[..., None], fn.scale[..., None], validate_args=False)
        return (ClassFactors(fn),)

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
        sample: Tensor = self.at_y.sample(torch.Size(sample_shape))
        return sample

    def rsample(self, sample_shape: Size = ()) -> Tensor:
        # A sample with a pathwise gradient, if the distribution at y has one.
        sample: Tensor = self.at_y(torch.Size(sample_shape))
        return sample

    def expand(self, batch_shape: Size, _instance: Any = None) -> LabelwisePrior:
        if torch.Size(batch_shape) == self.batch_shape:
            return self
        y = self.y.expand(*batch_shape, -1)
        return LabelwisePrior(
            self.given, y, self.factors, self.event_shape[0], validate_args=self._validate_args
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
