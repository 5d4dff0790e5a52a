"""Adam for Pyro's SVI, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pyro
import torch
from pyro.optim import PyroOptim
from torch import Tensor


class JointAdam(PyroOptim):
    """One Adam for all parameters, where :func:`pyro.optim.Adam` makes one for each.

    The steps are the same, in one kernel for all parameters of a rate instead of a dozen for each
    parameter. So is the state, by the parameters' names: a run goes on with the one from where it
    was with the other.

    :param options: :class:`torch.optim.Adam`'s, or a function from a parameter's name to these.
    """

    def __init__(self, options: dict[str, Any] | Callable[[str], dict[str, Any]]) -> None:
        super().__init__(partial(torch.optim.Adam, fused=True), options)
        self.adam: torch.optim.Adam | None = None

    def __call__(self, params: Iterable[Tensor], *args, **kwargs) -> None:
        """Takes a step of these parameters; their gradients, which it has used, it takes away."""
        params = set(params)
        self._take_in(params - self.optim_objs.keys())
        if self.adam is not None:
            self.adam.step(*args, **kwargs)
        for param in params:
            param.grad = None  # or else Pyro would write zeros, to which the next are added

    def get_state(self) -> dict[str, Any]:
        """The state of each parameter, by its name, as Pyro's optimizers have it."""
        store, state = pyro.get_param_store(), {}
        for group in self.adam.param_groups if self.adam else ():
            for param in group["params"]:
                own = {0: self.adam.state[param]} if param in self.adam.state else {}
                alone = {"state": own, "param_groups": [group | {"params": [0]}]}
                state[store.param_name(param)] = alone
        return state

    def _take_in(self, params: set[Tensor]) -> None:
        """Adds parameters to those of their options; what was kept of them is theirs."""
        store = pyro.get_param_store()
        for name, param in sorted((store.param_name(param), param) for param in params):
            alone = self._get_optim(param)
            if (kept := self._state_waiting_to_be_consumed.pop(name, None)) is not None:
                alone.load_state_dict(kept)
            if self.adam is None:
                self.adam = alone
            else:
                self._join(alone)
            self.optim_objs[param] = self.adam

    def _join(self, alone: torch.optim.Adam) -> None:
        (new,) = alone.param_groups
        self.adam.state.update(alone.state)
        for group in self.adam.param_groups:
            if all(group.get(name) == new[name] for name in new if name != "params"):
                group["params"] += new["params"]
                return
        self.adam.add_param_group(new)


def make_adam(learning_rate: float) -> JointAdam:
    """Adam, ten times as fast on the conditional prior and the classifier.

    These are a few numbers with no network behind them, and Adam moves a number by no more than
    its rate a step: at the networks' rate they are left behind by the encoder, whose
    characteristics drift away from the prior that edits and samples are taken from.

    :param learning_rate: the rate of the networks.
    """

    def options(name: str) -> dict[str, float]:
        is_number = "conditional_prior" in name or "classifier" in name
        return {"lr": learning_rate * (10 if is_number else 1)}

    return JointAdam(options)
