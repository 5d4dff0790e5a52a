"""Classifier, conditional prior and label prior of a row of labels, put together by kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ccvae_pyro.components.classifiers import (
    DiagonalClassifier,
    LinearRegressor,
    NestedClassifier,
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
from ccvae_pyro.distributions.label_vector import LabelPart, LabelVector
from ccvae_pyro.distributions.nested_categorical import sign_matrix
from ccvae_pyro.labels import Binary, Categorical, Label, are_plain, block_of


class _Grouped(nn.Module):
    """Modules, each for some columns of ``y`` and some entries of ``z_c``.

    Binary labels of one characteristic share a module; any other label has its own.
    """

    def __init__(self, labels: Sequence[Label], modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.of_group = nn.ModuleList(modules)
        for i, members in enumerate(group(labels)):
            blocks = [torch.arange(*_ends(block_of(labels, member))) for member in members]
            self.register_buffer(f"columns_{i}", torch.tensor(members), persistent=False)
            self.register_buffer(f"latents_{i}", torch.stack(blocks), persistent=False)
        places = torch.cat([self._latents(i).flatten() for i in range(len(modules))])
        self.order: Tensor
        self.register_buffer("order", places.argsort(), persistent=False)

    def _columns(self, i: int) -> Tensor:
        return getattr(self, f"columns_{i}")

    def _latents(self, i: int) -> Tensor:
        return getattr(self, f"latents_{i}")

    def _row(self, distributions: Sequence[dist.Distribution]) -> LabelVector:
        parts = [
            LabelPart(fn, self._columns(i), self._latents(i)) for i, fn in enumerate(distributions)
        ]
        return LabelVector(parts)


class MixedClassifier(_Grouped):
    r"""The classifier :math:`q_\varphi(y \mid z_c)` of labels of several kinds."""

    def forward(self, z_c: Tensor) -> LabelVector:
        fns = []
        for i, module in enumerate(self.of_group):
            is_row = isinstance(module, DiagonalClassifier)
            fn = module(z_c[..., self._latents(i)[:, 0] if is_row else self._read(i)])
            fns.append(fn.base_dist if is_row else fn)
        return self._row(fns)

    def _read(self, i: int) -> Tensor:
        """The characteristics that a classifier reads, which come first."""
        return self._latents(i)[0, : len(self.of_group[i].weight)]  # type: ignore[arg-type]


class MixedConditionalPrior(_Grouped):
    r"""The conditional prior :math:`p_\psi(z_c \mid y)` of labels of several kinds."""

    def forward(self, y: Tensor) -> dist.Independent:
        fns = [module(y[..., self._columns(i)]) for i, module in enumerate(self.of_group)]
        rows = [getattr(fn, "base_dist", fn) for fn in fns]
        batch_shape = torch.broadcast_shapes(*(row.batch_shape[:-1] for row in rows))
        loc, scale = (
            torch.cat([getattr(row, name).expand(*batch_shape, -1) for row in rows], dim=-1)
            for name in ("loc", "scale")
        )
        return dist.Normal(loc[..., self.order], scale[..., self.order]).to_event(1)


class MixedLabelPrior(_Grouped):
    r"""The label prior :math:`p(y)` of labels of several kinds."""

    def forward(self) -> LabelVector:
        fns = [module() for module in self.of_group]
        return self._row([getattr(fn, "base_dist", fn) for fn in fns])


def label_modules(labels: Sequence[Label]) -> dict[str, Any]:
    """The classifier, conditional prior and label prior that labels ask for."""
    groups = [[labels[i] for i in members] for members in group(labels)]
    trios = [_of_group(members) for members in groups]
    if are_plain(labels):
        modules: tuple[nn.Module, ...] = trios[0]
    else:
        kinds = (MixedClassifier, MixedConditionalPrior, MixedLabelPrior)
        modules = tuple(
            kind(labels, column)
            for kind, column in zip(kinds, zip(*trios, strict=True), strict=True)
        )
    return dict(zip(("classifier", "conditional_prior", "label_prior"), modules, strict=True))


def group(labels: Sequence[Label]) -> list[list[int]]:
    """The labels that share a module: binary ones of one characteristic; others are alone."""
    plain = [i for i, label in enumerate(labels) if are_plain([label])]
    others = [[i] for i in range(len(labels)) if i not in plain]
    return [plain, *others] if plain else others


def _of_group(labels: Sequence[Label]) -> tuple[nn.Module, nn.Module, nn.Module]:
    label: Any = labels[0]
    if are_plain(labels):
        frequencies = torch.tensor([each.prevalence for each in labels])
        return (
            DiagonalClassifier(len(labels)),
            GaussianConditionalPrior(len(labels)),
            BernoulliLabelPrior(frequencies),
        )
    if isinstance(label, Binary):
        return (
            DiagonalClassifier(1),
            GaussianConditionalPrior(label.dim),
            BernoulliLabelPrior(torch.tensor([label.prevalence])),
        )
    if isinstance(label, Categorical):
        signs = sign_matrix(len(label.classes))
        frequencies = torch.tensor(label.class_frequencies or [1.0] * len(label.classes))
        return (
            NestedClassifier(signs),
            ClassConditionalPrior(signs, label.extra_dims),
            CategoricalLabelPrior(frequencies),
        )
    unit = (float(label.mean), float(label.std))
    return (
        LinearRegressor(*unit),
        LinearConditionalPrior(*unit, label.dim),
        NormalLabelPrior(*unit),
    )


def _ends(block: slice) -> tuple[int, int]:
    return block.start, block.stop
