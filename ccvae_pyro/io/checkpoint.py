"""Checkpoints: files of tensors and plain values, written atomically.

What is read is checked first: the checksums of the file, the types of its entries, and the shapes
of its tensors against those of the model. What could not be read again is not written.
"""

from __future__ import annotations

import copy
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ccvae_pyro.components import Calibration, FittedSampler, LinearProbe
from ccvae_pyro.components._fitted_part import FittedPart
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.errors import CheckpointError
from ccvae_pyro.io._contents import check_descriptions, check_entries, check_tensors, storable
from ccvae_pyro.io._migration import migrate_model_config, migrate_state_dict
from ccvae_pyro.io._outline import is_described_by_config, outline
from ccvae_pyro.labels import to_plain
from ccvae_pyro.models import ImageModel, from_config

# What is fitted after training, by its attribute and key in a checkpoint.
FITTED: dict[str, type[FittedPart]] = {
    "sampler": FittedSampler,
    "calibration": Calibration,
    "probe": LinearProbe,
}
CHECKPOINT, BEST = "checkpoint.pt", "best.pt"  # the files of a run's last and best model


def save(path: Path | str, model: ImageModel, **values: Any) -> None:
    """Writes a model to a file, atomically.

    The file is read back before it replaces the previous one.

    :param path: the file.
    :param model: the model: its parameters and buffers, its labels, the preprocessing of its
        images, its fitted sampler, calibration and probe, whether it predicts by Bayes' rule
        and, if it is as a preset built it, its config.
    :param values: further values to keep in the file: tensors, numbers, text, None, and lists,
        tuples, sets and dicts of them. Arrays of numpy become tensors, its scalars plain values.
    :raises ValueError: if a value is of another type, or a parameter is not finite. The message
        names it.
    :raises OSError: if the file cannot be written.
    """
    preprocessing = None if model.preprocessing is None else asdict(model.preprocessing)
    state = model.state_dict()
    entries = {
        "config": model.config if is_described_by_config(model) else None,
        "labels": to_plain(model.labels),
        "preprocessing": preprocessing,
        "model": state,
        **_choices(model),
    }
    if taken := sorted(entries.keys() & values.keys()):
        raise ValueError(f"the entry {taken[0]!r} of a checkpoint is that of the model")
    try:
        check_tensors(state, model)
    except ValueError as error:
        raise ValueError(f"{path} is not written: {error}") from error
    contents = {key: storable(value, key) for key, value in (entries | values).items()}
    _write(path, contents)


def save_choices(path: Path | str, model: ImageModel) -> None:
    """Writes what was chosen after training into a checkpoint of the model.

    Those are its fitted sampler, calibration and probe, or that there is none, and whether it
    predicts by Bayes' rule. The
    other entries of the file stay as they are, so that a run can still be resumed.

    :raises FileNotFoundError: if there is no such file.
    :raises CheckpointError: if the file cannot be read, or has other parameters than the model.
    :raises OSError: if the file cannot be written.
    """
    contents = read(path)
    saved, state = migrate_state_dict(contents["model"]), model.state_dict()
    if saved.keys() != state.keys() or any(_differs(saved[name], state[name]) for name in state):
        raise CheckpointError(
            f"{path} has other parameters than the model, for which sampler, predictor and "
            "calibration were chosen"
        )
    _write(path, contents | _choices(model))


def _differs(saved: Any, present: Any) -> bool:
    is_tensor = isinstance(saved, Tensor) and isinstance(present, Tensor)
    return is_tensor and not torch.equal(saved, present.cpu())


def _choices(model: ImageModel) -> dict[str, Any]:
    """What is chosen after training, as entries of a checkpoint."""
    return {
        **{key: getattr(getattr(model, key), "tensors", None) for key in FITTED},
        "predicts_by_bayes_rule": model.predicts_by_bayes_rule,
    }


def _write(path: Path | str, contents: dict[str, Any]) -> None:
    """Writes a checkpoint atomically, once it could be read again."""
    with atomic_write(Path(path)) as part:
        try:
            torch.save(contents, part)
        except RuntimeError as error:  # raised by torch when the disk is full
            raise OSError(
                f"{path} cannot be written, is the disk full? ({str(error).splitlines()[0]})"
            ) from error
        try:
            read(part)
        except CheckpointError as error:
            raise OSError(f"{path} is not written: it could not be read again") from error


