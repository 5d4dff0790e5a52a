"""Classifier, conditional prior and label prior for labels of any kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ccvae_pyro.components.classifiers import (
    DiagonalClassifier,
    LinearRegressor,
    NestedClassifier,
    OrdinalRegressor,
)
from ccvae_pyro.components.conditional_priors import (
    ClassConditionalPrior,
    GaussianConditionalPrior,
    LinearConditionalPrior,
)
from ccvae_pyro.components.label_priors import (
    BernoulliLabelPrior,
    CategoricalLabelPrior,
    NormalLabelPrior,
)
from ccvae_pyro.distributions.label_vector import AffineLabels, LabelGroup, LabelVector
from ccvae_pyro.distributions.labelwise_prior import Factors, LabelwisePrior
from ccvae_pyro.distributions.nested_categorical import sign_matrix
from ccvae_pyro.distributions.normal import FusedNormal
from ccvae_pyro.labels import Binary, Categorical, Label, Ordinal, are_plain, block_of


class LabelModules(NamedTuple):
    """The parts of a CCVAE that depend on the kinds of its labels."""

    classifier: nn.Module
    conditional_prior: nn.Module
    label_prior: nn.Module


class _Grouped(nn.Module):
    """Modules, each for some columns of ``y`` and some entries of ``z_c``.

    Binary labels of one characteristic share a module; every other label has its own.
    """

    def __init__(self, labels: Sequence[Label], modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.of_group = nn.ModuleList(modules)
        for i, members in enumerate(group_labels(labels)):
            blocks = [block_of(labels, member) for member in members]
            latents = torch.stack([torch.arange(block.start, block.stop) for block in blocks])
            self.register_buffer(f"columns_{i}", torch.tensor(members), persistent=False)
            self.register_buffer(f"latents_{i}", latents, persistent=False)
        entries = torch.cat([self._latents(i).flatten() for i in range(len(modules))])
        self.order: Tensor
        self.register_buffer("order", entries.argsort(), persistent=False)

    def _columns(self, i: int) -> Tensor:
        return getattr(self, f"columns_{i}")  # type: ignore[no-any-return]

    def _latents(self, i: int) -> Tensor:
        return getattr(self, f"latents_{i}")  # type: ignore[no-any-return]


class MixedClassifier(_Grouped):
    r"""The classifier :math:`q_\varphi(y \mid z_c)` of labels of several kinds."""

    def forward(self, z_c: Tensor) -> AffineLabels:
        groups = [
            module.group(self._columns(i), self._latents(i))  # type: ignore[operator]
            for i, module in enumerate(self.of_group)
        ]
        return AffineLabels(z_c, *groups)


class MixedConditionalPrior(_Grouped):
    r"""The conditional prior :math:`p_\psi(z_c \mid y)` of labels of several kinds."""

    def forward(self, y: Tensor) -> LabelwisePrior:
        return LabelwisePrior(self.given, y, self.factors, len(self.order))

    def given(self, y: Tensor) -> FusedNormal:
        """The Normals at labels ``y``, of batch shape ``(..., num_characteristics)``."""
        normals = [
            module.given(y[..., self._columns(i)])  # type: ignore[operator]
            for i, module in enumerate(self.of_group)
        ]
        loc, scale = (
            torch.cat([getattr(n, name).expand(*y.shape[:-1], -1) for n in normals], dim=-1)
            for name in ("loc", "scale")
        )
        return FusedNormal(loc[..., self.order], scale[..., self.order], validate_args=False)

    def factors(self) -> list[Factors]:
        """The factors of the labels, for each of their values."""
        return [
            module.factors(self._columns(i), self._latents(i))  # type: ignore[operator]
            for i, module in enumerate(self.of_group)
        ]


class MixedLabelPrior(_Grouped):
    r"""The label prior :math:`p(y)` of labels of several kinds."""

    def forward(self) -> LabelVector:
        priors = [module() for module in self.of_group]
        return LabelVector(
            [
                LabelGroup(getattr(prior, "base_dist", prior), self._columns(i))
                for i, prior in enumerate(priors)
            ]
        )


def label_modules(labels: Sequence[Label]) -> LabelModules:
    """Makes classifier, conditional prior and label prior for these labels."""
    groups = [[labels[i] for i in members] for members in group_labels(labels)]
    modules = [_modules_of_group(members) for members in groups]
    if are_plain(labels):
        return modules[0]
    classifiers, conditional_priors, label_priors = zip(*modules, strict=True)
    return LabelModules(
        MixedClassifier(labels, classifiers),
        MixedConditionalPrior(labels, conditional_priors),
        MixedLabelPrior(labels, label_priors),
    )


def group_labels(labels: Sequence[Label]) -> list[list[int]]:
    """The labels that share a module: binary ones of one characteristic; others are alone."""
    plain = [i for i, label in enumerate(labels) if are_plain([label])]
    others = [[i] for i in range(len(labels)) if i not in plain]
    return [plain, *others] if plain else others


def _modules_of_group(labels: Sequence[Label]) -> LabelModules:
    label = labels[0]
    if isinstance(label, Binary):
        probs = torch.tensor([each.prevalence for each in labels if isinstance(each, Binary)])
        num_latents = len(labels) if are_plain(labels) else label.dim
        return LabelModules(
            DiagonalClassifier(len(labels)),
            GaussianConditionalPrior(num_latents),
            BernoulliLabelPrior(probs),
        )
    if isinstance(label, Categorical):
        signs = sign_matrix(len(label.classes))
        frequencies = torch.tensor(label.class_frequencies or [1.0] * len(label.classes))
        return LabelModules(
            NestedClassifier(signs),
            ClassConditionalPrior(signs, label.extra_dims),
            CategoricalLabelPrior(frequencies),
        )
    mean, std = float(label.mean), float(label.std)
    conditional_prior = LinearConditionalPrior(mean, std, label.dim)
    if isinstance(label, Ordinal):
        ranks = (0.0, len(label.classes) - 1.0)
        label_prior = NormalLabelPrior(mean, std, ranks, are_whole=True)
        return LabelModules(OrdinalRegressor(mean, std), conditional_prior, label_prior)
    label_prior = NormalLabelPrior(mean, std, label.bounds)
    return LabelModules(LinearRegressor(mean, std), conditional_prior, label_prior)
