"""The training loop: Pyro's SVI over batches, with a checkpoint after each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyro
import torch
from pyro.infer import SVI
from torch import Tensor
from tqdm import tqdm

from ccvae_pyro.data import Batches
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.evaluation import evaluate
from ccvae_pyro.interventions import reconstruct
from ccvae_pyro.models import ImageModel
from ccvae_pyro.training import distributed
from ccvae_pyro.training._interrupts import deferred_interrupt
from ccvae_pyro.training.optimizers import make_schedule
from ccvae_pyro.training.resume import RunState, resume_run, save_run
from ccvae_pyro.training.step import make_step

NUM_RECONSTRUCTIONS = 10  # validation images whose reconstructions the result holds
# On an accelerator, or with several processes, the loss is read after so many steps only: reading
# it makes the host wait.
STEPS_PER_READ = 20


@dataclass(frozen=True)
class TrainingResult:
    """What :func:`train` returns; the same is in the checkpoint.

    :param history: a record for each epoch: ``epoch``, the ``loss`` per training image, the
        metrics of :func:`~ccvae_pyro.evaluate` on the validation images, and the ``seconds`` that
        its steps took.
    :param reconstructions: by epoch, reconstructions of the first validation images, uint8 of
        shape ``(num_images, channels, height, width)``; after epochs 1, 2, 4, 8, ... and the last.
    """

    history: list[dict[str, float]]
    reconstructions: dict[int, Tensor]

    @property
    def seconds(self) -> float:
        """The duration of all training steps, those before an interruption included."""
        return sum(record["seconds"] for record in self.history)


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
) -> TrainingResult:
    """Trains a model; writes ``checkpoint.pt`` and ``history.csv`` to ``out`` after each epoch.

    The first Ctrl-C finishes the current step, saves a checkpoint and raises
    :exc:`KeyboardInterrupt`. Under ``torchrun``, each process trains on its share of every batch,
    and the process of rank 0 writes the files: see :mod:`ccvae_pyro.training.distributed`.

    :param model: the model to train.
    :param svi: Pyro's SVI of this model, its guide, an optimizer and an objective.
    :param batches: the training images, and the validation images to evaluate on.
    :param num_epochs: how many passes over the training images to take in all.
    :param out: the folder of the checkpoint.
    :param decay_fraction: the fraction of the steps, at the end, over which the learning rate
        falls linearly to zero. Small batches learn fast at a high learning rate, but the
        parameters then keep its noise.
    :param final_weight: the value that the objective's ``classification_weight`` reaches after the
        first half of the steps, by geometric annealing; by default it does not change. With few
        labels, a large weight separates the classes at first, and a small one then lets the
        unlabeled images contribute.
    :param resume: go on from ``out/checkpoint.pt`` if it exists, even in the middle of an epoch.
        On a CPU the parameters are the same as those of an uninterrupted run, bit for bit.
    :raises ValueError: if ``decay_fraction`` is not in [0, 1], or a weight to anneal not positive.
    :raises ValueError: if the batches are shared by another number of processes than there are.
    :raises FloatingPointError: if the loss is not finite; the last checkpoint is kept.
    :raises ValueError: if the images of a resumed run were prepared in another way.
    :raises CheckpointError: if the checkpoint is unreadable or belongs to another model.
    """
    if batches.world_size != distributed.world_size():
        raise ValueError(
            f"wanted batches shared by {distributed.world_size()} processes, the world size, got "
            f"{batches.world_size}"
        )
    schedule = make_schedule(svi, decay_fraction, final_weight)
    path, state = out / "checkpoint.pt", RunState()

    def prepare_step() -> None:
        schedule((state.epoch + state.step / len(batches)) / num_epochs)

    # The caller's parameter store stays as it is.
    with pyro.get_param_store().scope(), deferred_interrupt() as interrupts:
        if distributed.rank():
            pyro.set_rng_seed(torch.initial_seed() + distributed.rank())
        prepared = batches.data.preprocessing
        model.preprocessing = prepared or model.preprocessing
        if resume and path.exists():
            state = resume_run(path, model, svi)
            _check_preprocessing(path, model.preprocessing, prepared)
        prepare_step()
        step = make_step(model, svi)
        while state.epoch < num_epochs:
            is_interrupted = _train_epoch(step, batches, state, interrupts, prepare_step)
            if not is_interrupted:
                _end_epoch(model, batches, state, is_last=state.epoch + 1 == num_epochs)
            save_run(path, model, svi, state)
            if is_interrupted:
                raise KeyboardInterrupt
    return TrainingResult(state.history, state.reconstructions)


def _check_preprocessing(
    path: Path, before: Preprocessing | None, now: Preprocessing | None
) -> None:
    """Checks that a run is resumed on images that are prepared as they were."""
    if now is not None and before != now:
        raise ValueError(
            f"{path} was trained on images with {before}, and cannot be resumed on images with "
            f"{now}"
        )


def _train_epoch(
    step: Callable[..., Any],
    batches: Batches,
    state: RunState,
    interrupts: list[int],
    prepare_step: Callable[[], None],
) -> bool:
    """Takes the remaining steps of an epoch, or those until Ctrl-C; returns whether it came.

    :param prepare_step: called after each step, for the next.
    :raises FloatingPointError: if the loss is not finite.
    """
    number, start, is_interrupted = state.epoch + 1, time.perf_counter(), False
    is_main = distributed.rank() == 0
    loss: Any = state.loss if is_main else 0.0
    last = state.history[-1] if state.history else {}
    shown = {"accuracy": f"{last['accuracy']:.3f}"} if "accuracy" in last else {}
    with tqdm(
        total=len(batches),
        initial=state.step,
        desc=f"epoch {number}",
        unit="batch",
        disable=not is_main,
    ) as bar:
        for batch in batches.epoch(number, start=state.step):
            with _validation(batches, state.step):
                loss = loss + step(*batch)
            state.step += 1
            prepare_step()
            bar.update()
            if not _is_time_to_read(loss, state.step, len(batches)):
                continue
            state.loss, is_interrupted = _read(loss, interrupts, state)
            num_images = min(state.step * batches.batch_size, batches.num_images)
            shown["loss"] = f"{state.loss / num_images:.1f}"
            bar.set_postfix(shown, refresh=False)
            if is_interrupted:
                break
    state.seconds += time.perf_counter() - start
    return is_interrupted


def _validation(batches: Batches, step: int) -> AbstractContextManager[None]:
    """Pyro's validation of values: on an accelerator, where it waits, in the first step only."""
    is_cheap = torch.device(batches.device).type == "cpu" or step == 0
    return nullcontext() if is_cheap else pyro.validation_enabled(False)


