"""An epoch of Pyro's SVI, step by step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.infer import SVI
from pyro.infer.util import zero_grads
from torch import Tensor, nn
from tqdm import tqdm

from ccvae_pyro.data.batches import Batches
from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.training import distributed as ranks

LOOK_EVERY = 20  # steps, where a look at the loss has to wait for an accelerator, or for others


def stepper(model: nn.Module, svi: SVI) -> Callable[..., Any]:
    """What takes a step with a batch, or a rank's share of it, and gives its loss.

    That is :meth:`pyro.infer.SVI.step`, but where there are other ranks, or an accelerator, for
    whose loss it would wait.
    """
    is_on_cpu = next(model.parameters()).device.type == "cpu"
    if is_on_cpu and ranks.num_ranks() == 1:
        return svi.step
    loss_and_grads = ranks.loss_and_grads(model, svi)

    def step(*batch: Tensor) -> Any:
        with poutine.trace(param_only=True) as captured:
            loss = loss_and_grads(*batch)
        sites: Any = captured.trace.nodes.values()
        parameters = {site["value"].unconstrained() for site in sites}
        svi.optim(parameters)
        zero_grads(parameters)
        return loss

    return step


def train_epoch(
    step: Callable[..., Any],
    batches: Batches,
    state: dict[str, Any],
    interrupts: list,
    prepare: Callable[[], None],
) -> bool:
    """Takes the steps that are left of an epoch, or those until Ctrl-C; says whether to stop.

    :param step: see :func:`stepper`.
    :param prepare: called after each step, for the next.
    :raises FloatingPointError: if the loss is not finite.
    """
    number, start, should_stop = state["epoch"] + 1, time.perf_counter(), False
    loss: Any = state["loss"] if ranks.rank() == 0 else 0.0
    shown = {"accuracy": f"{state['history'][-1]['accuracy']:.3f}"} if state["history"] else {}
    with tqdm(
        total=len(batches),
        initial=state["step"],
        desc=f"epoch {number}",
        unit="batch",
        disable=ranks.rank() > 0,
    ) as bar:
        for batch in batches.epoch(number, start=state["step"]):
            with _checks(batches, state["step"]):
                loss = loss + step(*batch)
            state["step"] += 1
            prepare()
            bar.update()
            if not _is_time_to_look(loss, state["step"], len(batches)):
                continue
            state["loss"], should_stop = _look(loss, interrupts, state)
            num_images = min(state["step"] * batches.batch_size, batches.num_images)
            shown["loss"] = f"{state['loss'] / num_images:.1f}"
            bar.set_postfix(shown, refresh=False)
            if should_stop:
                break
    state["seconds"] += time.perf_counter() - start
    return should_stop


def _checks(batches: Batches, number: int) -> AbstractContextManager[None]:
    """Pyro's checks of values: at an epoch's first step only, where they have a host wait."""
    is_cheap = torch.device(batches.device).type == "cpu" or number == 0
    return nullcontext() if is_cheap else pyro.validation_enabled(False)


def _is_time_to_look(loss: Any, number: int, num_steps: int) -> bool:
    is_free = is_free_to_read(loss) and ranks.num_ranks() == 1
    return is_free or number % LOOK_EVERY == 0 or number == num_steps


def _look(loss: Any, interrupts: list, state: dict[str, Any]) -> tuple[float, bool]:
    """The loss of all ranks, and whether one of them was asked to stop."""
    total, num_interrupts = ranks.total(loss, len(interrupts))
    if not math.isfinite(total):
        raise FloatingPointError(
            f"the loss became {total} in epoch {state['epoch'] + 1}, batch {state['step']}: a "
            "lower learning rate may help; the last checkpoint is as it was"
        )
    return total, num_interrupts > 0
