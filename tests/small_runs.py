"""Small runs on random images, for the tests of training."""

import os
import signal

import numpy as np
import pyro
import torch
from pyro.infer import SVI
from pyro.optim import Adam

import ccvae_pyro
from ccvae_pyro import ExactCCVAE_ELBO
from ccvae_pyro.data import Batches, LabeledImages, hide_labels
from ccvae_pyro.io import checkpoint
from ccvae_pyro.labels import binaries

NAMES = ("Bald", "Beard", "Wearing_Hat")
ROWS = np.arange(60)
SPLITS = {"train": ROWS[:40], "valid": ROWS[40:50], "test": ROWS[50:]}


def make_data(seed=0, splits=None):
    """60 images with three labels."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (60, 28, 28, 1), dtype=np.uint8)
    labels = rng.integers(0, 2, (60, 3)).astype(np.float32)
    return LabeledImages(images, labels, binaries(NAMES), splits or SPLITS)


def start(data, seed=0, label_fraction=0.5, optimizer=None):
    """A small model, its SVI and its batches: four an epoch, half of the images labeled."""
    torch.set_default_dtype(torch.float32)
    pyro.set_rng_seed(seed)
    ccvae = ccvae_pyro.mnist(num_labels=len(data.labels[0]), z_dim=5, label_names=data.label_names)
    objective = ExactCCVAE_ELBO(classification_weight=1.0)
    svi = SVI(ccvae.model, ccvae.guide, optimizer or Adam({"lr": 1e-3}), loss=objective)
    return ccvae, svi, Batches(hide_labels(data, label_fraction), 10, seed=seed)


def parameters(path):
    return checkpoint.read(path / "checkpoint.pt")["model"]


def interrupt_after(svi, num_steps, action):
    """Calls a function with the loss at the end of a step, whose loss it returns."""
    step, taken = svi.step, []

    def counted(*batch):
        loss = step(*batch)
        taken.append(loss)
        return action(loss) if len(taken) == num_steps else loss

    svi.step = counted


def press_ctrl_c(loss):
    os.kill(os.getpid(), signal.SIGINT)
    return loss


def send_sigterm(loss):
    os.kill(os.getpid(), signal.SIGTERM)
    return loss