def read(path: Path | str) -> dict[str, Any]:
    """Reads everything that :func:`~ccvae_pyro.save` wrote, to the CPU.

    :raises FileNotFoundError: if there is no such file.
    :raises CheckpointError: if the file is damaged, or no checkpoint of a model. Files in the
        format of PyTorch before version 1.6, which has no checksums, are refused.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        _check_sums(path)
        contents: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many types, for files of other bytes
        raise CheckpointError(f"{path} cannot be read: truncated, or no checkpoint") from error
    try:
        check_entries(contents)
    except ValueError as error:
        raise CheckpointError(f"{path} is not a checkpoint of a model: {error}") from error
    checked: dict[str, Any] = contents
    return checked


def _check_sums(path: Path | str) -> None:
    """Checks the checksum of each entry of a zip file, which torch does not.

    :raises ValueError: if one is wrong, or an entry is compressed: torch compresses none, and it
        could exceed the memory.
    """
    with zipfile.ZipFile(path) as file:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in file.infolist()):
            raise ValueError("an entry is compressed")
        if damaged := file.testzip():
            raise ValueError(f"{damaged} is damaged")


def model_file(folder: Path) -> Path:
    """The file of the final model of a run: that of the best evaluation, if there is one."""
    best = folder / BEST
    return best if best.is_file() else folder / CHECKPOINT


def load(path: Path | str, model: ImageModel | None = None) -> ImageModel:
    """Loads a trained model.

    :param path: a checkpoint, such as ``runs/celeba/checkpoint.pt``, or the folder of a run, for
        its ``best.pt`` or, without one, its ``checkpoint.pt``.
    :param model: the model to load the parameters into. It is needed if no preset built the model,
        or if one of its components, layers or settings was replaced.
    :returns: the model, on the CPU.
    :raises FileNotFoundError: if there is no such file.
    :raises CheckpointError: if the file cannot be read, belongs to another model, or has a
        parameter that is not finite. A given ``model`` is then left as it was.
    """
    path = Path(path)
    if path.is_dir():
        path = model_file(path)
    contents = read(path)
    if model is None:
        model = _rebuild(contents, path)
    restore(model, contents, path)
    return model


def _rebuild(contents: dict[str, Any], path: Path | str) -> ImageModel:
    """Builds the model of a checkpoint's config, with new parameters."""
    config = _config_of(contents) or {}
    try:
        shapes = outline(config)
    except ValueError as error:
        reason = f" ({error})" if config else ""
        raise CheckpointError(
            f"{path} has no config of a preset of this version{reason}: pass the model as `model`"
        ) from error
    # Any size may stand in the config: it takes memory once the tensors in the file have it.
    state = {name: value for name, value in contents["model"].items() if not _is_expanded(value)}
    _load_state(shapes, state, path, assign=True)
    return from_config(config)


def _is_expanded(value: Any) -> bool:
    """Whether a tensor has more elements than are stored."""
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return True
    return value.numel() * value.element_size() > value.untyped_storage().nbytes()


def _config_of(contents: dict[str, Any]) -> dict[str, Any] | None:
    # The key of the config was "recipe" before version 0.2.
    config = contents.get("config") or contents.get("recipe")
    return migrate_model_config(config) if config else None


def restore(model: ImageModel, contents: dict[str, Any], path: Path | str) -> None:
    """Copies into a model what :func:`read` returned: parameters, preprocessing, fitted parts.

    :raises CheckpointError: if they belong to another model, or one is not finite. The model is
        then left as it was.
    """
    before = copy.deepcopy(model.state_dict())
    try:
        _load_state(model, contents["model"], path)
        labels = contents.get("labels", (_config_of(contents) or {}).get("labels"))
        if labels is not None:
            check_descriptions(labels, model.labels)
        preprocessing = _preprocessing_of(contents, path)
        fitted = {key: _fitted_part(key, contents, model, path) for key in FITTED}
    except ValueError as error:
        model.load_state_dict(before)
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} belongs to another model: {error}") from error
    if preprocessing is not None:
        model.preprocessing = preprocessing
    for key, part in fitted.items():
        setattr(model, key, part)
    model.predicts_by_bayes_rule = contents.get("predicts_by_bayes_rule", False)


def _fitted_part(
    key: str, contents: dict[str, Any], model: ImageModel, path: Path | str
) -> FittedPart | None:
    """A part that was fitted after training, on the device of the model, if there is one."""
    tensors = contents.get(key)
    if tensors is None:  # never fitted, or a version before 0.2
        return None
    try:
        return FITTED[key].from_tensors(tensors, model.labels).to(next(model.parameters()))
    except ValueError as error:
        raise CheckpointError(f"{path} has an invalid fitted {key}: {error}") from error


def _preprocessing_of(contents: dict[str, Any], path: Path | str) -> Preprocessing | None:
    """How images are prepared for a model, as far as the checkpoint says so."""
    values = contents.get("preprocessing")
    if values is None:  # a version before 0.2, or data that did not come from files
        return None
    try:
        return Preprocessing(**values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} has a preprocessing of images that this version cannot apply ({error})"
        ) from error


def _load_state(
    model: ImageModel, state: dict[str, Any], path: Path | str, *, assign: bool = False
) -> None:
    """Loads parameters and buffers.

    :param assign: whether the model takes the tensors themselves, in place of copies.
    """
    state = migrate_state_dict(state)
    try:
        check_tensors(state, model)
        model.load_state_dict(state, assign=assign)
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be loaded: {error}") from error
    except RuntimeError as error:
        differences = str(error).splitlines()
        raise CheckpointError(
            f"{path} belongs to another model: {differences[min(1, len(differences) - 1)].strip()}"
        ) from error
