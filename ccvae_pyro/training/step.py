"""A training step: that of Pyro's SVI, without waiting for an accelerator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from pyro import poutine
from pyro.infer import SVI
from pyro.infer.util import zero_grads
from torch import Tensor, nn

from ccvae_pyro.training import distributed
from ccvae_pyro.training.captured_step import CapturedStep, GraphRecorder
from ccvae_pyro.training.optimizers import JointAdam

CUDA_GRAPH = ("auto", "on", "off")


def make_step(
    model: nn.Module,
    svi: SVI,
    *,
    cuda_graph: str = "auto",
    received: Callable[..., tuple[Tensor, ...]] | None = None,
    scheduled: Sequence[str] = (),
) -> Callable[..., Any]:
    """A function that takes a step with a batch, or this process's share of it; returns the loss.

    With one process on a CPU that is :meth:`pyro.infer.SVI.step`. Otherwise it does the same, but
    returns the loss as a tensor: to make it a number, the host would wait for the accelerator.

    On CUDA, with one process and :class:`~ccvae_pyro.JointAdam`, the first three steps with a size
    of batches are eager. Then the step, with its loss, its gradients and its update, is captured
    in a CUDA graph, which each further step replays with the values of its batch. Learning rates
    may change from step to step. A step that makes the host wait cannot be captured: a warning
    names the operation, and all further steps are eager.

    :param cuda_graph: ``"auto"``; ``"on"``, by which a step that cannot be captured is an error;
        or ``"off"``, by which all steps are eager.
    :param received: the batch from the arguments of a captured step, as
        :meth:`ccvae_pyro.data.Batches.received`; it is captured too. By default they are the
        batch. An eager step always takes a batch.
    :param scheduled: names of attributes of the objective that change from step to step, such as
        ``"classification_weight"``. A captured step reads them as tensors.
    :raises ValueError: if ``cuda_graph`` is none of these, or is ``"on"`` where there can be no
        graph; says why.
    """
    check_cuda_graph(model, svi, cuda_graph)
    device = next(model.parameters()).device
    reason = _why_no_graph(device.type, svi)
    if device.type == "cpu" and distributed.world_size() == 1:
        eager: Callable[..., Any] = svi.step
        return eager
    step = step_without_waiting(model, svi)
    if cuda_graph == "off":
        return step
    if reason is None:
        return CapturedStep(
            step,
            svi,
            model,
            GraphRecorder(device),
            received=received,
            scheduled=scheduled,
            is_required=cuda_graph == "on",
        )
    if device.type == "cuda" and distributed.world_size() == 1:
        warnings.warn(f"training steps run without a CUDA graph: {reason}", stacklevel=2)
    return step


def check_cuda_graph(model: nn.Module, svi: SVI, cuda_graph: str) -> None:
    """Checks the argument of :func:`make_step`.

    :raises ValueError: if it is none of its values, or ``"on"`` where there can be no graph.
    """
    if cuda_graph not in CUDA_GRAPH:
        raise ValueError(f"cuda_graph must be auto, on or off, got {cuda_graph!r}")
    reason = _why_no_graph(next(model.parameters()).device.type, svi)
    if cuda_graph == "on" and reason is not None:
        raise ValueError(f"a step cannot be captured in a CUDA graph: {reason}")


def step_without_waiting(model: nn.Module, svi: SVI) -> Callable[..., Any]:
    """A function that takes an eager step, as :meth:`pyro.infer.SVI.step`, but reads no loss."""
    loss_and_grads = distributed.loss_and_grads(model, svi)

    def step(*batch: Tensor) -> Any:
        with poutine.trace(param_only=True) as captured:
            loss = loss_and_grads(*batch)
        sites: Any = captured.trace.nodes.values()
        parameters = {site["value"].unconstrained() for site in sites}
        svi.optim(parameters)
        zero_grads(parameters)
        return loss

    return step


def _why_no_graph(device_type: str, svi: SVI) -> str | None:
    """The reason why steps are not captured in a CUDA graph; None if they are."""
    if device_type != "cuda":
        return f"wanted a model on CUDA, got {device_type}"
    if distributed.world_size() > 1:
        return f"wanted one process, got {distributed.world_size()}"
    if not isinstance(svi.optim, JointAdam):
        return f"wanted the optimizer JointAdam, got {type(svi.optim).__name__}"
    return None
