"""The label prior of Chow and Liu: a tree of the labels that say the most about each other."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ccvae_pyro.components.factory import label_modules
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
MAX_SHOWN = 5  # labels in a warning


class ChowLiuLabelPrior(nn.Module):
    r"""A label prior in which labels depend on each other along a tree (Chow and Liu, 1968):

    .. math:: p(y) = \prod_i p(y_i)
              \prod_{(i, j) \in E} \frac{p(y_i, y_j)}{p(y_i) \, p(y_j)}

    Of all trees it is the one of the greatest likelihood, whose edges have the most mutual
    information. An edge that is worth less than the parameters of its table cost, by the Bayesian
    information criterion, is left out, so that the tree may be a forest (Suzuki, 1993). Binary and
    categorical labels of at most 64 classes take part; all others are independent. See
    :class:`~ccvae_pyro.distributions.TreeLabels` for what the distribution can do.

    Make one by :meth:`fit`. The constructor makes one without edges.

    :param labels: descriptions of the labels, with their prevalences and class frequencies, which
        are the marginal distributions.
    :raises ValueError: if two labels have one name.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        super().__init__()
        check_distinct(labels)
        sizes = [_num_classes(label) for label in labels]
        self.independent = label_modules(labels).label_prior
        self.parents: Tensor
        self.dependence: Tensor
        self.register_buffer("parents", torch.full((len(labels),), -1))
        num_classes = max([2, *sizes])
        self.register_buffer("dependence", torch.zeros(len(labels), num_classes, num_classes))
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
        nodes = _nodes(labels, values)
        if len(nodes) > 1:
            prior._set_edges(
                _Pairs(values[:, nodes], [labels[n] for n in nodes], pseudo_count), nodes
            )
        return prior

    def _set_edges(self, pairs: _Pairs, nodes: list[int]) -> None:
        for child, parent in pairs.edges().items():
            table = torch.from_numpy(pairs.dependence(parent, child))
            num_rows, num_columns = table.shape
            self.parents[nodes[child]] = nodes[parent]
            self.dependence[nodes[child], :num_rows, :num_columns] = table

    @property
    def edges(self) -> list[tuple[int, int]]:
        """The columns of the labels at both ends of each edge, the parent first."""
        parents = self.parents.tolist()
        return [(parent, child) for child, parent in enumerate(parents) if parent >= 0]

    def mutual_information(self) -> Tensor:
        """The mutual information of each label and its parent in nats, 0 without a parent."""
        marginals = self()._factors.exp()
        joint = marginals[self.parents, :, None] * marginals[:, None] * self.dependence.exp()
        information: Tensor = (joint * self.dependence).sum((-2, -1))
        return information

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
        versions = self.parents._version, self.dependence._version
        if self._tree is None or not self._tree.is_of(self.parents, self.dependence, versions):
            self._tree = _Versioned(LabelTree(self.parents, self.dependence), versions)
        return self._tree.tree


class _Versioned(NamedTuple):
    """A tree, and how often its tensors had been written to."""

    tree: LabelTree
    versions: tuple[int, int]

    def is_of(self, parents: Tensor, dependence: Tensor, versions: tuple[int, int]) -> bool:
        """Whether it is the tree of these tensors."""
        tree = self.tree
        are_same = tree.parents is parents and tree.dependence is dependence
        return are_same and self.versions == versions


class _Pairs:
    """The classes that labels have together, in rows that have both.

    :param values: the labels, NaN where missing, shape ``(num_rows, num_labels)``.
    :param labels: their descriptions, with the marginal distributions.
    """

    def __init__(self, values: np.ndarray, labels: Sequence[Label], pseudo_count: float) -> None:
        self.pseudo_count = pseudo_count
        self.marginals = [_marginal(label) for label in labels]
        self.sizes = np.array([len(marginal) for marginal in self.marginals])
        self.starts = np.concatenate([[0], self.sizes.cumsum()[:-1]])
        columns = [values[:, i] == k for i, size in enumerate(self.sizes) for k in range(size)]
        indicators, is_known = np.stack(columns, axis=1).astype(float), ~np.isnan(values)
        self.counts = indicators.T @ indicators
        self.num_rows = is_known.T.astype(float) @ is_known

    def edges(self) -> dict[int, int]:
        """The parent of each label that has one.

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

    def dependence(self, parent: int, child: int) -> np.ndarray:
        """The logarithm of a pair's joint distribution over that of independent labels."""
        rows, columns = (
            slice(self.starts[i], self.starts[i] + self.sizes[i]) for i in (parent, child)
        )
        of_parent, of_child = self.marginals[parent][:, None], self.marginals[child]
        independent = of_parent * of_child
        table = self.counts[rows, columns] + self.pseudo_count * independent
        for _ in range(MAX_SCALINGS):
            table = table * (of_parent / table.sum(axis=1, keepdims=True))
            scale = of_child / table.sum(axis=0)
            table = table * scale
            if np.abs(scale - 1).max() < 1e-14:
                break
        return np.asarray(np.log(table / independent))

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
            terms = joint * np.log(joint / (of_label * joint.sum(axis=0)))
            information = np.add.reduceat(terms.sum(axis=0), self.starts)
            cost = (size - 1) * (self.sizes - 1) * np.log(num_rows) / (2 * num_rows)
            gains[i] = np.where(self.num_rows[i] > 0, information - cost, 0.0)
        np.fill_diagonal(gains, 0.0)
        return np.asarray(np.maximum(gains, 0.0))


def _num_classes(label: Label) -> int:
    """The number of classes of a label that may depend on others; 1 if it may not."""
    if isinstance(label, Binary):
        return 2
    is_node = isinstance(label, Categorical) and len(label.classes) <= MAX_CLASSES
    return len(label.classes) if is_node else 1


def _marginal(label: Label) -> np.ndarray:
    if isinstance(label, Binary):
        return np.array([1 - label.prevalence, label.prevalence])
    return np.array(label.class_frequencies)  # type: ignore[union-attr]


def _nodes(labels: Sequence[Label], values: np.ndarray) -> list[int]:
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
