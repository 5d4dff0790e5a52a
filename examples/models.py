"""The models that compare.py compares: how each is made and trained."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import common
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam

import ccvae_pyro
from ccvae_pyro.baselines import DIVA_ELBO, M2_ELBO, MVAE_ELBO, relative
from ccvae_pyro.baselines.presets import NAMES
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.family import ImageModel
from ccvae_pyro.supervised import train_classifier

CCVAE_OBJECTIVES = ("tilted", "published", "unstopped")
MODELS = (*CCVAE_OBJECTIVES, "classifier", *NAMES)
TWO_STAGES = ("m1", "m1_m2")


def new_model(name: str, data: LabeledImages, likelihood_scale: float = 1.0) -> ImageModel:
    """A model of these images, with the paper's 45 dimensions or five more than labels."""
    labels, channels = data.described(), data.images.shape[-1]
    if channels == 1:
        make: Any = partial(relative, name, images="mnist") if name in NAMES else ccvae_pyro.mnist
        return make(labels=labels, z_dim=30)
    make = partial(relative, name) if name in NAMES else ccvae_pyro.celeba
    z_dim = max(45, len(labels) + 5)
    return make(labels=labels, z_dim=z_dim, likelihood_scale=likelihood_scale, channels=channels)


def train(
    name: str, model: Any, settings: argparse.Namespace, batches: Batches, folder: Path
) -> None:
    """Trains a model, in as many stages as it takes."""
    if name == "classifier":
        train_classifier(model, batches, settings.epochs)
    elif name in CCVAE_OBJECTIVES:
        common.train(settings, model, batches, folder, resume=True)
    else:
        if name in TWO_STAGES:
            _fit(model.vae, Trace_ELBO(), settings, batches, folder / "vae")
        if name == "m1_m2":
            model.freeze()
        _fit(model, objective_of(name, settings, batches), settings, batches, folder)


def objective_of(name: str, settings: argparse.Namespace, batches: Batches) -> Trace_ELBO:
    """What a relative is trained by."""
    if name in ("m2", "m1_m2"):  # a tenth of the images for each that has labels
        num_images = len(batches.labeled) + len(batches.unlabeled)
        return M2_ELBO(0.1 * num_images / max(1, len(batches.labeled)))
    if name == "diva":
        return DIVA_ELBO(settings.classification_weight)
    return MVAE_ELBO() if name == "mvae" else Trace_ELBO()


def _fit(
    model: Any, objective: Trace_ELBO, settings: argparse.Namespace, batches: Batches, folder: Path
) -> None:
    # A classifier may be a network here, with no need for a rate of its own.
    is_ccvae = hasattr(model, "conditional_prior")
    adam = (ccvae_pyro.make_adam if is_ccvae else _adam)(settings.learning_rate)
    svi = SVI(model.model, model.guide, adam, loss=objective)
    how = {"cool_down": settings.cool_down, "resume": True}
    ccvae_pyro.train(model, svi, batches, settings.epochs, folder, **how)


def _adam(learning_rate: float) -> Adam:
    return Adam({"lr": learning_rate})
