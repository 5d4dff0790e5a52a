"""Characteristic capturing VAEs in Pyro (Joy et al., ICLR 2021)."""

from importlib import import_module
from typing import TYPE_CHECKING

from ccvae_pyro.components.bayes_classifier import BayesClassifier
from ccvae_pyro.data.datasets.hugging_face import from_hugging_face
from ccvae_pyro.distributions.label_vector import LabelVector
from ccvae_pyro.distributions.nested_categorical import NestedCategorical, sign_matrix
from ccvae_pyro.distributions.tilted_normal import TiltedNormal
from ccvae_pyro.errors import (
    BatchError,
    CCVAEError,
    CheckpointError,
    NotFactorizedError,
    PeerError,
    RunError,
    UnsupportedError,
)
from ccvae_pyro.evaluation.calibrate import calibrate
from ccvae_pyro.evaluation.evaluate import evaluate
from ccvae_pyro.evaluation.exactness import how_exact
from ccvae_pyro.evaluation.samplers import choose_sampler
from ccvae_pyro.interventions.edit import (
    edit,
    generate,
    reconstruct,
    sample_variations,
    shift,
    swap,
)
from ccvae_pyro.interventions.fit_probe import fit_probe
from ccvae_pyro.interventions.fit_sampler import fit_sampler
from ccvae_pyro.interventions.predict import classify, impute, predict
from ccvae_pyro.interventions.traverse import interpolate, interpolate_to_label, walk
from ccvae_pyro.io.checkpoint import load, save
from ccvae_pyro.io.pretrained import load_pretrained
from ccvae_pyro.io.published import load_published
from ccvae_pyro.labels import Binary, Categorical, Continuous, Ordinal
from ccvae_pyro.models.ccvae import CCVAE, with_bayes_classifier
from ccvae_pyro.models.presets import celeba, mnist, photographs
from ccvae_pyro.networks.layers import compile_networks, set_precision
from ccvae_pyro.objectives.ccvae_elbo import CCVAE_ELBO
from ccvae_pyro.objectives.exact_ccvae_elbo import ExactCCVAE_ELBO
from ccvae_pyro.objectives.factorization import check_factorization
from ccvae_pyro.training.optimizers import JointAdam, make_adam
from ccvae_pyro.training.train import train

if TYPE_CHECKING:
    from types import ModuleType

    from ccvae_pyro import plotting as plotting

__version__ = "0.2.0.dev0"

__all__ = [
    "CCVAE",
    "CCVAE_ELBO",
    "BatchError",
    "BayesClassifier",
    "Binary",
    "CCVAEError",
    "Categorical",
    "CheckpointError",
    "Continuous",
    "ExactCCVAE_ELBO",
    "JointAdam",
    "LabelVector",
    "NestedCategorical",
    "NotFactorizedError",
    "Ordinal",
    "PeerError",
    "RunError",
    "TiltedNormal",
    "UnsupportedError",
    "calibrate",
    "celeba",
    "check_factorization",
    "choose_sampler",
    "classify",
    "compile_networks",
    "edit",
    "evaluate",
    "fit_probe",
    "fit_sampler",
    "from_hugging_face",
    "generate",
    "how_exact",
    "impute",
    "interpolate",
    "interpolate_to_label",
    "load",
    "load_pretrained",
    "load_published",
    "make_adam",
    "mnist",
    "photographs",
    "predict",
    "reconstruct",
    "sample_variations",
    "save",
    "set_precision",
    "shift",
    "sign_matrix",
    "swap",
    "train",
    "walk",
    "with_bayes_classifier",
]

if not TYPE_CHECKING:  # by this function, any name would be a module to a type checker

    def __getattr__(name: str) -> "ModuleType":
        """Imports ``plotting``, and Matplotlib with it, where it is first used."""
        if name == "plotting":
            return import_module("ccvae_pyro.plotting")
        raise AttributeError(f"module 'ccvae_pyro' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted(globals().keys() | {"plotting"})
