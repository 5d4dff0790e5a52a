"""Characteristic capturing VAEs in Pyro (Joy et al., ICLR 2021)."""

from ccvae_pyro.bayes import BayesClassifier, with_bayes_classifier
from ccvae_pyro.checkpoint import CheckpointError, load, save
from ccvae_pyro.classification import classify, impute, predict
from ccvae_pyro.elbo import CCVAE_ELBO
from ccvae_pyro.evaluation import evaluate
from ccvae_pyro.exactness import how_exact
from ccvae_pyro.interventions import edit, generate, nudge, reconstruct, swap, vary
from ccvae_pyro.labels import Binary, Categorical, Continuous
from ccvae_pyro.labels.nested import NestedCategorical, nested_paths
from ccvae_pyro.labels.rows import MixedLabels
from ccvae_pyro.layers import compile_networks, set_precision
from ccvae_pyro.model import CCVAE
from ccvae_pyro.optim import JointAdam, make_adam
from ccvae_pyro.presets import celeba, mnist
from ccvae_pyro.pretrained import load_pretrained
from ccvae_pyro.row_messenger import NotFactorizedError
from ccvae_pyro.tilted import TiltedCCVAE_ELBO
from ccvae_pyro.tilted_normal import TiltedNormal
from ccvae_pyro.training import train
from ccvae_pyro.walks import approach, interpolate, walk

__version__ = "0.1.0"
__all__ = [
    "CCVAE",
    "CCVAE_ELBO",
    "BayesClassifier",
    "Binary",
    "Categorical",
    "CheckpointError",
    "Continuous",
    "JointAdam",
    "MixedLabels",
    "NestedCategorical",
    "NotFactorizedError",
    "TiltedCCVAE_ELBO",
    "TiltedNormal",
    "approach",
    "celeba",
    "classify",
    "compile_networks",
    "edit",
    "evaluate",
    "generate",
    "how_exact",
    "impute",
    "interpolate",
    "load",
    "load_pretrained",
    "make_adam",
    "mnist",
    "nested_paths",
    "nudge",
    "predict",
    "reconstruct",
    "save",
    "set_precision",
    "swap",
    "train",
    "vary",
    "walk",
    "with_bayes_classifier",
]
