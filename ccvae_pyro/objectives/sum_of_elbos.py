"""Objectives that are a sum of bounds, each on some of what a batch has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pyro.infer import Trace_ELBO
from torch import Tensor


class SumOfELBOs(Trace_ELBO):
    """A sum of objectives of Pyro's, by any entrance."""

    def terms(self, x: Tensor, y: Tensor | None = None) -> Iterator[tuple[Any, tuple]]:
        """Each objective, and what model and guide are called with."""
        raise NotImplementedError

    def loss(self, model: Callable, guide: Callable, *args, **kwargs) -> float:
        """The objective, negative."""
        return sum(e.loss(model, guide, *of) for e, of in self.terms(*args, **kwargs))

    def loss_and_grads(self, model: Callable, guide: Callable, *args, **kwargs) -> float:
        """The objective, negative, whose gradient it adds to that of the parameters."""
        return sum(e.loss_and_grads(model, guide, *of) for e, of in self.terms(*args, **kwargs))

    def differentiable_loss(self, model: Callable, guide: Callable, *args, **kwargs) -> Any:
        """The objective, negative, of which one may take the gradient."""
        return sum(
            e.differentiable_loss(model, guide, *of) for e, of in self.terms(*args, **kwargs)
        )
