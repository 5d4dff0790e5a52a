"""Runs that are interrupted and resumed: what a checkpoint holds beside the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from pyro.infer import SVI
from torch import Tensor

from ccvae_pyro.io import checkpoint
from ccvae_pyro.models import ImageModel
from ccvae_pyro.training import distributed
from ccvae_pyro.training.logging import write_history


@dataclass
class RunState:
    """The progress of a run, as a checkpoint holds it.

    :param epoch: how many epochs are complete.
    :param step: how many steps of the current epoch are done.
    :param loss: the sum of the losses of these steps.
    :param seconds: the duration of these steps.
    :param history: as in :class:`TrainingResult`.
    :param reconstructions: as in :class:`TrainingResult`.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    reconstructions: dict[int, Tensor] = field(default_factory=dict)


def save_run(path: Path, model: ImageModel, svi: SVI, state: RunState) -> None:
    """Writes checkpoint and history, in the process of rank 0."""
    rng = distributed.all_gather(_rng_state(model))
    if distributed.rank() == 0:
        checkpoint.save(path, model, optimizer=svi.optim.get_state(), rng=rng, **vars(state))
        write_history(path.parent, state.history)


def resume_run(path: Path, model: ImageModel, svi: SVI) -> RunState:
    """Restores model, optimizer and random state from a checkpoint; returns the progress.

    A process without a random state in the checkpoint keeps its own.
    """
    contents = checkpoint.read(path)
    checkpoint.restore(model, contents, path)
    svi.optim.set_state(contents["optimizer"])
    rng = contents["rng"]
    rng_of_ranks = rng if isinstance(rng, list) else [rng]  # before several processes could train
    if distributed.rank() < len(rng_of_ranks):
        _set_rng_state(model, rng_of_ranks[distributed.rank()])
    return RunState(**{name: contents[name] for name in vars(RunState())})


def _rng_state(model: ImageModel) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _set_rng_state(model: ImageModel, state: dict[str, Tensor]) -> None:
    device = next(model.parameters()).device
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
