"""Adam for Pyro's SVI as one optimizer, and the schedules of a run."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pyro
import torch
from pyro.infer import SVI
from pyro.optim import PyroOptim
from torch import Tensor

# The parameters that a classifier or a conditional prior holds itself, as "ccvae.classifier.bias",
# or by kinds of labels. Those of a network within are one name further down.
_OF_LABELS = re.compile(r"[^.]+\.(classifier|conditional_prior)\.(of_group\.\d+\.)?[^.]+")


class JointAdam(PyroOptim):
    """One Adam for all parameters, where :func:`pyro.optim.Adam` makes one for each.

    The updates are the same, by one fused kernel for all parameters of a learning rate in place of
    a dozen kernels for each parameter; where PyTorch has no such kernel for a device or a dtype,
    by its ordinary ones. The state has the same format, a state for each name: a run can be
    resumed with either optimizer, and on another device.

    :param options: the options of :class:`torch.optim.Adam`, or a function from a parameter's name
        to them.
    """

    def __init__(self, options: dict[str, Any] | Callable[[str], dict[str, Any]]) -> None:
        super().__init__(_make_single, options)
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
        for group in self.param_groups:
            for param in group["params"]:
                moments = {0: adam.state[param]} if adam and param in adam.state else {}
                state[store.param_name(param)] = {
                    "state": moments,
                    "param_groups": [group | {"params": [0]}],
                }
        return state

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The parameters of each learning rate, and their options; none before the first step."""
        return [] if self.adam is None else self.adam.param_groups

    @contextmanager
    def capturable(self) -> Iterator[None]:
        """Within the block, a step can be captured in a CUDA graph: it reads no state on the host.

        Outside of it options and state have the format of an eager run, so that a checkpoint of
        either can be resumed by the other.
        """
        before = [group["capturable"] for group in self.param_groups]
        for group in self.param_groups:
            group["capturable"] = True
            for param in group["params"]:
                state = self.adam.state.get(param, {}) if self.adam else {}
                if "step" in state:
                    state["step"] = state["step"].to(param.device)
        try:
            yield
        finally:
            for group, was in zip(self.param_groups, before, strict=True):
                group["capturable"] = was

    def _add(self, params: set[Tensor]) -> None:
        """Adds new parameters with their options, and with their state if one was loaded."""
        store = pyro.get_param_store()
        for name, param in sorted((store.param_name(param), param) for param in params):
            single = self._get_optim(param)
            if (loaded := self._state_waiting_to_be_consumed.pop(name, None)) is not None:
                # The kernels are those of this device, whatever the state was saved on.
                kernels = {key: single.param_groups[0][key] for key in ("fused", "foreach")}
                groups = [group | kernels for group in loaded["param_groups"]]
                single.load_state_dict(loaded | {"param_groups": groups})
            if self.adam is None:
                self.adam = single
            else:
                _merge(self.adam, single)
            self.optim_objs[param] = self.adam


def make_adam(learning_rate: float, *, label_rate: float | None = None) -> JointAdam:
    """A :class:`JointAdam` with a higher learning rate for conditional prior and classifier.

    These have a few scalars per label, and Adam changes a scalar by no more than the learning rate
    in a step. At the learning rate of the networks they would lag behind the encoder, and edits
    and samples, which come from the prior, would not match the encoder's latents.

    The rate is that of the parameters which a classifier or a conditional prior of a model holds
    itself. If yours has a network in it, as ``classifier.network``, that network learns at the
    rate of the other networks.

    :param learning_rate: the learning rate of the networks, positive.
    :param label_rate: the learning rate of these scalars; by default, ten times the other.
    :raises ValueError: if a learning rate is not positive.
    """
    rates = learning_rate, 10 * learning_rate if label_rate is None else label_rate
    if not all(0 < rate < math.inf for rate in rates):
        raise ValueError(f"wanted learning rates that are positive and finite, got {rates}")

    def options(name: str) -> dict[str, Any]:
        return {"lr": rates[bool(_OF_LABELS.fullmatch(name))]}

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


def _make_single(params: list[Tensor], **options: Any) -> torch.optim.Adam:
    """An Adam of one parameter, of fused kernels where there are any and no others are wanted."""
    (param,) = params
    is_free = not {"fused", "foreach", "differentiable"} & options.keys()
    if is_free and has_fused_adam(param.device, param.dtype):
        options = options | {"fused": True}
    return torch.optim.Adam(params, **options)


@cache
def has_fused_adam(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether PyTorch has Adam as one kernel here: found by trying, for it publishes no list."""
    param = torch.zeros(1, device=device, dtype=dtype, requires_grad=True)
    param.grad = torch.zeros_like(param)
    try:
        torch.optim.Adam([param], fused=True).step()
    except (RuntimeError, NotImplementedError):
        return False
    return True


def _merge(adam: torch.optim.Adam, single: torch.optim.Adam) -> None:
    """Adds the parameter of an Adam of its own to a group of the same options."""
    (new,) = single.param_groups
    adam.state.update(single.state)
    for group in adam.param_groups:
        if all(group.get(name) == new[name] for name in new if name != "params"):
            group["params"] += new["params"]
            return
    adam.add_param_group(new)
