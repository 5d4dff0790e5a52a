"""Checkpoints: tensors and plain values only, written whole or not at all."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.errors import CheckpointError
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.models.presets import from_config


def save(path: Path | str, model: ImageModel, **values: Any) -> None:
    """Writes a model to a file, whole or not at all.

    :param values: tensors and plain values to keep with it.
    :raises OSError: if it cannot be written.
    """
    # A preset makes its own parts: one with a part of the user's own is not what it made.
    config = model.config if all(map(_is_of_a_library, model.modules())) else None
    contents = {"config": config, "model": model.state_dict(), **values}
    with atomic_write(Path(path)) as part:
        try:
            torch.save(contents, part)
        except RuntimeError as error:  # what torch makes of a full disk
            raise OSError(
                f"{path} cannot be written, is the disk full? ({str(error).splitlines()[0]})"
            ) from error


def _is_of_a_library(module: nn.Module) -> bool:
    return type(module).__module__.partition(".")[0] in ("ccvae_pyro", "torch")


def read(path: Path | str) -> dict[str, Any]:
    """Reads all that :func:`~ccvae_pyro.save` wrote, onto the CPU.

    :raises FileNotFoundError: if there is no such file.
    :raises CheckpointError: if it is truncated or no checkpoint at all.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError, KeyError) as error:
        raise CheckpointError(f"{path} cannot be read: truncated, or no checkpoint") from error
    if not isinstance(contents, dict) or "model" not in contents:
        raise CheckpointError(f"{path} is not a checkpoint of a model")
    return contents


def load(path: Path | str, model: ImageModel | None = None) -> ImageModel:
    """Reads a trained model.

    :param path: a checkpoint, such as ``runs/celeba/checkpoint.pt``.
    :param model: the model to read the parameters into: needed where it was put together by hand,
        or a preset's has a part of one's own.
    :returns: the model, on the CPU.
    :raises FileNotFoundError: if there is no such file.
    :raises CheckpointError: if it cannot be read, or belongs to a model of another shape.
    """
    contents = read(path)
    if model is None:
        try:
            config = contents["config"] if "config" in contents else contents["recipe"]
            model = from_config(config or {})
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{path} holds no model of a preset of this version: pass the model as `model`"
            ) from error
    restore(model, contents, path)
    return model


def restore(model: ImageModel, contents: dict[str, Any], path: Path | str) -> None:
    """Copies the parameters of a checkpoint that was read into a model."""
    try:
        model.load_state_dict(_renamed(contents["model"]))
    except RuntimeError as error:
        differences = str(error).splitlines()
        raise CheckpointError(
            f"{path} belongs to another model: {differences[min(1, len(differences) - 1)].strip()}"
        ) from error


def _renamed(state: dict[str, Any]) -> dict[str, Any]:
    """Parameters and buffers by their present names."""
    pattern = "|".join(_FORMER_NAMES)
    return {
        re.sub(rf"(?<=\.)(?:{pattern})$", lambda found: _FORMER_NAMES[found[0]], name): value
        for name, value in state.items()
    }


# Buffers as checkpoints before version 0.2 call them.
_FORMER_NAMES = {"deviation": "std", "frequencies": "class_frequencies", "paths": "signs"}
