"""A numerical check that classifiers and conditional priors factorize over labels as declared."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.distributions.label_vector import (
    AffineBinary,
    AffineCategorical,
    AffineContinuous,
    AffineGroup,
    AffineLabels,
    column_numbers,
    label_groups,
    num_classes_of,
    take_columns,
)
from ccvae_pyro.distributions.labelwise_prior import AffineFactors, LabelwisePrior
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.models import evaluation

NUM_POINTS = 64  # latents at which densities are compared


@evaluation
def check_factorization(ccvae: Any, x: Tensor, y: Tensor, *, seed: int | None = 0) -> None:
    r"""Checks that classifier and conditional prior factorize over labels as they declare.

    :class:`~ccvae_pyro.ExactCCVAE_ELBO` and :class:`~ccvae_pyro.CCVAE_ELBO` rely on the slopes
    and offsets of :class:`~ccvae_pyro.distributions.AffineLabels` and on the factors of
    :class:`~ccvae_pyro.distributions.LabelwisePrior`. This function compares them with the
    densities of classifier and conditional prior, at latents far from their mean and at labels of
    all values. Training does not call it; call it in the tests of your own components.

    :param ccvae: a model with ``classifier``, ``conditional_prior``, ``model`` and ``guide``.
    :param x: a few images.
    :param y: their labels, none of them missing, shape ``(batch, num_labels)``.
    :param seed: the seed of the latents and labels at which densities are compared; None samples
        them by the global generator.
    :raises NotFactorizedError: if a density differs from what its component declares, or a
        component declares nothing.
    """
    with seeded(seed):
        z_c = _latents(ccvae.guide, x, y)
        _check_classifier(ccvae.classifier, z_c, y)
        _check_conditional_prior(ccvae.conditional_prior, ccvae.label_prior(), z_c, y)


def _latents(guide: Callable[..., Any], x: Tensor, y: Tensor) -> Tensor:
    """Points near the guide's latents and far from them.

    :returns: shape ``(num_points, batch, num_latents)``.
    """
    site: Any = poutine.trace(guide).get_trace(x, y).nodes["z_c"]
    z_c: Tensor = site["value"]
    spread = torch.logspace(-2, 1.3, NUM_POINTS).to(z_c)[:, None, None]
    latents: Tensor = z_c + spread * torch.randn(NUM_POINTS, *z_c.shape).to(z_c)
    return latents


def _check_classifier(classifier: Callable[[Tensor], Any], z_c: Tensor, y: Tensor) -> None:
    """Compares the density of labels with that of slopes and offsets from another point."""
    q_y = classifier(z_c)
    if not isinstance(q_y, AffineLabels):
        raise NotFactorizedError(
            f"the classifier returns {type(q_y).__name__}: wanted AffineLabels"
        )
    elsewhere = classifier(z_c[:1].flip(1)[0])
    declared = AffineLabels(z_c, *map(_without_overrides, elsewhere.affine_groups))
    for labels in _label_vectors(q_y, y):
        if not _agree(q_y.log_prob(labels), declared.log_prob(labels)):
            raise NotFactorizedError(
                "the classifier's labels are not affine in z_c: their density differs from that "
                "of the slopes, offsets and scales that it declares"
            )


def _without_overrides(group: AffineGroup) -> AffineGroup:
    """A group with the distribution that its slopes, offsets and scales declare."""
    plain = copy.copy(group)
    for kind in (AffineBinary, AffineCategorical, AffineContinuous):
        if isinstance(group, kind):
            plain.__class__ = kind
    return plain


def _check_conditional_prior(
    conditional_prior: Callable[[Tensor], Any], label_prior: Any, z_c: Tensor, y: Tensor
) -> None:
    """Compares the density given label vectors with the product of the labels' factors."""
    for labels in _label_vectors(label_prior, y):
        p_z_c = conditional_prior(labels)
        if not isinstance(p_z_c, LabelwisePrior):
            raise NotFactorizedError(
                f"the conditional prior returns {type(p_z_c).__name__}: wanted a LabelwisePrior"
            )
        product: Any = 0.0
        for factors in p_z_c.given_each_value:
            of_label = take_columns(labels, factors.columns)
            if isinstance(factors, AffineFactors):
                product = product + factors.log_prob(z_c, of_label).sum(-1)
                continue
            of_classes = factors.log_prob(z_c)
            index = of_label.long().expand(of_classes.shape[1:])[None]
            product = product + of_classes.gather(0, index)[0].sum(-1)
        if not _agree(p_z_c.log_prob(z_c), product):
            raise NotFactorizedError(
                "the conditional prior is not the product of the factors that it declares: "
                "characteristics of a label depend on other labels, or on their own label in "
                "another way"
            )


def _label_vectors(fn: Any, y: Tensor) -> list[Tensor]:
    """The labels, and copies in which one label has each of its values in turn."""
    vectors, num_labels = [y], y.shape[-1]
    for group in label_groups(fn):
        num_values = num_classes_of(group.distribution) or 3
        for column in column_numbers(group.columns, num_labels):
            for value in range(num_values):
                vector = y[torch.randperm(len(y))].clone()
                vector[:, column] = value
                vectors.append(vector)
    return vectors


def _agree(actual: Tensor, expected: Tensor) -> bool:
    """Whether two log-densities agree, relative to their size."""
    tolerance = 1e-3 if actual.dtype == torch.float32 else 1e-6
    difference = (actual - expected).abs()
    return bool((difference <= tolerance * (1 + expected.abs())).all())
