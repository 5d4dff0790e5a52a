"""The training loop: Pyro's SVI over batches, with a checkpoint after each epoch."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pyro
import torch
from pyro.infer import SVI
from torch import Tensor
from tqdm import tqdm

from ccvae_pyro.data.batches import Batches
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.evaluation.evaluate import evaluate
from ccvae_pyro.interventions.edit import reconstruct
from ccvae_pyro.io import checkpoint
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.training import distributed as ranks
from ccvae_pyro.training.interrupts import deferred_interrupt
from ccvae_pyro.training.logging import write_history
from ccvae_pyro.training.schedules import schedule
from ccvae_pyro.training.step import stepper, train_epoch

NUM_WATCHED = 10  # validation images whose reconstructions are kept as training goes on


def train(
    model: ImageModel,
    svi: SVI,
    batches: Batches,
    num_epochs: int,
    out: Path,
    *,
    decay_fraction: float = 0.0,
    final_weight: float | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Trains a model; leaves ``checkpoint.pt`` and ``history.csv`` in ``out`` after each epoch.

    Ctrl-C, once, ends the step at hand, saves and raises :exc:`KeyboardInterrupt`. Under
    ``torchrun``, each process trains on its share of every batch, and the first one writes: see
    :mod:`ccvae_pyro.training.distributed`.

    :param svi: made of the model, its guide, an optimizer and an objective.
    :param decay_fraction: the share of the steps, the last ones, over which the optimizer's rate falls
        to zero, linearly. Small batches learn fast at a high rate, whose noise they then keep.
    :param final_weight: what the objective's ``classification_weight`` goes to over the first half
        of the steps, geometrically; by default it stays as it is. With few labels, a large weight
        lays the classes out, and a small one then leaves them to the images without labels.
    :param resume: go on from ``out/checkpoint.pt`` where it is, in the middle of an epoch if need
        be. On the CPU the parameters end up as those of an undisturbed run, bit for bit.
    :returns: what the checkpoint holds beside the model: ``history``, a dictionary for each epoch,
        and ``reconstructions``, by epoch, of the first validation images.
    :raises ValueError: if ``decay_fraction`` is no share, or a weight that is to change not positive.
    :raises ValueError: if batches are shared by another number of processes than there are.
    :raises FloatingPointError: if the loss is not finite; the last checkpoint stays as it is.
    :raises CheckpointError: if the checkpoint to resume from is unreadable or another model's.
    """
    if batches.num_ranks != ranks.num_ranks():
        raise ValueError(
            f"wanted batches shared by {ranks.num_ranks()} ranks, as there are, got "
            f"{batches.num_ranks}"
        )
    set_out = schedule(svi, decay_fraction, final_weight)

    def prepare() -> None:
        set_out((state["epoch"] + state["step"] / len(batches)) / num_epochs)

    path = out / "checkpoint.pt"
    state: dict[str, Any] = {"epoch": 0, "step": 0, "loss": 0.0, "seconds": 0.0}
    state |= {"history": [], "reconstructions": {}}
    # The caller's parameter store is not ours to fill.
    with pyro.get_param_store().scope(), deferred_interrupt() as interrupts:
        if ranks.rank():
            pyro.set_rng_seed(torch.initial_seed() + ranks.rank())
        if resume and path.exists():
            state = _resume(path, model, svi)
        prepare()
        step = stepper(model, svi)
        while state["epoch"] < num_epochs:
            should_stop = train_epoch(step, batches, state, interrupts, prepare)
            if not should_stop:
                _close_epoch(model, batches, state, is_last=state["epoch"] + 1 == num_epochs)
            _save(path, model, svi, state)
            if should_stop:
                raise KeyboardInterrupt
    return state


def _close_epoch(
    model: ImageModel, batches: Batches, state: dict[str, Any], is_last: bool
) -> None:
    """Measures the model on the validation images and writes the epoch into the history."""
    epoch, loss, seconds = state["epoch"] + 1, state["loss"], round(state["seconds"], 3)
    state.update(epoch=epoch, step=0, loss=0.0, seconds=0.0)
    if ranks.rank():
        return
    figures = evaluate(model, batches.held_out("valid"))
    record = {"epoch": epoch, "loss": loss / batches.num_images}
    record |= {name: value for name, value in figures.items() if name != "per_label"}
    record["seconds"] = seconds
    state["history"].append(record)
    tqdm.write(f"epoch {epoch}: " + ", ".join(f"{k} {v:.4g}" for k, v in list(record.items())[1:]))
    if is_last or epoch.bit_count() == 1:  # 1, 2, 4, 8, ...: most happens at first
        images, _ = next(batches.held_out("valid"))
        with suppress(UnsupportedError):
            state["reconstructions"][epoch] = _to_uint8(reconstruct(model, images[:NUM_WATCHED]))


def _to_uint8(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8 on the CPU."""
    return images.clamp(0, 1).mul(255).round().byte().cpu()


def _save(path: Path, model: ImageModel, svi: SVI, state: dict[str, Any]) -> None:
    """Writes checkpoint and history, if this is the first process."""
    rng = ranks.gather(_rng_state(model))
    if ranks.rank() == 0:
        checkpoint.save(path, model, optimizer=svi.optim.get_state(), rng=rng, **state)
        write_history(path.parent, state["history"])


def _resume(path: Path, model: ImageModel, svi: SVI) -> dict[str, Any]:
    """Restores model, optimizer and random numbers; returns the rest of the checkpoint.

    A rank that had no part in it so far goes on with the random numbers that it has.
    """
    contents = checkpoint.read(path)
    checkpoint.restore(model, contents, path)
    svi.optim.set_state(contents["optimizer"])
    rng = contents["rng"]
    of_ranks = rng if isinstance(rng, list) else [rng]  # earlier versions knew of one process
    if ranks.rank() < len(of_ranks):
        _set_rng_state(model, of_ranks[ranks.rank()])
    keys = ("epoch", "step", "loss", "seconds", "history", "reconstructions")
    return {key: contents[key] for key in keys}


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