def _is_time_to_read(loss: Any, step: int, num_steps: int) -> bool:
    is_free = is_free_to_read(loss) and distributed.world_size() == 1
    return is_free or step % STEPS_PER_READ == 0 or step == num_steps


def _read(loss: Any, interrupts: list[int], state: RunState) -> tuple[float, bool]:
    """The loss summed over all processes, and whether one of them was interrupted."""
    total, num_interrupts = distributed.all_reduce_sum(loss, len(interrupts))
    if not math.isfinite(total):
        raise FloatingPointError(
            f"the loss became {total} in epoch {state.epoch + 1}, batch {state.step}: a lower "
            "learning rate may help; the last checkpoint is kept"
        )
    return total, num_interrupts > 0


def _end_epoch(model: ImageModel, batches: Batches, state: RunState, is_last: bool) -> None:
    """Evaluates the model on the validation images and adds the epoch to the history."""
    epoch, loss, seconds = state.epoch + 1, state.loss, round(state.seconds, 3)
    state.epoch, state.step, state.loss, state.seconds = epoch, 0, 0.0, 0.0
    if distributed.rank():
        return
    metrics = evaluate(model, batches.held_out("valid")).to_dict()
    del metrics["per_label"]
    record = {"epoch": epoch, "loss": loss / batches.num_images, **metrics, "seconds": seconds}
    state.history.append(record)
    tqdm.write(f"epoch {epoch}: " + ", ".join(f"{k} {v:.4g}" for k, v in list(record.items())[1:]))
    if is_last or epoch.bit_count() == 1:  # 1, 2, 4, 8, ...: most changes in the first epochs
        images, _ = next(batches.held_out("valid"))
        with suppress(UnsupportedError):
            reconstructed = reconstruct(model, images[:NUM_RECONSTRUCTIONS])
            state.reconstructions[epoch] = _to_uint8(reconstructed)


def _to_uint8(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8 on the CPU."""
    return images.clamp(0, 1).mul(255).round().byte().cpu()
