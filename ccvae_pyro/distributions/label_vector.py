"""Vectors of independent labels of several kinds, and the affine ones among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Independent,
    Normal,
    kl_divergence,
)
from torch.distributions.utils import lazy_property

from ccvae_pyro.distributions.bernoulli import LogitBernoulli, log_sigmoid
from ccvae_pyro.distributions.nested_categorical import NestedCategorical, Size


def take_columns(y: Tensor, columns: Tensor | None) -> Tensor:
    """Some columns of a label vector, or all of them."""
    return y if columns is None else y[..., columns]


def column_numbers(columns: Tensor | None, num_labels: int) -> list[int]:
    """The numbers of some columns, or of all."""
    return list(range(num_labels)) if columns is None else columns.tolist()


def take_latents(z_c: Tensor, latents: Tensor | None) -> Tensor:
    """The latents of each label, shape ``(..., num_labels, dim)``; by default, one for each."""
    return z_c[..., None] if latents is None else z_c[..., latents]


class LabelGroup(NamedTuple):
    """The labels of one kind within a label vector.

    :param distribution: their distribution, of batch shape ``(..., num_labels)``: Bernoulli,
        Categorical or Normal.
    :param columns: their columns in ``y``, or None for all of them.
    """

    distribution: Any
    columns: Tensor | None = None

    def labels(self, y: Tensor) -> Tensor:
        """These labels out of a label vector."""
        return take_columns(y, self.columns)


class LabelVector(TorchDistribution):
    """A vector of independent labels of several kinds, one float for each.

    :param groups: the labels, grouped by kind. Together, their columns are those of ``y``.
    """

    #: Whether the labels are independent; if not, the groups hold their marginal distributions.
    are_independent: ClassVar[bool] = True

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 1)
    has_rsample = False

    def __init__(self, groups: Sequence[LabelGroup], validate_args: bool | None = None) -> None:
        self._groups = tuple(groups)
        shapes = [group.distribution.batch_shape for group in groups]
        batch_shape = torch.broadcast_shapes(*(shape[:-1] for shape in shapes))
        event_shape = torch.Size([sum(shape[-1] for shape in shapes)])
        super().__init__(batch_shape, event_shape, validate_args=validate_args)

    @property
    def groups(self) -> tuple[LabelGroup, ...]:
        """The labels, grouped by kind."""
        return self._groups

    @property
    def mean(self) -> Tensor:
        """The probability of each binary label, the mean of each continuous one."""
        if any(isinstance(group.distribution, Categorical) for group in self.groups):
            raise NotImplementedError("a categorical label has no mean")
        return join_groups(self.groups, [group.distribution.mean for group in self.groups])

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of all labels together, shape ``batch_shape``."""
        check_num_labels(value, self.event_shape[0])
        log_probs = [
            group.distribution.log_prob(group.labels(value)).sum(-1) for group in self.groups
        ]
        log_prob: Tensor = sum(log_probs[1:], start=log_probs[0])
        return log_prob

    def sample(self, sample_shape: Size = ()) -> Tensor:
        shape, first = torch.Size(sample_shape), self.groups[0].distribution
        y: Tensor
        if self.groups[0].columns is None:
            y = first.sample(shape)
            return y
        y = _parameter(first).new_empty(shape + self.batch_shape + self.event_shape)
        for group in self.groups:
            y[..., group.columns] = group.distribution.sample(shape).to(y)
        return y

    def expand(self, batch_shape: Size, _instance: Any = None) -> LabelVector:
        def expanded(fn: Any) -> Any:
            return fn.expand(torch.Size((*batch_shape, fn.batch_shape[-1])))

        return LabelVector(_map_groups(self.groups, expanded), validate_args=self._validate_args)

    def __repr__(self) -> str:
        kinds = ", ".join(repr(group.distribution) for group in self.groups)
        return f"{type(self).__name__}({kinds})"

    def select(self, index: int) -> LabelVector:
        """The distribution at one index of the leftmost batch dimension."""
        groups = _map_groups(self.groups, lambda fn: _select(fn, index))
        return LabelVector(groups, validate_args=False)


