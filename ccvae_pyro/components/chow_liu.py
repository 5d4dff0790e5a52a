"""The label prior of Chow and Liu: a tree of the labels that say the most about each other."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from itertools import accumulate, combinations, product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ccvae_pyro.components.factory import group_labels, label_modules
from ccvae_pyro.data.exclusivity import exclusive_pairs
from ccvae_pyro.distributions.label_vector import label_groups, observed_log_prob
from ccvae_pyro.distributions.tree_labels import MAX_CLASSES, LabelTree, TreeLabels
from ccvae_pyro.labels import (
    Binary,
    Categorical,
    Label,
    binaries,
    check_distinct,
    check_labels,
)
from ccvae_pyro.labels._plain_values import shown
from ccvae_pyro.labels.empirical import with_empirical_prior

# Rows of independent labels that are added to those of each pair, so that no pair of classes is
# impossible. With fewer, 50 or 100 labeled rows give a worse tree; with 1,000 it is all the same.
PSEUDO_COUNT = 5.0
MAX_SCALINGS = 10_000  # of a table to its margins; it takes two where no label is missing
MAX_EXCLUSIVE = 6  # labels of a node, which then has 64 states
MAX_ITERATIONS = 200  # of the fit to the moments
RIDGE = 1e-6  # the penalty of squared parameters, lest labels that always occur have none
MAX_SHOWN = 5  # labels in a warning


class ChowLiuLabelPrior(nn.Module):
    r"""A label prior in which labels depend on each other along a tree (Chow and Liu, 1968):

    .. math:: p(y) = \prod_i p(y_i)
              \prod_{(i, j) \in E} \frac{p(y_i, y_j)}{p(y_i) \, p(y_j)}

    Of all trees it is the one of the greatest likelihood, whose edges have the most mutual
    information. An edge that is worth less than the parameters of its table cost, by the Bayesian
    information criterion, is left out, so that the tree may be a forest (Suzuki, 1993). Binary and
    categorical labels of at most 64 classes take part; all others are independent.

    Labels that exclude each other, such as hair colors, are no tree: each depends on each. Up to
    six binary labels that are never true together (:func:`~ccvae_pyro.data.exclusive_pairs`) are
    one node of the tree. Its configurations, and those of two neighbors, then have the density of
    greatest entropy that has the observed frequencies of all labels and pairs of labels. See
    :class:`~ccvae_pyro.distributions.TreeLabels` for what the distribution can do.

    Make one by :meth:`fit`. The constructor makes one without edges.

    :param labels: descriptions of the labels, with their prevalences and class frequencies, which
        are the marginal distributions.
    :raises ValueError: if two labels have one name.
    """

    nodes: Tensor
    parents: Tensor
    quadratic: Tensor
    linear: Tensor
    constant: Tensor

    def __init__(self, labels: Sequence[Label]) -> None:
        super().__init__()
        check_distinct(labels)
        self.independent = label_modules(labels).label_prior
        self.layout = _layout(labels)
        num_indicators = sum(num_classes - 1 for _, num_classes in self.layout)
        self.register_buffer("nodes", torch.arange(len(labels)))
        self.register_buffer("parents", torch.full((len(labels),), -1))
        self.register_buffer("quadratic", torch.zeros(num_indicators, num_indicators))
        self.register_buffer("linear", torch.zeros(num_indicators))
        self.register_buffer("constant", torch.zeros(()))
        self._tree: _Versioned | None = None

    @classmethod
    def fit(
        cls,
        y: Tensor | np.ndarray,
        labels: Sequence[Label] | None = None,
        *,
        pseudo_count: float = PSEUDO_COUNT,
    ) -> ChowLiuLabelPrior:
        """The prior of labels that were observed.

        The table of a pair of labels is counted in the rows that have both. It is smoothed, and
        then scaled to the marginal distributions of its labels, which are counted in all rows that
        have the label (iterative proportional fitting: Deming and Stephan, 1940).

        :param y: labels, shape ``(num_rows, num_labels)``, NaN where missing.
        :param labels: descriptions of the labels, whose priors are estimated; by default all are
            binary.
        :param pseudo_count: the number of rows with independent labels that are added to those of
            each pair. With a positive number no configuration is impossible.
        :raises ValueError: if a label has a value that is not of its kind, or ``pseudo_count`` is
            not positive.
        :returns: the prior. Labels that never vary are independent of all others; all are, if
            fewer rows than a tree has edges have two labels or more. A warning says so.

        Example:

            >>> beard = np.array([0, 0, 0, 0, 1, 1, 1, 1] * 10)
            >>> mustache = np.array([0, 0, 0, 1, 1, 1, 1, 1] * 10)
            >>> prior = ChowLiuLabelPrior.fit(np.stack([beard, mustache], axis=1))
            >>> prior().condition({0: 1}).mean.round(decimals=2)
            tensor([1.0000, 0.9800])
        """
        values = np.asarray(torch.as_tensor(y).detach().cpu().double())
        if values.ndim != 2:
            raise ValueError(f"wanted labels of shape (rows, labels), got {values.shape}")
        if not pseudo_count > 0:
            raise ValueError(f"pseudo_count must be positive, got {pseudo_count}")
        if labels is None:
            labels = binaries([str(column) for column in range(values.shape[1])])
        check_labels(torch.from_numpy(values), labels)
        labels = [
            with_empirical_prior(label, column[~np.isnan(column)])
            for label, column in zip(labels, values.T, strict=True)
        ]
        prior = cls(labels)
        columns = _varying(labels, values)
        if len(columns) > 1:
            pairs = _Pairs(values, [_marginal(label) for label in labels], pseudo_count)
            prior._set_tree(values, columns, pairs)
        return prior

    def _set_tree(self, values: np.ndarray, columns: list[int], pairs: _Pairs) -> None:
        """Finds nodes and edges, and fits the parameters."""
        groups = _exclusive_groups(values, columns, self.layout)
        for group in groups:
            self.nodes[group] = group[0]
        of_nodes = _Pairs.of_nodes(values, groups, pairs)
        for child, parent in of_nodes.edges().items():
            self.parents[groups[child][0]] = groups[parent][0]
        if all(len(group) == 1 for group in groups):
            parameters = _of_tables(self, pairs)
        else:
            parameters = _of_moments(self, pairs)
        for name, value in zip(("quadratic", "linear", "constant"), parameters, strict=True):
            getattr(self, name).copy_(value)

    @property
    def edges(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The columns of the labels in the nodes at both ends of each edge, the parent first."""
        parents, members = self.parents.tolist(), self._members()
        ends = ((parent, child) for child, parent in enumerate(parents) if parent >= 0)
        return [(members[parent], members[child]) for parent, child in ends]

    @property
    def exclusive(self) -> list[tuple[int, ...]]:
        """The columns of labels that are one node, as they exclude each other."""
        return [members for members in self._members().values() if len(members) > 1]

    def _members(self) -> dict[int, tuple[int, ...]]:
        members: dict[int, tuple[int, ...]] = {}
        for column, node in enumerate(self.nodes.tolist()):
            members[node] = (*members.get(node, ()), column)
        return members

    def gain(self, y: Tensor) -> Tensor:
        """By how many nats each label vector is more likely than under independent labels.

        On labels that the prior was not fitted to, a mean above 0 says that the tree pays.

        :param y: labels, NaN where missing, shape ``(num_rows, num_labels)``.
        """
        gain: Tensor = self().log_prob(y) - observed_log_prob(self.independent(), y)
        return gain

    def forward(self) -> TreeLabels:
        p_y = self.independent()
        return TreeLabels(label_groups(p_y), self._label_tree(), validate_args=False)

    def _label_tree(self) -> LabelTree:
        """The tree of the buffers, which is made anew when these have changed."""
        tensors = self.nodes, self.parents, self.quadratic, self.linear, self.constant
        versions = tuple(tensor._version for tensor in tensors)
        if self._tree is None or not self._tree.is_of(tensors, versions):
            self._tree = _Versioned(LabelTree(self.layout, *tensors), tensors, versions)
        return self._tree.tree


