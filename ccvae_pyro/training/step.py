"""A training step: that of Pyro's SVI, without waiting for an accelerator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyro import poutine
from pyro.infer import SVI
from pyro.infer.util import zero_grads
from torch import Tensor, nn

from ccvae_pyro.training import distributed


def make_step(model: nn.Module, svi: SVI) -> Callable[..., Any]:
    """A function that takes a step with a batch, or this process's share of it; returns the loss.

    With one process on a CPU that is :meth:`pyro.infer.SVI.step`. Otherwise it does the same, but
    returns the loss as a tensor: to make it a number, the host would wait for the accelerator.
    """
    is_on_cpu = next(model.parameters()).device.type == "cpu"
    if is_on_cpu and distributed.world_size() == 1:
        step: Callable[..., Any] = svi.step
        return step
    loss_and_grads = distributed.loss_and_grads(model, svi)

    def step_without_waiting(*batch: Tensor) -> Any:
        with poutine.trace(param_only=True) as captured:
            loss = loss_and_grads(*batch)
        sites: Any = captured.trace.nodes.values()
        parameters = {site["value"].unconstrained() for site in sites}
        svi.optim(parameters)
        zero_grads(parameters)
        return loss

    return step_without_waiting