class AffineGroup:
    r"""Labels of one kind whose logits, or mean, are affine in latents of their own:

    .. math:: \ell_j = a_j z_c^j + c_j .

    :param slope: :math:`a`, shape ``(num_labels, num_read)``: each label reads that many latents.
    :param offset: :math:`c`, of the same shape.
    :param columns: the labels' columns in ``y``, or None for all of them.
    :param latents: the labels' entries of ``z_c``, shape ``(num_labels, dim)``, those that are
        read first; or None, if label ``i`` has the one entry ``i``.
    """

    def __init__(
        self,
        slope: Tensor,
        offset: Tensor,
        columns: Tensor | None = None,
        latents: Tensor | None = None,
    ) -> None:
        self.slope, self.offset = slope, offset
        self.columns, self.latents = columns, latents

    @property
    def num_labels(self) -> int:
        """The number of labels in the group."""
        return self.slope.shape[-2]

    def block(self, z_c: Tensor) -> Tensor:
        """The latents of these labels, shape ``(..., num_labels, dim)``."""
        return take_latents(z_c, self.latents)

    def affine(self, z_c: Tensor) -> Tensor:
        """The affine map of the latents that are read, shape ``(..., num_labels, num_read)``."""
        read = self.block(z_c)[..., : self.slope.shape[-1]]
        return torch.addcmul(self.offset, self.slope, read)

    def parameters(self) -> dict[str, Tensor]:
        """Slopes and offsets, and what else there is, of shape ``(..., num_labels, num)``."""
        return {"slopes": self.slope, "offsets": self.offset}

    def distribution(self, z_c: Tensor) -> Distribution:
        """The distribution of these labels, of batch shape ``(..., num_labels)``."""
        raise NotImplementedError


class AffineBinary(AffineGroup):
    r"""Binary labels with affine logits:

    .. math:: \operatorname{logit} q(y_i = 1) = a_i z_c^i + c_i .

    :param slope: :math:`a`, shape ``(num_labels,)``.
    :param offset: :math:`c`, shape ``(num_labels,)``.
    :param columns: see :class:`AffineGroup`.
    :param latents: see :class:`AffineGroup`.
    """

    def __init__(
        self,
        slope: Tensor,
        offset: Tensor,
        columns: Tensor | None = None,
        latents: Tensor | None = None,
    ) -> None:
        super().__init__(slope[..., None], offset[..., None], columns, latents)

    def distribution(self, z_c: Tensor) -> LogitBernoulli:
        read = z_c if self.latents is None else z_c[..., self.latents[:, 0]]
        logits = torch.addcmul(self.offset[..., 0], self.slope[..., 0], read)
        return LogitBernoulli(logits=logits, validate_args=False)


class AffineCategorical(AffineGroup):
    r"""A categorical label of nested dichotomies with affine logits.

    :param slope: :math:`a`, shape ``(num_dichotomies,)``.
    :param offset: :math:`c`, shape ``(num_dichotomies,)``.
    :param signs: the sign matrix, see :func:`~ccvae_pyro.sign_matrix`.
    :param columns: see :class:`AffineGroup`.
    :param latents: see :class:`AffineGroup`.
    """

    def __init__(
        self,
        slope: Tensor,
        offset: Tensor,
        signs: Tensor,
        columns: Tensor | None = None,
        latents: Tensor | None = None,
    ) -> None:
        super().__init__(slope[..., None, :], offset[..., None, :], columns, latents)
        self.signs = signs

    def distribution(self, z_c: Tensor) -> NestedCategorical:
        return NestedCategorical(self.affine(z_c), self.signs, validate_args=False)


class AffineContinuous(AffineGroup):
    r"""Continuous labels with an affine mean and a constant standard deviation,
    :math:`q(y_i \mid z_c) = \mathcal{N}(y_i; a_i z_c^i + c_i, \sigma_i)`.

    :param slope: :math:`a`, shape ``(num_labels,)``.
    :param offset: :math:`c`, shape ``(num_labels,)``.
    :param scale: :math:`\sigma`, shape ``(num_labels,)``.
    :param columns: see :class:`AffineGroup`.
    :param latents: see :class:`AffineGroup`.
    """

    def __init__(
        self,
        slope: Tensor,
        offset: Tensor,
        scale: Tensor,
        columns: Tensor | None = None,
        latents: Tensor | None = None,
    ) -> None:
        super().__init__(slope[..., None], offset[..., None], columns, latents)
        self.scale = scale

    def parameters(self) -> dict[str, Tensor]:
        return super().parameters() | {"scales": self.scale[..., None]}

    def distribution(self, z_c: Tensor) -> dist.Normal:
        return dist.Normal(self.affine(z_c)[..., 0], self.scale, validate_args=False)