class _Versioned(NamedTuple):
    """A tree, its tensors, and how often these had been written to."""

    tree: LabelTree
    tensors: tuple[Tensor, ...]
    versions: tuple[int, ...]

    def is_of(self, tensors: tuple[Tensor, ...], versions: tuple[int, ...]) -> bool:
        """Whether it is the tree of these tensors, as they are."""
        pairs = zip(self.tensors, tensors, strict=True)
        return versions == self.versions and all(one is other for one, other in pairs)


class _Pairs:
    """The classes that labels have together, in rows that have both.

    :param values: the labels, NaN where missing, shape ``(num_rows, num_labels)``.
    :param marginals: the probability of each class of each label.
    :param num_free: the number of free parameters of each label; by default one less than classes.
    """

    def __init__(
        self,
        values: np.ndarray,
        marginals: Sequence[np.ndarray],
        pseudo_count: float,
        num_free: Sequence[int] | None = None,
    ) -> None:
        self.pseudo_count, self.marginals = pseudo_count, marginals
        self.sizes = np.array([len(marginal) for marginal in marginals])
        self.num_free = self.sizes - 1 if num_free is None else np.array(num_free)
        self.starts = np.concatenate([[0], self.sizes.cumsum()[:-1]])
        columns = [values[:, i] == k for i, size in enumerate(self.sizes) for k in range(size)]
        indicators, is_known = np.stack(columns, axis=1).astype(float), ~np.isnan(values)
        self.counts = indicators.T @ indicators
        self.num_rows = is_known.T.astype(float) @ is_known

    @classmethod
    def of_nodes(cls, values: np.ndarray, groups: list[list[int]], pairs: _Pairs) -> _Pairs:
        """The pairs of the configurations of groups of labels."""
        configurations, marginals, num_free = [], [], []
        for group in groups:
            column, num = values[:, group[0]], len(pairs.marginals[group[0]])
            for label in group[1:]:
                column, num = 2 * column + values[:, label], 2 * num
            known = column[~np.isnan(column)].astype(int)
            configurations.append(column)
            marginals.append(np.bincount(known, minlength=num) / max(len(known), 1))
            num_free.append(sum(len(pairs.marginals[label]) - 1 for label in group))
        return cls(np.stack(configurations, axis=1), marginals, pairs.pseudo_count, num_free)

    def edges(self) -> dict[int, int]:
        """The parent of each label that has one, in the forest of the greatest gain.

        A root has the least distance to the label that is farthest from it.
        """
        from scipy.sparse import csgraph

        forest = abs(csgraph.minimum_spanning_tree(-self._gains()))
        distances, before = csgraph.shortest_path(
            forest, directed=False, unweighted=True, return_predecessors=True
        )
        _, components = csgraph.connected_components(forest, directed=False)
        farthest = np.where(np.isinf(distances), 0, distances).max(axis=1)
        parents: dict[int, int] = {}
        for component in range(components.max() + 1):
            members = np.flatnonzero(components == component)
            root = members[farthest[members].argmin()]
            parents |= {int(i): int(before[root, i]) for i in members if i != root}
        return parents

    def joint(self, first: int, second: int) -> np.ndarray:
        """The joint distribution of two labels, smoothed and scaled to their marginals."""
        rows, columns = (
            slice(self.starts[i], self.starts[i] + self.sizes[i]) for i in (first, second)
        )
        of_first, of_second = self.marginals[first][:, None], self.marginals[second]
        table = self.counts[rows, columns] + self.pseudo_count * of_first * of_second
        for _ in range(MAX_SCALINGS):
            table = table * (of_first / table.sum(axis=1, keepdims=True))
            scale = of_second / table.sum(axis=0)
            table = table * scale
            if np.abs(scale - 1).max() < 1e-14:
                break
        return np.asarray(table)

    def _gains(self) -> np.ndarray:
        """The mutual information of each pair less the cost of its table; 0 if it is negative."""
        gains = np.zeros_like(self.num_rows)
        flat = np.concatenate(self.marginals)
        for i, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            num_rows = np.maximum(self.num_rows[i], 1)
            counts = self.counts[start : start + size]
            smoothed = counts + self.pseudo_count * self.marginals[i][:, None] * flat
            joint = smoothed / (num_rows + self.pseudo_count).repeat(self.sizes)
            of_label = np.add.reduceat(joint, self.starts, axis=1).repeat(self.sizes, axis=1)
            independent = of_label * joint.sum(axis=0)
            ratio = np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0)
            information = np.add.reduceat((joint * np.log(ratio)).sum(axis=0), self.starts)
            cost = self.num_free[i] * self.num_free * np.log(num_rows) / (2 * num_rows)
            gains[i] = np.where(self.num_rows[i] > 0, information - cost, 0.0)
        np.fill_diagonal(gains, 0.0)
        return np.asarray(np.maximum(gains, 0.0))


