"""The models of compare.py: how each is built and trained."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

import celeba
import common
import mnist
from pyro.infer import SVI, Trace_ELBO

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.models import BASELINES, ImageModel, baseline
from ccvae_pyro.objectives.baseline_elbos import DIVA_ELBO, M2_ELBO, MVAE_ELBO, PathwiseELBO
from ccvae_pyro.training import train_classifier

CCVAE_OBJECTIVES = ("exact", "paper", "paper-true-gradient")
JOINT = "m1_m2_joint"  # M1+M2 without fixing the VAE in the second stage
MODELS = {
    "exact": "CCVAE, exact",
    "paper": "CCVAE, paper",
    "paper-true-gradient": "CCVAE, paper (true gradient)",
    "classifier": "classifier only",
    "vae": "VAE",
    "cvae": "CVAE",
    "m1": "M1",
    "m2": "M2",
    "m1_m2": "M1+M2",
    JOINT: "M1+M2, jointly",
    "mvae": "MVAE",
    "diva": "DIVA",
}
WITH_CLASSIFICATION_WEIGHT = (*CCVAE_OBJECTIVES, "diva")
M2_MODELS = ("m2", "m1_m2", JOINT)
TWO_STAGES = ("m1", "m1_m2", JOINT)


def settings_for(data: str, model: str, few_labels: bool = False) -> argparse.Namespace:
    """The default settings of celeba.py or mnist.py."""
    objective = ["--objective", model if model in CCVAE_OBJECTIVES else "exact"]
    if data not in mnist.DATA:
        settings = celeba.parse(["--data", data, *objective])
    else:
        few = ["--labels-per-class", "1"] if few_labels else []
        settings = mnist.parse(["--data", data, *objective, *few])
    if model not in WITH_CLASSIFICATION_WEIGHT:
        settings.classification_weight = settings.final_weight = None
    return settings


def set_weight(name: str, settings: argparse.Namespace, batches: Batches) -> None:
    """Sets the default classification weight of a model, if it has one."""
    if name in WITH_CLASSIFICATION_WEIGHT:
        common.set_weight(settings, batches)
    elif name not in M2_MODELS:
        settings.classification_weight = None
    elif settings.classification_weight is None:  # as in the paper: see M2_ELBO
        num_images = len(batches.labeled) + len(batches.unlabeled)
        settings.classification_weight = 0.1 * num_images / max(1, len(batches.labeled))


def new_model(
    name: str, data: LabeledImages, settings: argparse.Namespace, networks: str = "conv"
) -> ImageModel:
    """A model for this data, with the sizes of the settings."""
    name = "m1_m2" if name == JOINT else name
    labels, z_dim, channels = data.with_empirical_priors(), settings.z_dim, data.images.shape[-1]
    if getattr(settings, "network", None) == "residual":
        if name not in BASELINES:
            return common.image_model(settings, data, labels, z_dim)
        shape = {"channels": channels, "side": data.images.shape[1]}
        scale, width = settings.likelihood_scale, settings.width
        return baseline(
            name, labels, z_dim, images="photographs", likelihood_scale=scale, width=width, **shape
        )
    if channels > 1:
        make: Any = partial(baseline, name) if name in BASELINES else ccvae_pyro.celeba
        scale = settings.likelihood_scale
        return make(labels=labels, z_dim=z_dim, likelihood_scale=scale, channels=channels)
    labels = mnist.with_characteristics(labels, z_dim, settings.style_dim)
    if name in BASELINES:
        images = {"conv": "mnist", "mlp": "mlp"}[networks]
        return baseline(name, labels, z_dim, images=images)
    return ccvae_pyro.mnist(labels=labels, z_dim=z_dim, convolutions=networks == "conv")


def train(
    name: str, model: Any, settings: argparse.Namespace, batches: Batches, folder: Path
) -> float:
    """Trains a model in all of its stages; returns the duration of the training steps."""
    if name == "classifier":
        start = time.perf_counter()
        train_classifier(model, batches, settings.epochs)
        return time.perf_counter() - start
    if name in CCVAE_OBJECTIVES:
        return common.train(settings, model, batches, folder, resume=True).seconds
    seconds = 0.0
    if name in TWO_STAGES:
        seconds += _fit(model.vae, PathwiseELBO(), settings, batches, folder / "vae")
    if name == "m1_m2":
        model.freeze()
    return seconds + _fit(model, objective_of(name, settings), settings, batches, folder)


def objective_of(name: str, settings: argparse.Namespace) -> Trace_ELBO:
    """The objective of a baseline."""
    if name in M2_MODELS:
        return M2_ELBO(settings.classification_weight)
    if name == "diva":
        return DIVA_ELBO(settings.classification_weight)
    return MVAE_ELBO() if name == "mvae" else PathwiseELBO()


def _fit(
    model: Any, objective: Trace_ELBO, settings: argparse.Namespace, batches: Batches, folder: Path
) -> float:
    # A classifier may be a network here, with no need for a rate of its own.
    is_ccvae = hasattr(model, "conditional_prior")
    adam = (ccvae_pyro.make_adam if is_ccvae else _adam)(settings.learning_rate)
    svi = SVI(model.model, model.guide, adam, loss=objective)
    result = ccvae_pyro.train(
        model,
        svi,
        batches,
        settings.epochs,
        folder,
        decay_fraction=settings.decay_fraction,
        final_weight=settings.final_weight,
        resume=True,
    )
    return result.seconds


def _adam(learning_rate: float) -> ccvae_pyro.JointAdam:
    return ccvae_pyro.JointAdam({"lr": learning_rate})
