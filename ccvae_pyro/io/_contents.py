"""What a checkpoint may contain: what can be read again, with the types that a model needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ccvae_pyro.labels import Label

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)


def storable(value: Any, key: str) -> Any:
    """A value as a checkpoint holds it: tensors, plain values and collections of them.

    Scalars of numpy become plain values, and its arrays tensors.

    :param key: the value's key in the checkpoint, for the error message.
    :raises ValueError: if a checkpoint cannot hold it, because to read it would execute code.
    """
    if isinstance(value, np.ndarray):
        value = _as_tensor(value)
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Tensor) or type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return {storable(k, key): storable(each, f"{key}.{k}") for k, each in value.items()}
    if type(value) in (list, tuple, set, torch.Size):
        return type(value)(storable(each, f"{key}[{i}]") for i, each in enumerate(value))
    raise ValueError(
        f"{key} is a {type(value).__name__}: a checkpoint holds tensors and plain values only"
    )


def _as_tensor(array: np.ndarray) -> Any:
    """A numerical array as a tensor; another one as it is."""
    try:
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    except TypeError:
        return array


def check_entries(contents: Any) -> None:
    """Checks the types of what a checkpoint says about its model.

    :raises ValueError: if an entry is missing or has another type; the message names it.
    """
    if not isinstance(contents, dict):
        raise ValueError(f"it holds a {type(contents).__name__}")
    if "model" not in contents:
        raise ValueError("`model` is missing")
    state = contents["model"]
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError("`model` is no dict of tensors")
    for name, value in state.items():
        if name.endswith("_extra_state"):  # whatever a module of the user returns
            continue
        if not isinstance(value, Tensor) or value.is_meta:
            raise ValueError(f"`model` has no tensor as {name}")
    for key in ("config", "recipe"):
        config = contents.get(key)
        if not isinstance(config, dict | None):
            raise ValueError(f"`{key}` is a {type(config).__name__}, wanted a dict")
        if config:
            _check_labels(config.get("labels"), f"{key}.labels")
    if not isinstance(contents.get("predicts_by_bayes_rule", False), bool):
        raise ValueError("`predicts_by_bayes_rule` is neither true nor false")
    if "labels" in contents:
        _check_labels(contents["labels"], "labels")


def _check_labels(labels: Any, key: str) -> None:
    if not isinstance(labels, list) or not all(map(_is_description, labels)):
        raise ValueError(f"`{key}` is missing, or no list of labels")


def _is_description(label: Any) -> bool:
    if not isinstance(label, dict) or not isinstance(label.get("name"), str):
        return False
    classes = label.get("classes", ())
    return isinstance(classes, list | tuple) and all(isinstance(each, str) for each in classes)


def check_tensors(state: Mapping[str, Any], model: nn.Module) -> None:
    """Checks the values of a model's state dict, or of one that is loaded into it.

    :raises ValueError: if a parameter is not finite, a buffer is NaN, or a tensor is of another
        kind than that of the model; the message names it.
    """
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    present = model.state_dict()
    for name, value in state.items():
        own = present.get(name)
        if not isinstance(value, Tensor) or not isinstance(own, Tensor):
            continue
        if _kind(value) != _kind(own):
            raise ValueError(f"{name} is of dtype {value.dtype}, wanted {own.dtype}")
        if not value.is_floating_point() or value.layout != torch.strided:
            continue
        is_invalid = ~value.isfinite() if name in parameters else value.isnan()
        if is_invalid.any():
            what = "parameter" if name in parameters else "buffer"
            raise ValueError(f"the {what} {name} is not finite")


def _kind(tensor: Tensor) -> tuple[Any, ...]:
    """What a tensor is apart from its precision, which loading converts."""
    kind = (tensor.is_floating_point(), tensor.is_complex())
    return (*kind, tensor.layout, tensor.is_quantized)


def check_descriptions(saved: Sequence[Mapping[str, Any]], labels: Sequence[Label]) -> None:
    """Checks that a model has the labels of a checkpoint, in the same order.

    Their priors may differ, which the checkpoint's buffers hold.

    :raises ValueError: if not; the message names the first label that differs.
    """
    if len(saved) != len(labels):
        raise ValueError(f"it has {len(saved)} labels, the model {len(labels)}")
    for number, (description, label) in enumerate(zip(saved, labels, strict=True)):
        if description["name"] != label.name:
            raise ValueError(
                f"its label {number} is {description['name']!r}, the model's {label.name!r}"
            )
        classes = tuple(description.get("classes", label.classes))
        if classes != label.classes:
            raise ValueError(
                f"the classes of its label {label.name!r} are {', '.join(classes)}, "
                f"the model's {', '.join(label.classes)}"
            )