def _of_tables(prior: ChowLiuLabelPrior, pairs: _Pairs) -> tuple[Tensor, Tensor, Tensor]:
    """The parameters of a tree of single labels, from the table of each edge."""
    entries, (quadratic, linear) = _entries(prior.layout), _zeros(prior)
    constant = torch.zeros((), dtype=torch.float64)
    for (parent,), (child,) in prior.edges:
        independent = pairs.marginals[parent][:, None] * pairs.marginals[child]
        table = torch.from_numpy(np.log(pairs.joint(parent, child) / independent))
        of_parent, of_child = table[1:, :1] - table[0, 0], table[:1, 1:] - table[0, 0]
        constant += table[0, 0]
        linear[entries[parent]] += of_parent[:, 0]
        linear[entries[child]] += of_child[0]
        interaction = table[1:, 1:] - table[0, 0] - of_parent - of_child
        quadratic[entries[parent], entries[child]] = interaction
    return quadratic, linear, constant


def _of_moments(prior: ChowLiuLabelPrior, pairs: _Pairs) -> tuple[Tensor, Tensor, Tensor]:
    """The parameters with which pairs within nodes and along edges have their frequencies.

    They are those of maximum likelihood, by a convex problem.
    """
    entries, (quadratic, linear) = _entries(prior.layout), _zeros(prior)
    of_pairs, is_free = torch.zeros_like(quadratic), torch.zeros_like(quadratic)
    within = [pair for members in prior.exclusive for pair in combinations(members, 2)]
    for first, second in [*within, *(pair for edge in prior.edges for pair in product(*edge))]:
        joint = torch.from_numpy(pairs.joint(first, second))
        place = entries[first], entries[second]
        of_pairs[place], is_free[place] = joint[1:, 1:], 1.0
    of_labels = torch.cat([torch.from_numpy(pairs.marginals[i][1:]) for i, _ in prior.layout])
    groups = label_groups(copy.deepcopy(prior.independent).double()())
    zero = torch.zeros((), dtype=torch.float64)

    def log_sum(quadratic: Tensor, linear: Tensor) -> Tensor:
        tree = LabelTree(prior.layout, prior.nodes, prior.parents, quadratic, linear, zero)
        return TreeLabels(groups, tree, validate_args=False).log_normalizer

    parameters = [quadratic.requires_grad_(), linear.requires_grad_()]
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=MAX_ITERATIONS,
        tolerance_grad=1e-7,
        tolerance_change=1e-13,
        line_search_fn="strong_wolfe",
    )

    def negative_log_likelihood() -> Tensor:
        optimizer.zero_grad()
        expected = (quadratic * of_pairs).sum() + (linear * of_labels).sum()
        loss = log_sum(quadratic * is_free, linear) - expected
        loss = loss + RIDGE * ((quadratic**2).sum() + (linear**2).sum())
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(negative_log_likelihood)
    with torch.no_grad():
        return quadratic * is_free, linear.detach(), -log_sum(quadratic * is_free, linear)


