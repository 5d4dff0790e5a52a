"""Training: Pyro's SVI over batches, its optimizers, and the devices to train on."""

from ccvae_pyro.training.best import Score
from ccvae_pyro.training.budget import (
    default_batch_size,
    default_epochs,
    default_epochs_per_evaluation,
    epochs_for_steps,
)
from ccvae_pyro.training.classifier import train_classifier
from ccvae_pyro.training.devices import pick_device, pick_precision
from ccvae_pyro.training.optimizers import JointAdam, make_adam
from ccvae_pyro.training.step import make_step
from ccvae_pyro.training.train import TrainingResult, train

__all__ = [
    "JointAdam",
    "Score",
    "TrainingResult",
    "default_batch_size",
    "default_epochs",
    "default_epochs_per_evaluation",
    "epochs_for_steps",
    "make_adam",
    "make_step",
    "pick_device",
    "pick_precision",
    "train",
    "train_classifier",
]
