"""Checkpoints: files of tensors and plain values, written atomically."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.errors import CheckpointError
from ccvae_pyro.io._migration import migrate_model_config, migrate_state_dict
from ccvae_pyro.models import ImageModel, from_config


def save(path: Path | str, model: ImageModel, **values: Any) -> None:
    """Writes a model to a file, atomically.

    :param path: the file.
    :param model: the model: its parameters and buffers, the preprocessing of its images and, if a
        preset built it, its config.
    :param values: further tensors and plain values to keep in the file.
    :raises OSError: if the file cannot be written.
    """
    # The config of a preset does not describe a model in which the user replaced a component.
    config = model.config if all(map(_is_from_library, model.modules())) else None
    preprocessing = None if model.preprocessing is None else asdict(model.preprocessing)
    contents = {"config": config, "model": model.state_dict(), "preprocessing": preprocessing}
    contents |= values
    with atomic_write(Path(path)) as part:
        try:
            torch.save(contents, part)
        except RuntimeError as error:  # raised by torch when the disk is full
            raise OSError(
                f"{path} cannot be written, is the disk full? ({str(error).splitlines()[0]})"
            ) from error


def _is_from_library(module: nn.Module) -> bool:
    return type(module).__module__.partition(".")[0] in ("ccvae_pyro", "torch")


def read(path: Path | str) -> dict[str, Any]:
    """Reads everything that :func:`~ccvae_pyro.save` wrote, to the CPU.

    :raises FileNotFoundError: if there is no such file.
    :raises CheckpointError: if the file is truncated or no checkpoint.
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
    """Loads a trained model.

    :param path: a checkpoint, such as ``runs/celeba/checkpoint.pt``.
    :param model: the model to load the parameters into. It is needed if no preset built the model
        or if one of its components was replaced.
    :returns: the model, on the CPU.
    :raises FileNotFoundError: if there is no such file.
    :raises CheckpointError: if the file cannot be read, or belongs to another model.
    """
    contents = read(path)
    if model is None:
        try:
            # The key of the config was "recipe" before version 0.2.
            config = contents["config"] if "config" in contents else contents["recipe"]
            model = from_config(migrate_model_config(config) if config else {})
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{path} has no config of a preset of this version: pass the model as `model`"
            ) from error
    restore(model, contents, path)
    return model


def restore(model: ImageModel, contents: dict[str, Any], path: Path | str) -> None:
    """Copies the parameters and the preprocessing that :func:`read` returned into a model."""
    try:
        model.load_state_dict(migrate_state_dict(contents["model"]))
    except RuntimeError as error:
        differences = str(error).splitlines()
        raise CheckpointError(
            f"{path} belongs to another model: {differences[min(1, len(differences) - 1)].strip()}"
        ) from error
    _restore_preprocessing(model, contents.get("preprocessing"), path)


def _restore_preprocessing(model: ImageModel, values: Any, path: Path | str) -> None:
    """Sets how images are prepared for a model, as far as the checkpoint says so."""
    if values is None:  # a version before 0.2, or data that did not come from files
        return
    try:
        model.preprocessing = Preprocessing(**values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} has a preprocessing of images that this version cannot apply ({error})"
        ) from error
