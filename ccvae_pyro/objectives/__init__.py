"""Objectives: subclasses of Pyro's ELBO, called with the model, the guide and a batch."""

from ccvae_pyro.objectives.baseline_elbos import (
    DIVA_ELBO,
    M2_ELBO,
    MVAE_ELBO,
    PathwiseELBO,
    SumOfELBOs,
)
from ccvae_pyro.objectives.ccvae_elbo import CCVAE_ELBO
from ccvae_pyro.objectives.exact_ccvae_elbo import ExactCCVAE_ELBO
from ccvae_pyro.objectives.factorization import check_factorization
from ccvae_pyro.objectives.label_consistency import label_consistency

__all__ = [
    "CCVAE_ELBO",
    "DIVA_ELBO",
    "M2_ELBO",
    "MVAE_ELBO",
    "ExactCCVAE_ELBO",
    "PathwiseELBO",
    "SumOfELBOs",
    "check_factorization",
    "label_consistency",
]
