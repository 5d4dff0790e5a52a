"""The training loop: Pyro's SVI over batches, with checkpoints."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import torch
from pyro import poutine
from pyro.infer import SVI
from pyro.optim import PyroLRScheduler
from torch import Tensor
from tqdm.auto import tqdm

from ccvae_pyro.data import Batches, LabeledImages, collect
from ccvae_pyro.data.collect import Loader
from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.evaluation import Evaluation, evaluate
from ccvae_pyro.interventions import reconstruct
from ccvae_pyro.io.checkpoint import BEST, CHECKPOINT
from ccvae_pyro.labels import check_distances, check_same_labels
from ccvae_pyro.labels._plain_values import plain_int
from ccvae_pyro.models import ImageModel
from ccvae_pyro.training import distributed
from ccvae_pyro.training.best import Score, best_of, last_epoch
from ccvae_pyro.training.budget import default_batch_size
from ccvae_pyro.training.captured_step import CapturedStep
from ccvae_pyro.training.fingerprint import fingerprint
from ccvae_pyro.training.interrupts import Interrupts, deferred_interrupt, interruption
from ccvae_pyro.training.logging import HistoryLog
from ccvae_pyro.training.optimizers import make_schedule
from ccvae_pyro.training.resume import (
    RunState,
    check_finite,
    not_finite,
    resume_run,
    save_best_model,
    save_run,
)
from ccvae_pyro.training.run_folder import (
    FIRST_CHECKPOINT,
    check_folder,
    lock_folder,
    replace_run,
    write_settings,
)
from ccvae_pyro.training.step import check_cuda_graph, make_step
from ccvae_pyro.training.watch import Watch

NUM_RECONSTRUCTIONS = 10  # validation images whose reconstructions the result holds
# On an accelerator, or with several processes, the loss is read after so many steps only: reading
# it makes the host wait.
STEPS_PER_READ = 20
# What torch.distributions says of a mean that is NaN, or of a scale of zero.
_INVALID = "Expected parameter "


@dataclass(frozen=True)
class TrainingResult:
    """What :func:`train` returns; the same is in the checkpoint.

    :param history: a record for each evaluation: ``epoch``, the ``loss`` per training image in
        that epoch, the metrics of :func:`~ccvae_pyro.evaluate` on the validation images, if there
        are any, their ``score`` if the best model is kept, and the ``seconds`` that the steps took
        since the record before.
    :param reconstructions: by epoch, reconstructions of the first validation images, uint8 of
        shape ``(num_images, channels, height, width)``; after evaluations 1, 2, 4, 8, ... and the
        last.
    """

    history: list[dict[str, float]]
    reconstructions: dict[int, Tensor]

    @property
    def seconds(self) -> float:
        """The duration of all training steps, those before an interruption included."""
        return sum(record["seconds"] for record in self.history)

    @property
    def num_epochs(self) -> int:
        """The number of epochs that were trained."""
        return int(self.history[-1]["epoch"])

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the highest score on validation images; None if none has a score."""
        best = best_of(self.history)
        return None if best is None else int(best["epoch"])


