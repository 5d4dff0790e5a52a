"""The training loop: Pyro's SVI over batches, with a checkpoint after each epoch."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyro
import torch
from pyro.infer import SVI
from pyro.optim import Adam  # type: ignore[attr-defined]
from torch import Tensor
from tqdm import tqdm

from ccvae_pyro import checkpoint
from ccvae_pyro.data.batches import Batches
from ccvae_pyro.evaluation import evaluate
from ccvae_pyro.family import CannotError, ImageModel
from ccvae_pyro.history import write_history
from ccvae_pyro.interventions import reconstruct
from ccvae_pyro.schedule import schedule

NUM_WATCHED = 10  # validation images whose reconstructions are kept as training goes on


def train(
    model: ImageModel,
    svi: SVI,
    batches: Batches,
    num_epochs: int,
    out: Path,
    *,
    cool_down: float = 0.0,
    last_weight: float | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Trains a model; leaves ``checkpoint.pt`` and ``history.csv`` in ``out`` after each epoch.

    Ctrl-C, once, ends the step at hand, saves and raises :exc:`KeyboardInterrupt`.

    :param svi: made of the model, its guide, an optimizer and an objective.
    :param cool_down: the share of the steps, the last ones, over which the optimizer's rate falls
        to zero, linearly. Small batches learn fast at a high rate, whose noise they then keep.
    :param last_weight: what the objective's ``classification_weight`` goes to over the first half
        of the steps, geometrically; by default it stays as it is. With few labels, a large weight
        lays the classes out, and a small one then leaves them to the images without labels.
    :param resume: go on from ``out/checkpoint.pt`` where it is, in the middle of an epoch if need
        be. On the CPU the parameters end up as those of an undisturbed run, bit for bit.
    :returns: what the checkpoint holds beside the model: ``history``, a dictionary for each epoch,
        and ``reconstructions``, by epoch, of the first validation images.
    :raises ValueError: if ``cool_down`` is no share, or a weight that is to change not positive.
    :raises FloatingPointError: if the loss is not finite; the last checkpoint stays as it is.
    :raises CheckpointError: if the checkpoint to resume from is unreadable or another model's.
    """
    set_out = schedule(svi, cool_down, last_weight)

    def prepare() -> None:
        set_out((state["epoch"] + state["step"] / len(batches)) / num_epochs)

    path = out / "checkpoint.pt"
    state: dict[str, Any] = {"epoch": 0, "step": 0, "loss": 0.0, "seconds": 0.0}
    state |= {"history": [], "reconstructions": {}}
    # The caller's parameter store is not ours to fill.
    with pyro.get_param_store().scope(), _deferred_interrupt() as interrupts:
        if resume and path.exists():
            state = _resume(path, model, svi)
        prepare()
        while state["epoch"] < num_epochs:
            _train_epoch(svi, batches, state, interrupts, prepare)
            if not interrupts:
                _close_epoch(model, batches, state, is_last=state["epoch"] + 1 == num_epochs)
            optimizer, rng = svi.optim.get_state(), _rng_state(model)
            checkpoint.save(path, model, optimizer=optimizer, rng=rng, **state)
            write_history(out, state["history"])
            if interrupts:
                raise KeyboardInterrupt
    return state


def make_adam(learning_rate: float) -> Adam:
    """Pyro's Adam, ten times as fast on the conditional prior and the classifier.

    These are a few numbers with no network behind them, and Adam moves a number by no more than
    its rate a step: at the networks' rate they are left behind by the encoder, whose
    characteristics drift away from the prior that edits and samples are taken from.

    :param learning_rate: the rate of the networks.
    """

    def options(name: str) -> dict[str, float]:
        is_number = "conditional_prior" in name or "classifier" in name
        return {"lr": learning_rate * (10 if is_number else 1)}

    return Adam(options)


def _train_epoch(
    svi: SVI,
    batches: Batches,
    state: dict[str, Any],
    interrupts: list,
    prepare: Callable[[], None],
) -> None:
    """Takes the steps that are left of an epoch, or those until Ctrl-C.

    :param prepare: called after each step, for the next.
    """
    number, start = state["epoch"] + 1, time.perf_counter()
    bar = tqdm(total=len(batches), initial=state["step"], desc=f"epoch {number}", unit="batch")
    num_images = state["step"] * batches.batch_size
    shown = {"accuracy": f"{state['history'][-1]['accuracy']:.3f}"} if state["history"] else {}
    with bar:
        for batch in batches.epoch(number, start=state["step"]):
            loss = svi.step(*batch)
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss became {loss} in epoch {number}, batch {state['step'] + 1}: a "
                    "lower learning rate may help; the last checkpoint is as it was"
                )
            state["loss"] += loss
            state["step"] += 1
            prepare()
            num_images += len(batch[0])
            shown["loss"] = f"{state['loss'] / num_images:.1f}"
            bar.set_postfix(shown, refresh=False)
            bar.update()
            if interrupts:
                break
    state["seconds"] += time.perf_counter() - start


def _close_epoch(
    model: ImageModel, batches: Batches, state: dict[str, Any], is_last: bool
) -> None:
    """Measures the model on the validation images and writes the epoch into the history."""
    figures = evaluate(model, batches.held_out("valid"))
    epoch = state["epoch"] = state["epoch"] + 1
    record = {"epoch": epoch, "loss": state["loss"] / batches.num_images}
    record |= {name: value for name, value in figures.items() if name != "per_label"}
    record["seconds"] = round(state["seconds"], 3)
    state["history"].append(record)
    tqdm.write(f"epoch {epoch}: " + ", ".join(f"{k} {v:.4g}" for k, v in list(record.items())[1:]))
    state.update(step=0, loss=0.0, seconds=0.0)
    if is_last or epoch.bit_count() == 1:  # 1, 2, 4, 8, ...: most happens at first
        images, _ = next(batches.held_out("valid"))
        with suppress(CannotError):
            state["reconstructions"][epoch] = _to_uint8(reconstruct(model, images[:NUM_WATCHED]))


def _to_uint8(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8 on the CPU."""
    return images.clamp(0, 1).mul(255).round().byte().cpu()


def _resume(path: Path, model: ImageModel, svi: SVI) -> dict[str, Any]:
    """Restores model, optimizer and random numbers; returns the rest of the checkpoint."""
    contents = checkpoint.read(path)
    checkpoint.restore(model, contents, path)
    svi.optim.set_state(contents["optimizer"])
    torch.set_rng_state(contents["rng"]["cpu"])
    device = next(model.parameters()).device
    if device.type == "cuda" and "cuda" in contents["rng"]:
        torch.cuda.set_rng_state(contents["rng"]["cuda"], device)
    keys = ("epoch", "step", "loss", "seconds", "history", "reconstructions")
    return {key: contents[key] for key in keys}


def _rng_state(model: ImageModel) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


@contextmanager
def _deferred_interrupt() -> Iterator[list]:
    """Collects the first Ctrl-C in a list, so that no step is cut in two; a second one kills."""
    interrupts: list[int] = []

    def note(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, previous)
        interrupts.append(number)

    try:
        previous = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: there is no Ctrl-C to catch
        yield interrupts
        return
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, previous)