def _zeros(prior: ChowLiuLabelPrior) -> tuple[Tensor, Tensor]:
    """Parameters of independent labels, in double precision."""
    return (
        torch.zeros_like(prior.quadratic, dtype=torch.float64),
        torch.zeros_like(prior.linear, dtype=torch.float64),
    )


def _layout(labels: Sequence[Label]) -> list[tuple[int, int]]:
    """Column and number of classes of each label that may depend on others, group by group."""
    columns = [column for group in group_labels(labels) for column in group]
    sizes = [(column, _num_classes(labels[column])) for column in columns]
    return [(column, num_classes) for column, num_classes in sizes if num_classes > 1]


def _entries(layout: Sequence[tuple[int, int]]) -> dict[int, slice]:
    """The indicators of each label."""
    ends = accumulate(num_classes - 1 for _, num_classes in layout)
    return {
        column: slice(end - num_classes + 1, end)
        for (column, num_classes), end in zip(layout, ends, strict=True)
    }


def _exclusive_groups(
    values: np.ndarray, columns: list[int], layout: Sequence[tuple[int, int]]
) -> list[list[int]]:
    """The labels in groups: those that exclude each other together, all others alone."""
    binary = np.array(sorted(i for i, size in layout if size == 2 and i in columns), dtype=int)
    excludes, groups = exclusive_pairs(values[:, binary]), []
    while excludes.any():
        found = max(
            (_clique(start, excludes) for start in np.flatnonzero(excludes.any(0)).tolist()),
            key=len,
        )
        groups.append(sorted(binary[found].tolist()))
        excludes[found] = excludes[:, found] = False
    alone = set(columns).difference(*groups)
    return groups + [[column] for column in sorted(alone)]


