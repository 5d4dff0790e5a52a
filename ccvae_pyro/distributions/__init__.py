"""Probability distributions of labels, latents and images."""

from ccvae_pyro.distributions.bernoulli import LogitBernoulli
from ccvae_pyro.distributions.label_vector import (
    AffineBinary,
    AffineCategorical,
    AffineContinuous,
    AffineGroup,
    AffineLabels,
    LabelGroup,
    LabelVector,
)
from ccvae_pyro.distributions.labelwise_prior import AffineFactors, ClassFactors, LabelwisePrior
from ccvae_pyro.distributions.nested_categorical import NestedCategorical, sign_matrix
from ccvae_pyro.distributions.normal import ClampedNormal, FusedNormal, rank_log_probs
from ccvae_pyro.distributions.partially_observed import ObservedLabels, PartiallyObserved
from ccvae_pyro.distributions.shared_scale import (
    SharedScaleLaplace,
    SharedScaleLogistic,
    SharedScaleNormal,
)
from ccvae_pyro.distributions.tilted_normal import TiltedNormal
from ccvae_pyro.distributions.tree_labels import LabelTree, TreeLabels

__all__ = [
    "AffineBinary",
    "AffineCategorical",
    "AffineContinuous",
    "AffineFactors",
    "AffineGroup",
    "AffineLabels",
    "ClampedNormal",
    "ClassFactors",
    "FusedNormal",
    "LabelGroup",
    "LabelTree",
    "LabelVector",
    "LabelwisePrior",
    "LogitBernoulli",
    "NestedCategorical",
    "ObservedLabels",
    "PartiallyObserved",
    "SharedScaleLaplace",
    "SharedScaleLogistic",
    "SharedScaleNormal",
    "TiltedNormal",
    "TreeLabels",
    "rank_log_probs",
    "sign_matrix",
]