class AffineLabels(LabelVector):
    r"""Labels :math:`q(y \mid z_c)` that declare to be affine, label by label, in ``z_c``.

    A classifier that returns it says that each logit, or mean, depends on one latent alone, and
    how: :class:`~ccvae_pyro.ExactCCVAE_ELBO` reads slope and offset from it, and integrates over
    ``z_c`` exactly. The distribution of the labels at ``z_c`` is computed when it is first asked
    for, and kept, with its gradient; for a second backward pass, call the classifier again.

    :param z_c: the latents, shape ``(..., num_latents)``: a value that a site of the guide
        returned, as it is.
    :param groups: slopes and offsets of the labels of each kind. Binary labels with a latent each
        are one group, ``AffineLabels(z_c, AffineBinary(slope, offset))``.

    Example:

        >>> slope, offset = torch.tensor([1.0, -2.0]), torch.zeros(2)
        >>> AffineLabels(torch.ones(5, 2), AffineBinary(slope, offset)).batch_shape
        torch.Size([5])
    """

    def __init__(
        self, z_c: Tensor, *groups: AffineGroup, validate_args: bool | None = None
    ) -> None:
        self.z_c, self.affine_groups = z_c, groups
        num_labels = sum(group.num_labels for group in groups)
        TorchDistribution.__init__(
            self, z_c.shape[:-1], torch.Size([num_labels]), validate_args=validate_args
        )

    @lazy_property
    def _groups(self) -> tuple[LabelGroup, ...]:
        return tuple(LabelGroup(g.distribution(self.z_c), g.columns) for g in self.affine_groups)

    def expand(self, batch_shape: Size, _instance: Any = None) -> AffineLabels:
        if torch.Size(batch_shape) == self.batch_shape:
            return self
        z_c = self.z_c.expand(*batch_shape, -1)
        return AffineLabels(z_c, *self.affine_groups, validate_args=self._validate_args)


def label_groups(fn: Any) -> tuple[LabelGroup, ...]:
    """The groups of a label vector; none, if ``fn`` is no label vector.

    ``Bernoulli(...).to_event(1)`` is a label vector too, of binary labels alone.
    """
    if isinstance(fn, LabelVector):
        return fn.groups
    if isinstance(fn, Independent) and fn.reinterpreted_batch_ndims == 1:
        base: Any = fn.base_dist
        return (LabelGroup(base),) if isinstance(base, Bernoulli) else ()
    return ()


def select(fn: Any, index: int) -> Any:
    """A label vector at one index of its leftmost batch dimension."""
    if isinstance(fn, LabelVector):
        return fn.select(index)
    return LabelVector([LabelGroup(_select(fn.base_dist, index))], validate_args=False)


def expectations(fn: Any) -> Tensor:
    """The expected labels, shape ``(batch, num_outcomes)``.

    In the order of labels: the probability of a binary label, the probability of each class, or
    the mean of a continuous label.
    """
    groups, columns = _groups_to_predict(fn), []
    for group in groups:
        one = group.distribution
        values = one.probs if isinstance(one, Categorical) else one.mean[..., None]
        columns.append(values.unbind(-2))
    return torch.cat(in_order(groups, columns), dim=-1)


def most_likely(fn: Any) -> Tensor:
    """The most likely value of each label, as ``y`` has them."""
    groups = _groups_to_predict(fn)
    like = _parameter(groups[0].distribution)
    return join_groups(groups, [_mode(group.distribution).to(like) for group in groups])


def confidence(fn: Any) -> Tensor:
    """The probability of the most likely values; the standard deviation of a continuous label."""
    groups, values = _groups_to_predict(fn), []
    for group in groups:
        one = group.distribution
        is_continuous = isinstance(one, Normal)
        value = one.scale if is_continuous else class_log_probs(one).amax(0).exp()
        values.append(value.expand(one.batch_shape))
    return join_groups(groups, values)


def observed_log_probs(fn: Any, y: Tensor) -> Tensor:
    """The log-probability of each observed label, and 0 where one is missing; kind by kind.

    :param y: labels, NaN where missing, shape ``(batch, num_labels)``.
    """
    log_probs, groups = [], _groups_to_predict(fn)
    check_num_labels(y, fn.event_shape[0])
    for group in groups:
        labels = group.labels(y)
        log_prob = group.distribution.log_prob(labels.nan_to_num())
        log_probs.append(log_prob * ~labels.isnan())
    return torch.cat(log_probs, dim=-1)


def check_num_labels(y: Tensor, num_labels: int) -> None:
    """Refuses vectors of another size, of which columns would be left out, or repeated.

    :raises ValueError: if there is not a column for each label.
    """
    if y.shape[-1:] != (num_labels,):
        raise ValueError(
            f"wanted label vectors of {num_labels} labels, got an array of shape {tuple(y.shape)}"
        )


def class_log_probs(fn: Any) -> Tensor:
    """The log-probability of every class, along a new dimension on the left."""
    log_probs: Tensor
    if isinstance(fn, LogitBernoulli):
        log_probs = fn.class_log_probs
    elif isinstance(fn, Bernoulli):
        log_probs = log_sigmoid(torch.stack([-fn.logits, fn.logits]))
    else:
        log_probs = fn.logits.movedim(-1, 0)
    return log_probs


def observed_log_prob(fn: Any, y: Tensor) -> Tensor:
    """The log-probability of the observed labels together, shape ``(batch,)``.

    :param y: labels, NaN where missing, shape ``(batch, num_labels)``.
    """
    if are_independent(fn):
        return observed_log_probs(fn, y).sum(-1)
    log_prob: Tensor = fn.log_prob(y)
    return log_prob


