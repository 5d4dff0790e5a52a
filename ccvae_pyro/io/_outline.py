"""Models without memory: whether a config gives a model, before any of its sizes is allocated."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ccvae_pyro.components._fitted_part import FittedPart
from ccvae_pyro.models import ImageModel, from_config

# Attributes that the state dict holds, or that do not change what a model computes.
_NOT_COMPARED = frozenset(
    {
        "_parameters", "_buffers", "_modules", "training", "config", "preprocessing",
        "autocast_dtype", "_compiled_call_impl", "_backward_hooks", "_backward_pre_hooks",
        "_is_full_backward_hook", "_last_batch", "_has_checked_values", "predicts_by_bayes_rule",
        "_tree",
    }
)  # fmt: skip


def outline(config: dict[str, Any]) -> ImageModel:
    """The model of a config on the meta device, where tensors have shapes only.

    :raises ValueError: if there is no such model.
    """
    try:
        with torch.device("meta"):
            return from_config(config)
    except (TypeError, RuntimeError, OverflowError) as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def is_described_by_config(model: ImageModel) -> bool:
    """Whether the config of a model gives this model again, up to the values of its tensors.

    It does not if a component, a layer or one of their settings was replaced.
    """
    if model.config is None:
        return False
    try:
        other = outline(model.config)
    except ValueError:
        return False
    return _shapes(model) == _shapes(other) and _is_alike(model, other)


def _shapes(model: nn.Module) -> dict[str, Any]:
    return {name: getattr(value, "shape", None) for name, value in model.state_dict().items()}


def _is_alike(first: nn.Module, second: nn.Module) -> bool:
    """Whether two modules, and those within them, are of the same types with equal settings."""
    children, others = _children(first), _children(second)
    return (
        type(first) is type(second)
        and _have_equal_settings(first, second)
        and list(children) == list(others)
        and all(_is_alike(children[name], others[name]) for name in children)
    )


def _children(module: nn.Module) -> dict[str, nn.Module]:
    """The modules within a module; a checkpoint holds those fitted after training apart."""
    children = module.named_children()
    return {name: child for name, child in children if not isinstance(child, FittedPart)}


def _have_equal_settings(first: nn.Module, second: nn.Module) -> bool:
    settings, others = (
        {name: value for name, value in vars(module).items() if name not in _NOT_COMPARED}
        for module in (first, second)
    )
    try:
        return settings == others
    except (ValueError, RuntimeError):  # an array of the user in place of a number
        return False
