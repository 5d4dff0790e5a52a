"""Data-parallel training by several processes, each on its share of every batch.

``torchrun`` starts the processes; a process that was started otherwise has rank 0 in a world of
size 1. :class:`~torch.nn.parallel.DistributedDataParallel` sums the gradients.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from pyro.infer import ELBO, SVI
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from ccvae_pyro.errors import PeerError

# The other processes wait this long for the first one to prepare the data or to evaluate.
TIMEOUT = timedelta(hours=1)

T = TypeVar("T")


def rank() -> int:
    """The rank of this process: 0 if there is only one."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Initializes the process group if ``torchrun`` started this process; gives its device.

    If a process leaves the block by an error, the others, whose next exchange with it fails, raise
    a :exc:`PeerError` with its message.

    :param device: the device to train on; for a CUDA device without an index, each process takes
        the one of its local rank.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield device
        return
    if device.type == "cuda":
        if device.index is None:
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    # DistributedDataParallel imports this module later. Its functions would then keep the process
    # group as a default argument, whose threads outlive the group and may abort at exit.
    importlib.import_module("torch.distributed.nn.functional")
    backend = "nccl" if device.type == "cuda" else "gloo"
    store, own_rank, size = next(rendezvous("env://"))
    dist.init_process_group(backend, store=store, rank=own_rank, world_size=size, timeout=TIMEOUT)
    try:
        with _known_to_others(store):
            yield device
    finally:
        # DistributedDataParallel is a part of reference cycles, and holds the group.
        gc.collect()
        dist.destroy_process_group()


@contextmanager
def _known_to_others(store: Any) -> Iterator[None]:
    """Leaves the message of the first error with the store, and raises it in other processes."""
    key = f"error-{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"
    try:
        yield
    except PeerError:
        raise
    except BaseException as error:
        is_follow_up = isinstance(error, RuntimeError) and store.check([key])
        if is_follow_up:  # the connection to the process that failed was closed
            raise PeerError(store.get(key).decode()) from error
        if not store.check([key]):
            store.set(key, _message(error, rank()))
        raise


@contextmanager
def raising_together() -> Iterator[None]:
    """Runs a block in every process: if it raises an error in one, all of them raise.

    That process raises its error, and the others a :exc:`PeerError` with its message, rather than
    to wait for a process that has ended. The block itself must not exchange anything.
    """
    error = None
    try:
        yield
    except Exception as raised:
        error = raised
    _exchange(error)


@contextmanager
def local_main_process_first() -> Iterator[None]:
    """Runs the block in the process of local rank 0 first, and in the others after it.

    If it raises an error in one process, all of them raise: see :func:`raising_together`.
    """
    is_main = int(os.environ.get("LOCAL_RANK", 0)) == 0
    if not is_main:
        _exchange(None)
    error = None
    try:
        yield
    except Exception as raised:
        error = raised
    if is_main:
        _exchange(error)
    _exchange(error)


def _exchange(error: Exception | None) -> None:
    """Waits for all processes; raises the error of this one, or else that of another."""
    messages = all_gather(None if error is None else _message(error, rank()))
    if error is not None:
        raise error
    for message in messages:
        if message is not None:
            raise PeerError(message)


def _message(error: BaseException, of_rank: int) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return f"{lines[0]} (in the process of rank {of_rank})"


def all_reduce_sum(*values: Tensor | float) -> list[float]:
    """The sum of each value over all processes."""
    if world_size() == 1:
        return [float(value) for value in values]
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    sums = torch.tensor([float(value) for value in values], dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    return [float(value) for value in sums.tolist()]


def all_gather(value: T) -> list[T]:
    """The values of all processes, by rank."""
    values = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(values, value)
    return values


def loss_and_grads(model: nn.Module, svi: SVI) -> Callable[..., Any]:
    """A function from this process's share of a batch to its loss, which adds the gradient.

    The gradient is that of the loss of the whole batch. A loss is a sum over images, so that it
    does not matter how labeled and unlabeled images are shared out.

    :param model: the module with all parameters of SVI's model and guide.
    :raises ValueError: if there are several processes, and the objective is none of Pyro's ELBOs.
    """
    if world_size() == 1:
        return lambda *batch: svi.loss_and_grads(svi.model, svi.guide, *batch)
    objective = getattr(svi.loss_and_grads, "__self__", None)
    if not isinstance(objective, ELBO):
        raise ValueError(
            f"with several processes SVI's loss must be one of Pyro's ELBOs, got {svi.loss}"
        )
    # Small buckets, so that gradients are sent while others are still computed.
    options: dict[str, Any] = {"bucket_cap_mb": 1, _buffer_sync_option(): False}
    parallel = DistributedDataParallel(_Loss(model, svi, objective), **options)

    def loss_and_grads_of_share(*batch: Tensor) -> Tensor:
        loss: Tensor = parallel(*batch)
        (loss * world_size()).backward()  # DistributedDataParallel averages over the processes
        return loss.detach()

    return loss_and_grads_of_share


def _buffer_sync_option() -> str:
    """The option by which DistributedDataParallel sends buffers, all constant here, every step."""
    known = inspect.signature(DistributedDataParallel).parameters
    return "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"


class _Loss(nn.Module):
    """The loss as a module that has the parameters of the model, for DistributedDataParallel."""

    def __init__(self, model: nn.Module, svi: SVI, objective: Any) -> None:
        super().__init__()
        self.model = model
        self.svi, self.objective = svi, objective

    def forward(self, *batch: Tensor) -> Tensor:
        is_empty = not len(batch[0])
        if is_empty:
            # The share of the last batch of an epoch may be empty. The other processes wait for
            # its gradient all the same: zero times that of a blank image.
            batch = tuple(array.new_zeros(1, *array.shape[1:]) for array in batch)
        model, guide = self.svi.model, self.svi.guide
        loss: Tensor = self.objective.differentiable_loss(model, guide, *batch)
        return 0.0 * loss if is_empty else loss