def are_independent(fn: Any) -> bool:
    """Whether the labels of a label vector are independent of each other."""
    return getattr(fn, "are_independent", True)


def label_divergence(q_y: Any, p_y: Any) -> Tensor:
    """The KL divergence between label vectors of the same kinds, of their batch shape.

    :param q_y: independent labels.
    """
    groups = label_groups(q_y)
    pairs = zip(groups, label_groups(p_y), strict=True)
    terms = [_divergence(q.distribution, p.distribution) for q, p in pairs]
    divergence = sum(terms[1:], start=terms[0])
    if are_independent(p_y):
        return divergence
    fns = [group.distribution for group in groups if num_classes_of(group.distribution)]
    dependence: Tensor = p_y.expected_dependence([class_log_probs(fn).exp() for fn in fns])
    return divergence - dependence


def _divergence(q: Any, p: Any) -> Tensor:
    if isinstance(q, Normal):
        kl: Tensor = kl_divergence(q, p)
        return kl.sum(-1)
    log_q = class_log_probs(q)
    return (log_q.exp() * (log_q - class_log_probs(p))).sum((0, -1))


def num_classes_of(fn: Any) -> int:
    """The number of values of a label: 2 if it is binary, 0 if it is continuous."""
    if isinstance(fn, Categorical):
        return fn.param_shape[-1]
    return 2 if isinstance(fn, Bernoulli) else 0


def missing_labels(fn: Any) -> Tensor:
    """A label vector in which every label is missing (NaN)."""
    shape = fn.batch_shape + fn.event_shape
    if isinstance(fn, AffineLabels):
        return fn.z_c.new_full(shape, torch.nan)
    return _parameter(label_groups(fn)[0].distribution).new_full(shape, torch.nan)


def join_groups(groups: Sequence[LabelGroup], entries: Sequence[Tensor]) -> Tensor:
    """Entries that are given group by group, as one tensor in the order of the labels.

    :param entries: for each group, a tensor of shape ``(..., num_labels)``.
    """
    columns = [group.columns for group in groups if group.columns is not None]
    joined = torch.cat(list(entries), dim=-1)
    return joined[..., torch.cat(columns).argsort()] if columns else joined


def in_order(groups: Sequence[LabelGroup], entries: Sequence[Sequence[Any]]) -> list[Any]:
    """Entries that are given group by group, one for each label, in the order of the labels."""
    placed: dict[int, Any] = {}
    for group, of_group in zip(groups, entries, strict=True):
        placed |= dict(zip(column_numbers(group.columns, len(of_group)), of_group, strict=True))
    return [placed[column] for column in sorted(placed)]


def widened(fn: Any, shifted: Any, num_latents: int) -> Any:
    """A label vector whose continuous labels have the uncertainty of their latents, too.

    The variances add: that of the label, and for each latent the square of the label's change
    when this latent alone goes up by a standard deviation. It is exact where means are affine in
    independent latents.

    :param fn: the labels at the latents' mean.
    :param shifted: the same labels, where one latent is a standard deviation up: a batch for the
        first latent, then one for the next.
    :param num_latents: the number of latents.
    """
    if not isinstance(fn, LabelVector):
        return fn
    groups = []
    for group, other in zip(fn.groups, label_groups(shifted), strict=True):
        one = group.distribution
        if isinstance(one, Normal):
            moves = other.distribution.loc.view(num_latents, *one.loc.shape) - one.loc
            scale = moves.norm(dim=0).hypot(one.scale)
            one = dist.Normal(one.loc, scale, validate_args=False)
        groups.append(group._replace(distribution=one))
    return LabelVector(groups, validate_args=False)


def _groups_to_predict(fn: Any) -> tuple[LabelGroup, ...]:
    if not (groups := label_groups(fn)):
        raise ValueError(
            "labels are predicted from a label vector: wanted LabelVector or "
            f"Bernoulli(...).to_event(1) of the classifier, got {fn}"
        )
    return groups


def _map_groups(
    groups: Sequence[LabelGroup], function: Callable[[Any], Any]
) -> tuple[LabelGroup, ...]:
    return tuple(group._replace(distribution=function(group.distribution)) for group in groups)


def _parameter(fn: Any) -> Tensor:
    return fn.loc if isinstance(fn, Normal) else fn.logits


def _mode(fn: Any) -> Tensor:
    return fn.loc if isinstance(fn, Normal) else class_log_probs(fn).argmax(0)


def _select(fn: Any, index: int) -> Any:
    if isinstance(fn, Bernoulli):
        return LogitBernoulli(logits=fn.logits[index], validate_args=False)
    if isinstance(fn, Normal):
        return dist.Normal(fn.loc[index], fn.scale[index], validate_args=False)
    return dist.Categorical(logits=fn.logits[index], validate_args=False)
