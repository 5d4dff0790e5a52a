"""Interventions on a trained model: predict, edit, swap, traverse."""

from ccvae_pyro.interventions.edit import (
    ExplainedEdit,
    edit,
    generate,
    reconstruct,
    sample_variations,
    shift,
    swap,
)
from ccvae_pyro.interventions.fit_sampler import fit_sampler
from ccvae_pyro.interventions.predict import classify, impute, predict
from ccvae_pyro.interventions.traverse import interpolate, interpolate_to_label, walk

__all__ = [
    "ExplainedEdit",
    "classify",
    "edit",
    "fit_sampler",
    "generate",
    "impute",
    "interpolate",
    "interpolate_to_label",
    "predict",
    "reconstruct",
    "sample_variations",
    "shift",
    "swap",
    "walk",
]
