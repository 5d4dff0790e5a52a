"""Pyro's objective of traces, whose values stay where they were computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pyro.infer import Trace_ELBO
from pyro.util import warn_if_nan
from torch import Tensor

from ccvae_pyro.distributions._device import is_free_to_read


class TensorELBO(Trace_ELBO):
    """A :class:`~pyro.infer.Trace_ELBO` whose loss stays on an accelerator as a tensor.

    Pyro's makes a number of it at once, for which a host waits until the accelerator has computed
    all that it was given, and hands it nothing meanwhile. On a CPU it is a number here too.

    Subclasses give the loss of two traces as ``_differentiable_loss_particle``.
    """

    def loss_and_grads(self, model: Callable, guide: Callable, *args, **kwargs) -> Any:
        """The loss, whose gradient it adds to that of the parameters."""
        total: Any = 0.0
        for traces in self._get_traces(model, guide, args, kwargs):
            loss, surrogate = self._differentiable_loss_particle(*traces)
            if surrogate.requires_grad:
                (surrogate / self.num_particles).backward(retain_graph=self.retain_graph)
            total = total + loss / self.num_particles
        if not is_free_to_read(total):
            return total
        number: Any = float(total)
        return warn_if_nan(number, "loss")

    def differentiable_loss(self, model: Callable, guide: Callable, *args, **kwargs) -> Any:
        """The loss, of which one may take the gradient."""
        total: Any = 0.0
        for traces in self._get_traces(model, guide, args, kwargs):
            loss, surrogate = self._differentiable_loss_particle(*traces)
            total = total + (loss + (surrogate - surrogate.detach())) / self.num_particles
        return total

    @torch.no_grad()
    def loss(self, model: Callable, guide: Callable, *args, **kwargs) -> float:
        """The loss as a number."""
        return float(self.differentiable_loss(model, guide, *args, **kwargs))

    def _differentiable_loss_particle(
        self, model_trace: Any, guide_trace: Any
    ) -> tuple[Any, Tensor]:
        return super()._differentiable_loss_particle(model_trace, guide_trace)
