"""Label vectors whose labels depend on one another along a tree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.distributions.utils import lazy_property

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.bernoulli import LogitBernoulli
from ccvae_pyro.distributions.label_vector import (
    LabelGroup,
    LabelVector,
    check_num_labels,
    class_log_probs,
    column_numbers,
    label_groups,
    num_classes_of,
)
from ccvae_pyro.distributions.nested_categorical import Size

MAX_CLASSES = 64  # of a label in a tree: the table of an edge has a cell for each pair of classes


class LabelTree:
    r"""How labels depend on each other, in natural parameters, and the tree along which they do:

    .. math:: \log r(y) = x^\top Q x + b^\top x + c ,

    where :math:`x` has an indicator for each class of a label but the first. A node of the tree is
    a label, or several labels, of which all configurations are the node's states: :math:`Q` has
    entries for labels of one node, and for labels of a node and its parent.

    :param layout: the column and the number of classes of each label that may depend on others,
        in the order of the indicators.
    :param nodes: the node of each label, which is the column of the node's first label, shape
        ``(num_labels,)``.
    :param parents: the parent of each node, -1 where it has none, of the same shape.
    :param quadratic: :math:`Q`, shape ``(num_indicators, num_indicators)``.
    :param linear: :math:`b`, shape ``(num_indicators,)``.
    :param constant: :math:`c`, of shape ``()``.
    """

    def __init__(
        self,
        layout: Sequence[tuple[int, int]],
        nodes: Tensor,
        parents: Tensor,
        quadratic: Tensor,
        linear: Tensor,
        constant: Tensor,
    ) -> None:
        self.layout, self.nodes, self.parents = tuple(layout), nodes, parents
        self.quadratic, self.linear, self.constant = quadratic, linear, constant

    def log_ratio(self, x: Tensor) -> Tensor:
        r"""The quadratic form :math:`\log r` at indicators, or its expectation at probabilities.

        :param x: shape ``(..., num_indicators)``; probabilities of independent labels.
        """
        x = x.to(self.quadratic)
        log_ratio: Tensor = ((x @ self.quadratic + self.linear) * x).sum(-1) + self.constant
        return log_ratio

    @cached_property
    @torch.inference_mode(False)  # what is kept may be part of a gradient later
    def levels(self) -> list[tuple[Tensor, Tensor]]:
        """The nodes that have a parent, and their parents, by depth.

        :raises ValueError: if the parents form a cycle.
        """
        parents = self.parents.tolist()
        depth = {node: 0 for node, parent in enumerate(parents) if parent < 0}
        levels: list[tuple[Tensor, Tensor]] = []
        while len(depth) < len(parents):
            last = len(levels)
            level = [i for i, parent in enumerate(parents) if depth.get(parent) == last]
            if not level:
                raise ValueError(f"wanted the parents of labels in a forest, got {parents}")
            depth |= dict.fromkeys(level, last + 1)
            children = self.parents.new_tensor(level)
            levels.append((children, self.parents[children]))
        return levels

    @cached_property
    @torch.inference_mode(False)
    def _states(self) -> _States:
        """The states of all nodes."""
        num_labels, sizes, members = len(self.nodes), dict(self.layout), dict[int, list[int]]()
        nodes = self.nodes.tolist()
        for column, _ in self.layout:
            members.setdefault(nodes[column], []).append(column)
        nums = {node: math.prod(sizes[i] for i in of_node) for node, of_node in members.items()}
        most = max(nums.values(), default=1)
        values = torch.zeros(num_labels, most, dtype=torch.long)
        num_own = {n: sum(sizes[i] - 1 for i in of_node) for n, of_node in members.items()}
        indicators = torch.zeros(num_labels, most, max(num_own.values(), default=0))
        places = torch.full(indicators.shape[::2], len(self.linear))
        is_state = torch.arange(most) < torch.tensor(
            [nums.get(node, 1) for node in range(num_labels)]
        ).unsqueeze(-1)
        ends = dict(zip(sizes, itertools.accumulate(k - 1 for k in sizes.values()), strict=True))
        for node, of_node in members.items():
            start = 0
            configurations = torch.cartesian_prod(*(torch.arange(sizes[i]) for i in of_node))
            for column, classes in zip(
                of_node, configurations.view(nums[node], -1).T, strict=True
            ):
                end, num = ends[column], sizes[column]
                values[column, : nums[node]] = classes
                own = slice(start, start := start + num - 1)
                indicators[node, : nums[node], own] = F.one_hot(classes, num)[:, 1:].to(indicators)
                places[node, own] = torch.arange(end - num + 1, end)
        device = self.parents.device
        return _States(
            values.to(device),
            is_state.to(device),
            indicators.to(self.quadratic),
            places.to(device),
        )

    @cached_property
    @torch.inference_mode(False)
    def tables(self) -> tuple[Tensor, Tensor]:
        r"""The part of :math:`\log r` that each node, and each node with its parent, has.

        :returns: shapes ``(num_labels, num_states)``, -inf where a node has no such state, and
            ``(num_labels, num_states, num_states)``, the parent's state first.
        """
        x, places = self._states.indicators, self._states.places
        quadratic, linear = F.pad(self.quadratic, (0, 1, 0, 1)), F.pad(self.linear, (0, 1))
        of_node = quadratic[places[:, :, None], places[:, None]]
        within = ((x @ of_node + linear[places].unsqueeze(-2)) * x).sum(-1)
        rows, columns = places[self.parents][:, :, None], places[:, None]
        of_edge = quadratic[rows, columns] + quadratic.T[rows, columns]
        with_parent = x[self.parents] @ of_edge @ x.mT
        has_parent = (self.parents >= 0)[:, None, None]
        return within.masked_fill(~self._states.is_state, -torch.inf), with_parent * has_parent


class _States(NamedTuple):
    """The states of the nodes of a tree.

    :param values: the class that each label has in each state of its node, shape
        ``(num_labels, num_states)``.
    :param is_state: whether a node has so many states, of the same shape.
    :param indicators: those of the node's labels in each of its states, shape
        ``(num_labels, num_states, num_of_node)``.
    :param places: where each of them is among all, shape ``(num_labels, num_of_node)``; past the
        end for padding.
    """

    values: Tensor
    is_state: Tensor
    indicators: Tensor
    places: Tensor


class TreeLabels(LabelVector):
    r"""A label vector that is a graphical model: labels depend on each other along a tree.

    .. math:: p(y) = r(y) \prod_i p(y_i)

    The ratio :math:`r` is a product over the nodes and edges of a tree, or of a forest: see
    :class:`LabelTree`. Where each node is one label it is that of Chow and Liu (1968),
    :math:`r(y) = \prod_{(i, j)} p(y_i, y_j) / (p(y_i) \, p(y_j))`. All that one asks of such a
    distribution is exact: sum-product and max-product pass a message along each edge, to the root
    and back (Pearl, 1988). Continuous labels, and labels of more than 64 classes, are independent
    of all others.

    Evidence about a label, such as an image, is a factor more in the product. See :meth:`given`
    and :meth:`condition`, which return the posterior, again a :class:`TreeLabels`.

    :param groups: the marginal distributions :math:`p(y_i)`, grouped by kind.
    :param tree: how they depend on each other.
    :param log_factors: with evidence, the logarithm of each label's factor in place of its
        marginal, shape ``(..., num_labels, num_classes)``; by default there is none.

    Example:

        >>> tree = LabelTree(  # logit p(hat) is log 16 greater with a beard
        ...     layout=[(0, 2), (1, 2)],
        ...     nodes=torch.tensor([0, 1]),
        ...     parents=torch.tensor([-1, 0]),
        ...     quadratic=torch.tensor([[0.0, 2.7726], [0.0, 0.0]]),
        ...     linear=-torch.tensor([4.0, 4.0]).log(),
        ...     constant=torch.tensor(1.6).log(),
        ... )
        >>> p_y = TreeLabels([LabelGroup(LogitBernoulli(logits=torch.zeros(2)))], tree)
        >>> p_y.condition({0: 1}).mean
        tensor([1.0000, 0.8000])
    """

    are_independent = False

    def __init__(
        self,
        groups: Sequence[LabelGroup],
        tree: LabelTree,
        log_factors: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        super().__init__(groups, validate_args=validate_args)
        self.tree, self._evidence = tree, log_factors
        if log_factors is not None:
            batch_shape = torch.broadcast_shapes(self.batch_shape, log_factors.shape[:-2])
            TorchDistribution.__init__(
                self, batch_shape, self.event_shape, validate_args=validate_args
            )

    @property
    def groups(self) -> tuple[LabelGroup, ...]:
        """The marginal distributions of the labels, given the evidence, grouped by kind."""
        return self._groups if self._evidence is None else self._posterior_groups

    @property
    def in_tree(self) -> Tensor:
        """Which labels may depend on others: those with classes, at most 64; booleans."""
        return self._is_in_tree[:, 0]

    @property
    def log_normalizer(self) -> Tensor:
        r"""The logarithm of the sum over all configurations, shape ``batch_shape``.

        For what :meth:`given` returns it is :math:`\log \mathbb{E}_{q(y)}[r(y)]`, where :math:`r`
        is the product over edges: by how much labels that depend on one another explain the
        evidence better than independent ones.
        """
        return self._log_sum + self.tree.constant

    @property
    def mode(self) -> Tensor:
        """The most likely configuration, by max-product, shape ``batch_shape + (num_labels,)``."""
        return self._with_others(self._downward(self._upward(_max_product)), _mode)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of the labels, shape ``batch_shape``.

        :param value: labels, NaN where missing: these are summed out.
        """
        check_num_labels(value, self.event_shape[0])
        is_complete = is_free_to_read(value) and not math.isnan(float(value.sum()))
        if is_complete or value.requires_grad:
            return self._log_prob(value)
        # On an accelerator, it costs less to sum out nothing than to ask.
        log_prob: Tensor = self._at(value).log_normalizer - self.log_normalizer
        return log_prob + self._log_prob_of_others(value)  # type: ignore[no-any-return]

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Samples each label given its parent."""
        shape, beliefs = torch.Size(sample_shape), self._sums
        noise = beliefs.new_empty(shape + self.batch_shape + beliefs.shape[-2:])
        # The state of the greatest score plus noise of Gumbel is a sample (Maddison et al., 2014).
        classes = self._downward(beliefs - noise.exponential_().log_())
        return self._with_others(classes, lambda fn: fn.sample(shape))

    def expand(self, batch_shape: Size, _instance: Any = None) -> TreeLabels:
        groups = LabelVector(self._groups, validate_args=False).expand(batch_shape)._groups
        evidence = self._evidence
        if evidence is not None:
            evidence = evidence.expand(*batch_shape, *evidence.shape[-2:])
        return TreeLabels(groups, self.tree, evidence, validate_args=self._validate_args)

    def select(self, index: int) -> TreeLabels:
        groups = LabelVector(self._groups, validate_args=False).select(index)._groups
        evidence = None if self._evidence is None else self._evidence[index]
        return TreeLabels(groups, self.tree, evidence, validate_args=False)

    def given(self, q_y: LabelVector, max_odds: float = math.inf) -> TreeLabels:
        r"""The posterior given evidence about each label:

        .. math:: p(y \mid x) \propto p(y) \prod_i \frac{q(y_i)}{p(y_i)} .

        :param q_y: what is believed about each label by itself, from its marginal :math:`p(y_i)`
            and evidence: a label vector of the same kinds, as a classifier returns it.
        :param max_odds: the greatest odds, of a label's most likely class against any other, that
            it counts for. A classifier is often surer than it is right.
        :raises ValueError: if the labels are of other kinds.
        """
        groups = label_groups(q_y)
        layouts = [
            [(num_classes_of(g.distribution), g.distribution.batch_shape[-1]) for g in each]
            for each in (groups, self._groups)
        ]
        if layouts[0] != layouts[1]:
            raise ValueError(
                f"wanted evidence about labels of kinds {layouts[1]} (classes, labels), got "
                f"{layouts[0]}"
            )
        factors = self._padded(groups)
        least = factors.amax(-1, keepdim=True) - math.log(max_odds)
        has_class = self._padded(self._groups) > -torch.inf
        factors = torch.where(has_class, factors.maximum(least), factors)
        return TreeLabels(groups, self.tree, factors, validate_args=False)

    def condition(self, values: Mapping[int, float] | Tensor) -> TreeLabels:
        """The posterior given the values of some labels.

        :param values: the value of each label by its column in ``y``; or labels, shape
            ``(..., num_labels)``, NaN where unknown.
        :raises ValueError: if there is no such label or class, or the label is continuous: it
            depends on no other label.
        """
        if isinstance(values, Tensor):
            y = values
            check_num_labels(y, self.event_shape[0])
        else:
            y = self._factors.new_full(self.event_shape, torch.nan)
            for column, value in values.items():
                if column not in range(len(y)):
                    raise ValueError(f"wanted a label from 0 to {len(y) - 1}, got {column!r}")
                y[column] = value
        self._check_classes(y)
        return self._at(y)

    def fill_missing(self, y: Tensor) -> Tensor:
        """The labels, with a sample of those that are missing given those that are known.

        :param y: labels, NaN where missing, shape ``(..., num_labels)``.
        """
        check_num_labels(y, self.event_shape[0])
        return torch.where(y.isnan(), self._at(y).sample().to(y), y)

    def expected_log_prob(self, q_y: LabelVector) -> Tensor:
        r"""The expected log-density under independent labels, :math:`\mathbb{E}_q[\log p(y)]`.

        It is a sum over labels and edges, not over configurations.

        :param q_y: independent labels of the same kinds.
        """
        groups = label_groups(q_y)
        pairs = zip(groups, self._groups, strict=True)
        terms = [_expected_log_prob(q.distribution, p.distribution) for q, p in pairs]
        total = sum(terms[1:], start=terms[0])
        if self._evidence is not None:
            q, factors = self._padded(groups).exp(), self._factors - self._padded(self._groups)
            total = total + torch.where(q > 0, q * factors, 0.0).sum((-2, -1))
        fns = [g.distribution for g in groups if num_classes_of(g.distribution)]
        dependence = self.expected_dependence([class_log_probs(fn).exp() for fn in fns])
        return total + dependence - self.log_normalizer

    def expected_dependence(self, probs: Sequence[Tensor]) -> Tensor:
        r"""What the edges add to the expected log-density under independent labels:

        .. math:: \sum_{(i, j) \in E} \sum_{k, l} q(y_i = k) \, q(y_j = l)
                  \log \frac{p(y_i = k, y_j = l)}{p(y_i = k) \, p(y_j = l)}

        :param probs: :math:`q(y_i = k)` of the labels with classes, group by group, shape
            ``(num_classes, ..., num_labels)`` each.
        """
        nodes = [group for group in self._groups if num_classes_of(group.distribution)]
        features = [
            p[1:].movedim(0, -1).flatten(-2)
            for p, group in zip(probs, nodes, strict=True)
            if _is_node(group)
        ]
        return self._log_ratio(features)

    def _log_prob(self, y: Tensor) -> Tensor:
        """The log-probability of labels none of which is missing."""
        features = []
        for group in filter(_is_node, self._groups):
            labels, num_classes = group.labels(y), num_classes_of(group.distribution)
            if num_classes > 2:
                classes = torch.arange(1, num_classes, device=y.device)
                labels = (labels[..., None] == classes).to(y).flatten(-2)
            features.append(labels)
        log_prob: Any = self._log_ratio(features)
        if self._evidence is None:
            log_prob = log_prob + super().log_prob(y)
            return log_prob  # type: ignore[no-any-return]
        is_at = (y[..., None] == self._classes) & self._is_in_tree
        own = torch.where(is_at, self._factors, 0.0).sum((-2, -1))
        log_prob = log_prob + own + self._log_prob_of_others(y) - self.log_normalizer
        return log_prob  # type: ignore[no-any-return]

    def _log_ratio(self, features: Sequence[Tensor]) -> Tensor:
        """The tree's log-ratio at the indicators of all groups."""
        if not features:
            return self.tree.constant
        x = features[0] if len(features) == 1 else torch.cat(tuple(features), dim=-1)
        return self.tree.log_ratio(x)

    def _log_prob_of_others(self, y: Tensor) -> Any:
        """The log-probability of labels that are independent of all others."""
        total: Any = 0.0
        for group in self._groups:
            if not _is_node(group):
                labels = group.labels(y)
                log_prob = group.distribution.log_prob(labels.nan_to_num())
                total = total + torch.where(labels.isnan(), 0.0, log_prob).sum(-1)
        return total

    def _at(self, y: Tensor) -> TreeLabels:
        """The labels at the values that are not NaN, whose factors are kept: not normalized."""
        is_other = (y[..., None] != self._classes) & ~y[..., None].isnan() & self._is_in_tree
        factors = self._factors.masked_fill(is_other, -torch.inf)
        return TreeLabels(self._groups, self.tree, factors, validate_args=False)

    def _check_classes(self, y: Tensor) -> None:
        for group in self._groups:
            num_classes, labels = num_classes_of(group.distribution), group.labels(y)
            if not _is_node(group):
                wrong, wanted = ~labels.isnan(), "NaN, as it depends on no other label"
            else:
                wrong = (labels - labels.round().clamp(0, num_classes - 1)).nan_to_num() != 0
                wanted = f"a class from 0 to {num_classes - 1}, or NaN"
            if wrong.any():
                column = int(wrong.nonzero()[0][-1])
                name = column_numbers(group.columns, labels.shape[-1])[column]
                raise ValueError(f"label {name} is {labels[wrong][0]:g}: wanted {wanted}")

    @lazy_property
    def _factors(self) -> Tensor:
        """The logarithm of each label's factor, shape ``(..., num_labels, num_classes)``."""
        return self._padded(self._groups) if self._evidence is None else self._evidence

    @lazy_property
    def _is_in_tree(self) -> Tensor:
        """Whether each label may have edges, shape ``(num_labels, 1)``."""
        columns = [
            column
            for group in filter(_is_node, self._groups)
            for column in column_numbers(group.columns, group.distribution.batch_shape[-1])
        ]
        is_in_tree = torch.zeros(self.event_shape, dtype=torch.bool)
        is_in_tree[columns] = True
        return is_in_tree[:, None].to(self.tree.parents.device)

    @property
    def _classes(self) -> Tensor:
        """All classes that a label of the tree may have."""
        return torch.arange(self._num_classes, device=self.tree.parents.device)

    @property
    def _num_classes(self) -> int:
        return max((size for _, size in self.tree.layout), default=1)

    def _padded(self, groups: Sequence[LabelGroup]) -> Tensor:
        """The log-probability of every class of every label; that of classes it lacks is -inf."""
        num_classes, of_tree = self._num_classes, self.tree.linear
        shape = torch.broadcast_shapes(*(g.distribution.batch_shape[:-1] for g in groups))
        parts = []
        for group in groups:
            if _is_node(group):
                log_probs = class_log_probs(group.distribution).movedim(0, -1)
            else:  # as if it had one class
                of_group = group.distribution.batch_shape
                log_probs = of_tree.new_zeros(*of_group, 1)
            padding = (0, num_classes - log_probs.shape[-1])
            part = F.pad(log_probs, padding, value=-torch.inf)
            parts.append(part.expand(*shape, *part.shape[-2:]))
        if groups[0].columns is None:
            return parts[0]
        order = torch.cat([group.columns for group in groups if group.columns is not None])
        return torch.cat(parts, dim=-2)[..., order.argsort(), :]

    @lazy_property
    def _sums(self) -> Tensor:
        """The beliefs of :meth:`_upward` by sum-product."""
        return self._upward(_sum_product)

    @lazy_property
    def _log_sum(self) -> Tensor:
        """The logarithm of the sum over all configurations, without the tree's constant."""
        log_sum: Tensor = (self._sums.logsumexp(-1) * (self.tree.parents < 0)).sum(-1)
        return log_sum

    def _upward(self, message: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Passes messages to the roots: the factors of each node, and its children's messages.

        :param message: from the table of nodes and their parents, and the nodes' beliefs, to
            messages, shape ``(..., num_nodes, num_states)``.
        :returns: beliefs in the states of each node, shape ``(..., num_labels, num_states)``.
        """
        within, with_parent = self.tree.tables
        states, columns = self.tree._states, torch.arange(len(self.tree.nodes))
        of_labels = self._factors[..., columns.to(states.values.device)[:, None], states.values]
        beliefs = within.expand(of_labels.shape).index_add(-2, self.tree.nodes, of_labels)
        for children, parents in reversed(self.tree.levels):
            messages = message(with_parent[children], beliefs[..., children, :])
            beliefs = beliefs.index_add(-2, parents, messages)
        return beliefs

    def _downward(self, scores: Tensor) -> Tensor:
        """The classes of labels, where each node has its best state given that of its parent.

        :param scores: of the states of each node, shape ``(..., num_labels, num_states)``.
        """
        states = scores.argmax(-1)  # true of the roots
        _, with_parent = self.tree.tables
        for children, parents in self.tree.levels:
            given_parent = with_parent[children, states[..., parents]]
            best = (given_parent + scores[..., children, :]).argmax(-1)
            states = states.index_copy(-1, children, best)
        values = self.tree._states.values
        columns = torch.arange(len(values), device=values.device)
        return values[columns, states[..., self.tree.nodes]]

    @lazy_property
    def _marginals(self) -> Tensor:
        """The posterior marginals of labels, by messages back from the roots."""
        of_nodes = beliefs = self._sums.softmax(-1)  # true of the roots
        ratios = self.tree.tables[1].exp()
        for children, parents in self.tree.levels:
            ratio, belief = ratios[children], beliefs[..., children, None, :]
            norm = (belief @ ratio.mT).clamp(min=torch.finfo(belief.dtype).tiny)
            of_children = (of_nodes[..., parents, None, :] / norm) @ ratio * belief
            of_nodes = of_nodes.index_copy(-2, children, of_children.squeeze(-2))
        of_class = F.one_hot(self.tree._states.values, self._num_classes).to(of_nodes)
        marginals: Tensor = (of_nodes[..., self.tree.nodes, None, :] @ of_class).squeeze(-2)
        return marginals

    @lazy_property
    def _posterior_groups(self) -> tuple[LabelGroup, ...]:
        log_probs, groups = self._marginals.log(), []
        for group in self._groups:
            if not _is_node(group):
                groups.append(group)
                continue
            columns, num_classes = group.columns, num_classes_of(group.distribution)
            of_group = log_probs if columns is None else log_probs[..., columns, :]
            groups.append(
                group._replace(distribution=_from_log_probs(group, of_group, num_classes))
            )
        return tuple(groups)

    def _with_others(self, classes: Tensor, of_others: Any) -> Tensor:
        """Labels of these classes; others as a function of their distribution has them."""
        y = classes.to(self.tree.linear.dtype)
        for group in self._groups:
            if not _is_node(group):
                fn = group.distribution
                fn = fn.expand(self.batch_shape + fn.batch_shape[-1:])  # samples for each
                y[..., group.columns] = of_others(fn).to(y)
        return y


def _sum_product(with_parent: Tensor, beliefs: Tensor) -> Tensor:
    """Messages to parents, as products of matrices."""
    greatest = beliefs.detach().amax(-1, keepdim=True)
    scaled = (beliefs - greatest).exp().unsqueeze(-2)
    sums = (scaled @ with_parent.mT.exp()).squeeze(-2)
    return sums.log() + greatest


def _max_product(with_parent: Tensor, beliefs: Tensor) -> Tensor:
    return (with_parent + beliefs.unsqueeze(-2)).amax(-1)


def _is_node(group: LabelGroup) -> bool:
    """Whether the labels of a group may depend on others."""
    return 0 < num_classes_of(group.distribution) <= MAX_CLASSES


def _from_log_probs(group: LabelGroup, log_probs: Tensor, num_classes: int) -> Any:
    if isinstance(group.distribution, Bernoulli):
        logits = log_probs[..., 1] - log_probs[..., 0]
        # The log-density of a certain label stays a number: the greatest that there is.
        return LogitBernoulli(logits=logits.nan_to_num(), validate_args=False)
    return dist.Categorical(logits=log_probs[..., :num_classes], validate_args=False)


def _mode(fn: Any) -> Tensor:
    return fn.loc if isinstance(fn, Normal) else class_log_probs(fn).argmax(0)


def _expected_log_prob(q: Any, p: Any) -> Tensor:
    """The expected log-density under labels of one kind, summed over these."""
    if isinstance(q, Normal):
        expected: Tensor = -(q.entropy() + kl_divergence(q, p))
        return expected.sum(-1)
    log_q, log_p = (class_log_probs(fn).movedim(0, -1) for fn in (q, p))
    return (log_q.exp() * log_p).sum((-2, -1))
