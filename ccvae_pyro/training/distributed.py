"""The processes that train one model together, each on its share of every batch.

They are started by ``torchrun``; a process that is alone is rank 0 of 1. The gradients are summed
by PyTorch's :class:`~torch.nn.parallel.DistributedDataParallel`.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from pyro.infer import ELBO, SVI
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=1)  # for the first process, which draws or decodes images, and measures


def rank() -> int:
    """The number of this process."""
    return dist.get_rank() if dist.is_initialized() else 0


def num_ranks() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Joins the processes that ``torchrun`` started, if it did; gives this one's device.

    :param device: of a CUDA device without a number, each process on a machine takes its own.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield device
        return
    if device.type == "cuda":
        if device.index is None:
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    # Imported later, as DistributedDataParallel does, it keeps the processes' group for the
    # defaults of its functions, whose threads then outlive it, and now and then abort at exit.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield device
    finally:
        dist.destroy_process_group()


@contextmanager
def first_on_machine() -> Iterator[None]:
    """Lets the first process of each machine go ahead, and the others after it."""
    is_first = int(os.environ.get("LOCAL_RANK", 0)) == 0
    if num_ranks() > 1 and not is_first:
        dist.barrier()
    yield
    if num_ranks() > 1 and is_first:
        dist.barrier()


def total(*values: Any) -> list[float]:
    """The sum of each of these numbers over all ranks."""
    if num_ranks() == 1:
        return [float(value) for value in values]
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    sums = torch.tensor([float(value) for value in values], dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    return sums.tolist()


def gather(value: Any) -> list[Any]:
    """What each rank has, by rank."""
    values = [value] * num_ranks()
    if num_ranks() > 1:
        dist.all_gather_object(values, value)
    return values


def loss_and_grads(model: nn.Module, svi: SVI) -> Callable[..., Any]:
    """What takes a rank's share of a batch to its loss, and adds the gradient of all shares' sum.

    A loss is a sum over images, so that those with labels and those without count as often as in
    one batch of all.

    :param model: has all parameters that SVI's model and guide use, and each share uses them.
    :raises ValueError: if there are other ranks, and the objective is none of Pyro's.
    """
    if num_ranks() == 1:
        return lambda *batch: svi.loss_and_grads(svi.model, svi.guide, *batch)
    objective: Any = getattr(svi.loss_and_grads, "__self__", None)
    if not isinstance(objective, ELBO):
        raise ValueError(f"with several ranks, SVI's loss has to be an ELBO, got {svi.loss}")
    # In small pieces, the first of which are on their way while others are still computed.
    options: Any = {"bucket_cap_mb": 1, _sync_buffers(): False}
    shared = DistributedDataParallel(_Loss(model, svi, objective), **options)

    def of_share(*batch: Tensor) -> Tensor:
        loss = shared(*batch)
        (loss * num_ranks()).backward()  # of which the mean over ranks is taken
        return loss.detach()

    return of_share


def _sync_buffers() -> str:
    """What the option is called by which buffers, constants here, are sent at every step."""
    known = inspect.signature(DistributedDataParallel).parameters
    return "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"


class _Loss(nn.Module):
    """An objective as a module that has the parameters of a model."""

    def __init__(self, model: nn.Module, svi: SVI, objective: Any) -> None:
        super().__init__()
        self.model = model
        self.of_batch = lambda *batch: objective.differentiable_loss(svi.model, svi.guide, *batch)

    def forward(self, *batch: Tensor) -> Tensor:
        if len(batch[0]):
            return self.of_batch(*batch)
        # Nothing is left for this rank of an epoch's last batch, but the others wait for its
        # gradient: that of a blank image, which counts for nothing.
        return 0.0 * self.of_batch(*(array.new_zeros(1, *array.shape[1:]) for array in batch))