def train(
    model: ImageModel,
    svi: SVI,
    batches: Batches | Loader | Mapping[str, Loader],
    num_epochs: int,
    out: Path | str,
    *,
    decay_fraction: float = 0.0,
    final_weight: float | None = None,
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_minutes: float = 10.0,
    settings: Mapping[str, Any] | None = None,
    epochs_per_evaluation: int = 1,
    keep_best: bool = False,
    patience: int | None = None,
    on_epoch: Callable[[dict[str, float]], Any] | None = None,
    cuda_graph: str = "auto",
) -> TrainingResult:
    """Trains a model; writes ``checkpoint.pt`` and ``history.csv`` to ``out`` after each epoch.

    A checkpoint is also written every few minutes, and before validation images are evaluated.
    With ``keep_best`` the best model so far, by validation images, is ``best.pt`` beside it.

    The first Ctrl-C finishes the current step, saves a checkpoint and raises
    :exc:`KeyboardInterrupt`. So does SIGTERM, by which clusters and containers stop a job, but it
    raises :exc:`SystemExit` with the exit code 143. Under ``torchrun``, each process trains on its
    share of every batch, and the process of rank 0 writes the files: see
    :mod:`ccvae_pyro.training.distributed`.

    A line warns of reconstructions that are no better than the average training image after a
    tenth of the epochs, and of labels that are predicted no better than without the image after
    half of them: see :func:`~ccvae_pyro.evaluation.verdict`.

    A scheduler of Pyro, such as :func:`pyro.optim.ExponentialLR`, takes a step after each epoch;
    ``ReduceLROnPlateau`` goes by the training loss.

    :param model: the model to train.
    :param svi: Pyro's SVI of this model, its guide, an optimizer and an objective.
    :param batches: the training images, and the validation images, if any, to evaluate on. Any
        iterable of ``(x, y)`` or ``(x,)`` will do, such as a
        :class:`~torch.utils.data.DataLoader`, or one for each split, ``{"train": ..., "valid":
        ...}``: :func:`~ccvae_pyro.data.collect` takes their images, once. Batches then have the
        loader's ``batch_size``, or :func:`~ccvae_pyro.training.default_batch_size`.
    :param num_epochs: how many passes over the training images to take in all, at least one.
    :param out: the folder of the checkpoint. While one process trains there, others may not.
    :param decay_fraction: the fraction of the steps, at the end, over which the learning rate
        falls linearly to zero. Small batches learn fast at a high learning rate, but the
        parameters then keep its noise.
    :param final_weight: the value that the objective's ``classification_weight`` reaches after the
        first half of the steps, by geometric annealing; by default it does not change. With few
        labels, a large weight separates the classes at first, and a small one then lets the
        unlabeled images contribute.
    :param resume: go on from ``out/checkpoint.pt`` if it exists, even in the middle of an epoch.
        On a CPU the parameters are the same as those of an uninterrupted run, bit for bit.
    :param overwrite: begin anew even if ``out`` holds a run. It is lost, with its metrics and
        figures, when the new run has a checkpoint, and stays as it is if that fails earlier.
    :param checkpoint_minutes: the time between checkpoints within an epoch, in minutes.
    :param settings: plain values to keep in the checkpoint, as its entry ``settings``, and beside
        it in ``config.json``.
    :param epochs_per_evaluation: validation images are evaluated, and a record and a checkpoint
        written, after so many epochs and at the end. On few images an epoch takes only some steps.
    :param keep_best: write ``best.pt`` whenever the score of validation images improves: see
        :class:`~ccvae_pyro.training.Score`. It holds the model, its ``epoch`` and its ``score``,
        and :func:`~ccvae_pyro.load` reads it; the trained model itself is that of the last epoch.
        Without validation images there is none.
    :param patience: if the score has not improved in so many evaluations, the decay of the
        learning rate begins, and the run ends with it: at epoch :math:`e / (1 - d)` instead of
        ``num_epochs``, for epoch :math:`e` and ``decay_fraction`` :math:`d`. By default a run
        takes all epochs.
    :param on_epoch: called with each record of the history, such as ``wandb.log``, once it is in
        the checkpoint, in the process of rank 0. If it raises an error, the run ends with it and
        can be resumed.
    :param cuda_graph: whether a step on CUDA is captured in a graph and replayed: ``"auto"``, by
        which it is where that is possible, ``"on"`` or ``"off"``. Either kind of run can resume
        the other. See :func:`~ccvae_pyro.training.make_step`.
    :raises ValueError: if ``num_epochs``, ``epochs_per_evaluation`` or ``patience`` is not a whole
        number of at least 1, or ``decay_fraction`` not in [0, 1], or a weight to anneal not
        positive, or both ``decay_fraction`` and a scheduler are to set the learning rate.
    :raises ValueError: if the labels of the data are not those of the model: their names, kinds,
        classes and order; prevalences and means may differ. Or if a continuous label is more than
        a million of the model's standard deviations away from its mean.
    :raises ValueError: if the batches are shared by another number of processes than there are.
    :raises ValueError: if ``cuda_graph`` is ``"on"`` where there can be no graph.
    :raises RunError: if ``out`` holds a run, and neither ``resume`` nor ``overwrite`` is given, or
        another process trains there.
    :raises FloatingPointError: if the loss is not finite; the last checkpoint is kept.
    :raises CheckpointError: if the checkpoint is unreadable, lacks an entry, or belongs to another
        model, other data or another optimizer. Model and optimizer are left as they were.
    """
    if not isinstance(batches, Batches):
        batches = _as_batches(model, batches)
    if batches.world_size != distributed.world_size():
        raise ValueError(
            f"wanted batches shared by {distributed.world_size()} processes, the world size, got "
            f"{batches.world_size}"
        )
    num_epochs = plain_int(num_epochs, "num_epochs", minimum=1)
    period = plain_int(epochs_per_evaluation, "epochs_per_evaluation", minimum=1)
    if patience is not None:
        patience = plain_int(patience, "patience", minimum=1)
    if decay_fraction and isinstance(svi.optim, PyroLRScheduler):
        raise ValueError(
            "a scheduler sets the learning rate: wanted decay_fraction=0 with it, got "
            f"{decay_fraction}"
        )
    has_images = _num_validation_images(batches) > 0
    if patience is not None and not has_images:
        raise ValueError("patience needs validation images, got none")
    if not checkpoint_minutes > 0:
        raise ValueError(f"checkpoint_minutes must be positive, got {checkpoint_minutes}")
    schedule = make_schedule(svi, decay_fraction, final_weight)
    check_cuda_graph(model, svi, cuda_graph)
    out = Path(out)
    path, state = out / CHECKPOINT, RunState()
    about = {"data": fingerprint(batches.data), "settings": dict(settings or {})}
    is_scored = has_images and (keep_best or patience is not None)
    score = Score(batches.data) if is_scored and distributed.rank() == 0 else None

    def end(history: list[dict[str, float]]) -> int:
        return last_epoch(history, num_epochs, patience, decay_fraction)

    with ExitStack() as stack:
        with distributed.raising_together():
            if distributed.rank() == 0:
                stack.enter_context(lock_folder(out))
                check_folder(out, resume=resume, overwrite=overwrite)
        stack.enter_context(_without_warnings_of_nan())
        stack.enter_context(pyro.get_param_store().scope())  # the caller's stays as it is
        interrupts = stack.enter_context(deferred_interrupt())
        log = stack.enter_context(HistoryLog(out))
        if distributed.rank():
            pyro.set_rng_seed(torch.initial_seed() + distributed.rank())
        model.preprocessing = batches.data.preprocessing or model.preprocessing
        with distributed.raising_together():
            if resume and path.exists():
                state = resume_run(path, model, svi, len(batches), about["data"])
        _check_same_progress(state)
        _check_labels(model, batches.data)

        def save() -> None:
            nonlocal overwrite
            save_run(out / FIRST_CHECKPOINT if overwrite else path, model, svi, state, about)
            with distributed.raising_together():
                if distributed.rank() == 0:
                    if overwrite:
                        replace_run(out)
                    if settings:
                        write_settings(out, settings)
                    log.write(state.history)
            overwrite = False  # the other run is gone

        def save_best() -> None:
            with distributed.raising_together():
                if distributed.rank() == 0 and best_of(state.history) is state.history[-1]:
                    save_best_model(out / BEST, model, state, about)

        if state.epoch < num_epochs and distributed.rank() == 0 and not has_images:
            tqdm.write("there are no validation images: only the training loss is reported")
        stack.enter_context(_telling_labels(svi, batches))
        step = make_step(
            model,
            svi,
            cuda_graph=cuda_graph,
            received=batches.received if type(batches).epoch is Batches.epoch else None,
            scheduled=("classification_weight",) if final_weight is not None else (),
        )
        run = _Run(
            model,
            svi,
            batches,
            state,
            interrupts,
            save,
            60 * checkpoint_minutes,
            schedule,
            score,
            end,
            Watch(batches.data, num_epochs),
        )
        while state.epoch < run.last_epoch:
            model.forget_fitted()
            _train_until(run, step, min(run.last_epoch, (state.epoch // period + 1) * period))
            _evaluate(run)
            if keep_best:
                save_best()
            save()
            with distributed.raising_together():
                if on_epoch is not None and distributed.rank() == 0:
                    on_epoch(dict(state.history[-1]))
        interrupts.raise_received()
    return TrainingResult(state.history, state.reconstructions)


@contextmanager
def _telling_labels(svi: SVI, batches: Batches) -> Iterator[None]:
    """Tells an objective that no label is missing, if none is: it cannot see it on an accelerator.

    Not of batches that a subclass makes by its own rules.
    """
    objective: Any = getattr(svi.loss_and_grads, "__self__", None)
    before = getattr(objective, "are_all_labeled", None)
    labels = batches.data.labels[batches.data.splits["train"]]
    if before is None or type(batches).epoch is not Batches.epoch or np.isnan(labels).any():
        yield
        return
    objective.are_all_labeled = True
    try:
        yield
    finally:
        objective.are_all_labeled = before


def _as_batches(model: ImageModel, loaders: Loader | Mapping[str, Loader]) -> Batches:
    """Batches of the images of loaders, of the size that the one of training images has."""
    with torch.random.fork_rng(devices=[]):  # a DataLoader takes numbers, to shuffle or not
        data = collect(loaders, model.labels)
    if "train" not in data.splits:
        raise ValueError("wanted a loader of the split 'train', got none")
    loader = loaders["train"] if isinstance(loaders, Mapping) else loaders
    num_images = len(data.splits["train"])
    size = getattr(loader, "batch_size", None) or default_batch_size(num_images)
    return Batches(data, min(size, num_images), device=next(model.parameters()).device)


def _check_labels(model: ImageModel, data: LabeledImages) -> None:
    """Checks that the labels of the data, of all splits, are those of the model.

    A model without labels takes the images of any data.
    """
    if model.labels:
        check_same_labels(model.labels, data.label_types, "the data")
        check_distances(torch.tensor(data.labels), model.labels)


def _check_same_progress(state: RunState) -> None:
    """Checks that all processes resume at the same step."""
    progress = distributed.all_gather((state.epoch, state.step))
    if len(set(progress)) > 1:
        raise ValueError(
            "all processes must read the same checkpoint, got (epoch, step) "
            f"{', '.join(map(str, progress))}"
        )


@contextmanager
def _without_warnings_of_nan() -> Iterator[None]:
    """Hides Pyro's warnings of a loss that is not finite, which is an error here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Encountered (NaN|inf)")
        yield


@dataclass
class _Run:
    """What the parts of a run share.

    :param save: writes a checkpoint.
    :param seconds_per_save: the time after which it does between evaluations.
    :param schedule: sets what depends on the fraction of all steps that is done.
    :param score: of validation images, if the best model is to be known.
    :param end: the epoch that the run ends with, by its history.
    :param watch: warns of a model that is no better than a trivial baseline.
    """

    model: ImageModel
    svi: SVI
    batches: Batches
    state: RunState
    interrupts: Interrupts
    save: Callable[[], None]
    seconds_per_save: float
    schedule: Callable[[float], None]
    score: Score | None
    end: Callable[[list[dict[str, float]]], int]
    watch: Watch

    def __post_init__(self) -> None:
        self.last_epoch = self.end(self.state.history)

    def prepare_step(self) -> None:
        """Sets the learning rate and the weight of the next step."""
        self.schedule((self.state.epoch + self.state.step / len(self.batches)) / self.last_epoch)


def _train_until(run: _Run, step: Callable[..., Any], epoch: int) -> None:
    """Takes the remaining steps to the end of an epoch and saves a checkpoint.

    The epoch is complete when it is evaluated, those before it when their steps are done.

    :raises FloatingPointError: if the loss is not finite.
    :raises KeyboardInterrupt: after Ctrl-C, when a checkpoint is saved.
    :raises SystemExit: likewise, after SIGTERM.
    """
    state, batches, start = run.state, run.batches, time.perf_counter()
    is_main, num_steps = distributed.rank() == 0, len(run.batches)
    is_sent = isinstance(step, CapturedStep) and step.received is not None
    batches_of = batches.sent if is_sent else batches.epoch
    last = state.history[-1] if state.history else {}
    shown = {"accuracy": f"{last['accuracy']:.3f}"} if "accuracy" in last else {}
    run.prepare_step()
    with _progress(state, epoch, num_steps) as bar:
        while True:
            loss: Any = state.loss if is_main else 0.0
            for inputs in batches_of(state.epoch + 1, start=state.step):
                batch = partial(_to_batch, batches, inputs, is_sent)
                with _validation(batches, state.step), _not_finite_as_such(run, batch):
                    loss = loss + step(*inputs)
                state.step += 1
                run.prepare_step()
                bar.update()
                if not _is_time_to_read(loss, state.step, num_steps):
                    continue
                is_due = time.perf_counter() - start >= run.seconds_per_save
                is_interrupted, is_due = _read(loss, run, is_due)
                num_images = min(state.step * batches.batch_size, batches.num_images)
                shown["loss"] = f"{state.loss / num_images:.1f}"
                bar.set_postfix(shown, refresh=False)
                is_last = state.step == num_steps
                if is_last:
                    _step_scheduler(run.svi.optim, state.loss / batches.num_images)
                if (is_last and state.epoch + 1 == epoch) or is_due or is_interrupted:
                    state.seconds += time.perf_counter() - start
                    run.save()
                    start = time.perf_counter()
                if is_interrupted:
                    raise interruption(*run.interrupts.received[:1])
            if state.epoch + 1 == epoch:
                return
            state.epoch, state.step, state.loss = state.epoch + 1, 0, 0.0


def _to_batch(batches: Batches, inputs: tuple[Tensor, ...], is_sent: bool) -> tuple[Tensor, ...]:
    """The batch of a step.

    :param is_sent: whether the inputs of the step are those of a captured one.
    """
    if not is_sent:
        return inputs
    return batches.received(*(tensor.to(batches.device) for tensor in inputs))


def _progress(state: RunState, epoch: int, num_steps: int) -> tqdm[Any]:
    """A progress bar to the end of an epoch, in the process of rank 0."""
    is_one = epoch == state.epoch + 1
    return tqdm(
        total=(epoch - state.epoch) * num_steps,
        initial=state.step,
        desc=f"epoch {epoch}" if is_one else f"epochs {state.epoch + 1} to {epoch}",
        unit="batch",
        disable=distributed.rank() > 0,
    )


def _step_scheduler(optim: Any, loss: float) -> None:
    """Tells the optimizer, if it is a scheduler of Pyro, that an epoch is complete."""
    if isinstance(optim, PyroLRScheduler):
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
        optim.step(*[loss] * (optim.pt_scheduler_constructor is plateau))


def _validation(batches: Batches, step: int) -> AbstractContextManager[None]:
    """Pyro's validation of values: on an accelerator, where it waits, in the first step only."""
    is_cheap = torch.device(batches.device).type == "cpu" or step == 0
    return nullcontext() if is_cheap else pyro.validation_enabled(False)


def _is_time_to_read(loss: Any, step: int, num_steps: int) -> bool:
    is_free = is_free_to_read(loss) and distributed.world_size() == 1
    return is_free or step % STEPS_PER_READ == 0 or step == num_steps


@contextmanager
def _not_finite_as_such(run: _Run, batch: Callable[[], tuple[Tensor, ...]]) -> Iterator[None]:
    """Raises what follows from a value that is not finite as the error of a loss that is not.

    Pyro and PyTorch notice such a value at many places, and may describe it by the whole tensor.

    :param batch: returns the images, and the labels if there are any, that the block works on.
    """
    try:
        yield
    except (ValueError, ArithmeticError, RuntimeError, IndexError) as error:
        epoch, number = run.state.epoch + 1, min(run.state.step + 1, len(run.batches))
        check_finite(run.model, epoch, number)
        if str(error).startswith(_INVALID) or not _samples_finite(run.svi, batch()):
            raise not_finite("nan", epoch, number) from None
        raise


@torch.no_grad()
def _samples_finite(svi: SVI, batch: tuple[Tensor, ...]) -> bool:
    """Whether the guide samples finite values, as far as it comes."""
    with pyro.validation_enabled(False), poutine.trace() as tracing, suppress(Exception):
        svi.guide(*batch)
    sites = tracing.trace.nodes.values()
    sampled = [s["value"] for s in sites if s["type"] == "sample" and not s["is_observed"]]
    return all(bool(value.isfinite().all()) for value in sampled if isinstance(value, Tensor))


def _read(loss: Any, run: _Run, is_due: bool) -> tuple[bool, bool]:
    """Reads the loss summed over all processes.

    :param is_due: whether it is time for a checkpoint; all processes do as that of rank 0.
    :returns: whether a process was interrupted, and whether it is time for a checkpoint.
    """
    is_due = is_due and distributed.rank() == 0
    total, num_interrupts, num_due = distributed.all_reduce_sum(
        loss, len(run.interrupts.received), is_due
    )
    if not math.isfinite(total):
        raise not_finite(total, run.state.epoch + 1, run.state.step)
    run.state.loss = total
    return num_interrupts > 0, num_due > 0


def _evaluate(run: _Run) -> None:
    """Completes an epoch by a record of its metrics on the validation images."""
    state, batches = run.state, run.batches
    if distributed.rank() == 0:
        if _num_validation_images(batches):
            # The checkpoint is saved: nothing is lost by an interruption.
            with run.interrupts.at_once():
                images, _ = batch = next(batches.held_out("valid"))
                with _not_finite_as_such(run, lambda: batch):
                    evaluation = evaluate(run.model, batches.held_out("valid"))
                _add_record(run, _plain(evaluation, run.score))
                run.watch.look(evaluation, state.epoch + 1)
                number = len(state.history)
                # 1, 2, 4, 8, ...: most changes come first.
                if number.bit_count() == 1 or state.epoch + 1 == run.last_epoch:
                    _reconstruct(run.model, images, state, state.epoch + 1)
        else:
            _add_record(run, {})
    run.last_epoch = distributed.all_gather(run.last_epoch)[0]
    state.epoch, state.step, state.loss, state.seconds = state.epoch + 1, 0, 0.0, 0.0


def _add_record(run: _Run, metrics: dict[str, float]) -> None:
    """Adds a record to the history, by which the run may end earlier than planned."""
    state, planned = run.state, run.last_epoch
    loss = {"loss": state.loss / run.batches.num_images}
    record = loss | metrics | {"seconds": round(state.seconds, 3)}
    state.history.append({"epoch": state.epoch + 1, **record})
    shown = ", ".join(f"{name} {value:.4g}" for name, value in record.items())
    tqdm.write(f"epoch {state.epoch + 1}: {shown}")
    run.last_epoch = run.end(state.history)
    if run.last_epoch < planned:
        tqdm.write(
            f"the score no longer improves: the run ends with epoch {run.last_epoch}, and the "
            "decay of the learning rate with it"
        )


def _num_validation_images(batches: Batches) -> int:
    return len(batches.data.splits.get("valid", ()))


def _plain(evaluation: Evaluation, score: Score | None) -> dict[str, float]:
    metrics = evaluation.to_dict()
    del metrics["per_label"]
    return metrics if score is None else metrics | {"score": score(evaluation)}


def _reconstruct(model: ImageModel, images: Tensor, state: RunState, epoch: int) -> None:
    with suppress(UnsupportedError):
        reconstructed = reconstruct(model, images[:NUM_RECONSTRUCTIONS])
        state.reconstructions[epoch] = _to_uint8(reconstructed)


def _to_uint8(images: Tensor) -> Tensor:
    """Images in [0, 1] as uint8 on the CPU."""
    return images.clamp(0, 1).mul(255).round().byte().cpu()
