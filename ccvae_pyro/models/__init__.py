"""Models: the CCVAE, its presets and the baselines."""

from ccvae_pyro.models.base import ImageModel, register
from ccvae_pyro.models.ccvae import CCVAE, with_bayes_classifier
from ccvae_pyro.models.evaluation_mode import evaluating, evaluation
from ccvae_pyro.models.presets import (
    BASELINES,
    baseline,
    celeba,
    from_config,
    mnist,
    photographs,
)

__all__ = [
    "BASELINES",
    "CCVAE",
    "ImageModel",
    "baseline",
    "celeba",
    "evaluating",
    "evaluation",
    "from_config",
    "mnist",
    "photographs",
    "register",
    "with_bayes_classifier",
]
