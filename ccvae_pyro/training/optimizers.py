"""Adam for Pyro's SVI as one optimizer, and the schedules of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pyro
import torch
from pyro.infer import SVI
from pyro.optim import PyroOptim
from torch import Tensor


class JointAdam(PyroOptim):
    """One Adam for all parameters, where :func:`pyro.optim.Adam` makes one for each.

    The updates are the same, by one fused kernel for all parameters of a learning rate in place of
    a dozen kernels for each parameter. The state has the same format, a state for each name: a run
    can be resumed with either optimizer.

    :param options: the options of :class:`torch.optim.Adam`, or a function from a parameter's name
        to them.
    """

    def __init__(self, options: dict[str, Any] | Callable[[str], dict[str, Any]]) -> None:
        super().__init__(partial(torch.optim.Adam, fused=True), options)
        self.adam: torch.optim.Adam | None = None

    def __call__(self, params: Iterable[Tensor], *args: Any, **kwargs: Any) -> None:
        """Updates the parameters by their gradients, and sets the gradients to None."""
        params = set(params)
        self._add(params - self.optim_objs.keys())
        if self.adam is not None:
            self.adam.step(*args, **kwargs)
        for param in params:
            param.grad = None  # Pyro would write zeros, and the next step would add to them

    def get_state(self) -> dict[str, Any]:
        """The state of each parameter by its name, in the format of Pyro's optimizers."""
        store: Any = pyro.get_param_store()
        state: dict[str, Any] = {}
        adam = self.adam
        for group in adam.param_groups if adam is not None else ():
            for param in group["params"]:
                moments = {0: adam.state[param]} if adam and param in adam.state else {}
                state[store.param_name(param)] = {
                    "state": moments,
                    "param_groups": [group | {"params": [0]}],
                }
        return state

    def _add(self, params: set[Tensor]) -> None:
        """Adds new parameters with their options, and with their state if one was loaded."""
        store = pyro.get_param_store()
        for name, param in sorted((store.param_name(param), param) for param in params):
            single = self._get_optim(param)
            if (loaded := self._state_waiting_to_be_consumed.pop(name, None)) is not None:
                single.load_state_dict(loaded)
            if self.adam is None:
                self.adam = single
            else:
                _merge(self.adam, single)
            self.optim_objs[param] = self.adam


def make_adam(learning_rate: float) -> JointAdam:
    """A :class:`JointAdam` with ten times the learning rate for conditional prior and classifier.

    These have a few scalars per label, and Adam changes a scalar by no more than the learning rate
    in a step. At the learning rate of the networks they would lag behind the encoder, and edits
    and samples, which come from the prior, would not match the encoder's latents.

    :param learning_rate: the learning rate of the networks.
    """

    def options(name: str) -> dict[str, Any]:
        is_scalar = "conditional_prior" in name or "classifier" in name
        return {"lr": learning_rate * (10 if is_scalar else 1)}

    return JointAdam(options)


def make_schedule(
    svi: SVI, decay_fraction: float, final_weight: float | None
) -> Callable[[float], None]:
    """The learning-rate decay and the annealing of the classification weight, as one function.

    It is to be called before each step with the fraction of all steps that is done. Both follow
    from that fraction alone, so that nothing but the number of steps is needed to resume a run.

    :param decay_fraction: as in :func:`~ccvae_pyro.train`.
    :param final_weight: as in :func:`~ccvae_pyro.train`.
    :raises ValueError: if ``decay_fraction`` is not in [0, 1], or a weight is not positive.
    """
    if not 0 <= decay_fraction <= 1:
        raise ValueError(f"decay_fraction must be between 0 and 1, got {decay_fraction}")
    # SVI keeps no reference to its objective but for this bound method.
    objective: Any = getattr(svi.loss_and_grads, "__self__", None)
    first_weight = getattr(objective, "classification_weight", 0.0)
    if final_weight is not None and not min(first_weight, final_weight) > 0:
        raise ValueError(
            "annealing needs two positive weights, got classification_weight "
            f"{first_weight} and final_weight {final_weight}"
        )

    def set_for_step(fraction: float) -> None:
        if decay_fraction:
            _set_learning_rate(svi.optim, min(1.0, (1 - fraction) / decay_fraction))
        if final_weight is not None:
            annealed = min(1.0, 2 * fraction)
            objective.classification_weight = first_weight * (
                (final_weight / first_weight) ** annealed
            )

    return set_for_step


def _set_learning_rate(optim: Any, factor: float) -> None:
    """Sets the learning rates of the next step to a multiple of the initial ones.

    A scheduler of :mod:`torch.optim.lr_scheduler` cannot do it: it takes an optimizer with all its
    parameters, and Pyro's optimizers are made at the first step that uses a parameter, one for
    each. The initial learning rates are kept where these schedulers keep them.
    """
    for optimizer in set(optim.optim_objs.values()):
        for group in getattr(optimizer, "param_groups", ()):  # a Pyro scheduler has none
            group["lr"] = factor * group.setdefault("initial_lr", group["lr"])


def _merge(adam: torch.optim.Adam, single: torch.optim.Adam) -> None:
    """Adds the parameter of an Adam of its own to a group of the same options."""
    (new,) = single.param_groups
    adam.state.update(single.state)
    for group in adam.param_groups:
        if all(group.get(name) == new[name] for name in new if name != "params"):
            group["params"] += new["params"]
            return
    adam.add_param_group(new)