def _clique(start: int, excludes: np.ndarray) -> list[int]:
    """Labels that all exclude each other, those first that exclude the most."""
    clique, others = [start], np.flatnonzero(excludes[start])
    for other in others[np.argsort(-excludes[others].sum(axis=1), kind="stable")]:
        if len(clique) < MAX_EXCLUSIVE and excludes[other, clique].all():
            clique.append(other)
    return clique


def _num_classes(label: Label) -> int:
    """The number of classes of a label that may depend on others; 1 if it may not."""
    if isinstance(label, Binary):
        return 2
    is_node = isinstance(label, Categorical) and len(label.classes) <= MAX_CLASSES
    return len(label.classes) if is_node else 1


def _marginal(label: Label) -> np.ndarray:
    """The probability of each class; of one, if the label is independent of all others."""
    if isinstance(label, Binary):
        return np.array([1 - label.prevalence, label.prevalence])
    if isinstance(label, Categorical) and _num_classes(label) > 1:
        return np.array(label.class_frequencies)
    return np.ones(1)


def _varying(labels: Sequence[Label], values: np.ndarray) -> list[int]:
    """The labels that may have edges; warns of those that may not, though they have classes."""
    candidates = [i for i, label in enumerate(labels) if _num_classes(label) > 1]
    is_known = ~np.isnan(values[:, candidates])
    num_rows = int((is_known.sum(axis=1) > 1).sum())
    if num_rows < len(candidates) - 1:
        _warn(
            f"the label prior is that of independent labels: wanted at least "
            f"{len(candidates) - 1} rows with two labels or more, as many as a tree has edges, "
            f"got {num_rows}"
        )
        return []
    varies = [len(np.unique(column[~np.isnan(column)])) > 1 for column in values[:, candidates].T]
    if constant := [i for i, does in zip(candidates, varies, strict=True) if not does]:
        names = ", ".join(shown(labels[i].name) for i in constant[:MAX_SHOWN])
        more = f" and {len(constant) - MAX_SHOWN} more" if len(constant) > MAX_SHOWN else ""
        _warn(f"labels without two values are independent of all others: {names}{more}")
    return [i for i, does in zip(candidates, varies, strict=True) if does]


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)
