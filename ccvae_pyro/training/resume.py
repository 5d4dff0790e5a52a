"""Runs that are interrupted and resumed: what a checkpoint holds beside the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pyro.infer import SVI
from torch import Tensor

from ccvae_pyro.data import Preprocessing
from ccvae_pyro.errors import CheckpointError
from ccvae_pyro.io import checkpoint
from ccvae_pyro.models import ImageModel
from ccvae_pyro.training import distributed
from ccvae_pyro.training.fingerprint import check_fingerprint
from ccvae_pyro.training.optimizers import JointAdam


@dataclass
class RunState:
    """The progress of a run, as a checkpoint holds it.

    :param epoch: how many epochs are complete.
    :param step: how many steps of the current epoch are done.
    :param loss: the sum of the losses of these steps.
    :param seconds: the duration of these steps.
    :param history: as in :class:`TrainingResult`.
    :param reconstructions: as in :class:`TrainingResult`.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    reconstructions: dict[int, Tensor] = field(default_factory=dict)


def save_run(
    path: Path, model: ImageModel, svi: SVI, state: RunState, about: Mapping[str, Any]
) -> None:
    """Writes a checkpoint, in the process of rank 0.

    :param about: what identifies the run, as plain values.
    :raises FloatingPointError: if a parameter is not finite; the last checkpoint is kept.
    """
    rng = distributed.all_gather(_rng_state(model))
    with distributed.raising_together():
        if distributed.rank() == 0:
            check_finite(model, state.epoch + 1, state.step)
            optimizer = {"optimizer": svi.optim.get_state(), "optimizer_name": _name_of(svi.optim)}
            checkpoint.save(path, model, rng=rng, **optimizer, **about, **vars(state))


def save_best_model(
    path: Path, model: ImageModel, state: RunState, about: Mapping[str, Any]
) -> None:
    """Writes a model after its evaluation, with its epoch and its score, but no run to resume.

    :param about: as in :func:`save_run`.
    """
    record = state.history[-1]
    checkpoint.save(path, model, epoch=record["epoch"], score=record["score"], **about)


def resume_run(
    path: Path, model: ImageModel, svi: SVI, num_steps: int, data: dict[str, Any]
) -> RunState:
    """Restores model, optimizer and random state from a checkpoint; returns the progress.

    Everything is checked before anything is changed. A process without a random state in the
    checkpoint keeps its own.

    :param num_steps: the number of steps in an epoch.
    :param data: the fingerprint of the data.
    :raises CheckpointError: if an entry is missing or of another type, or the run had other data,
        another model or another optimizer.
    """
    contents = checkpoint.read(path)
    _check_entries(contents, num_steps, path)
    _check_optimizer(contents, svi, path)
    if "data" in contents:
        check_fingerprint(contents["data"], data, path)
    elif distributed.rank() == 0:
        print(f"{path} does not say what data it was trained on: it was not compared")
    _check_preprocessing(contents, model, path)
    rng = contents["rng"]
    rng_of_ranks = rng if isinstance(rng, list) else [rng]  # before several processes could train
    checkpoint.restore(model, contents, path)
    svi.optim.set_state(contents["optimizer"])
    if distributed.rank() < len(rng_of_ranks):
        _set_rng_state(model, rng_of_ranks[distributed.rank()])
    return RunState(**{name: contents[name] for name in vars(RunState())})


def check_finite(model: ImageModel, epoch: int, batch: int) -> None:
    """Checks that the parameters are worth keeping.

    :raises FloatingPointError: if one is not finite.
    """
    if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        raise not_finite("nan", epoch, batch)


def not_finite(loss: float | str, epoch: int, batch: int) -> FloatingPointError:
    """The error of a loss that is not finite."""
    return FloatingPointError(
        f"the loss became {loss} in epoch {epoch}, batch {batch}: a lower learning rate may help; "
        "the last checkpoint is kept"
    )


def _check_entries(contents: dict[str, Any], num_steps: int, path: Path) -> None:
    for name, (wanted, is_valid) in _ENTRIES.items():
        if name not in contents:
            raise CheckpointError(
                f"{path} cannot be resumed: it has no {name!r}, as a checkpoint of a run has"
            )
        if not is_valid(contents[name]):
            got = f"{type(contents[name]).__name__} {str(contents[name])[:40]!r}"
            raise CheckpointError(
                f"{path} cannot be resumed: as {name!r} it wanted {wanted}, got {got}"
            )
    if contents["step"] > num_steps:
        raise CheckpointError(
            f"{path} was saved after {contents['step']} steps of an epoch, which now has "
            f"{num_steps}: resume it with its own batch size"
        )


def _check_optimizer(contents: dict[str, Any], svi: SVI, path: Path) -> None:
    before, now = contents.get("optimizer_name"), _name_of(svi.optim)
    if before not in (None, now):
        raise CheckpointError(
            f"{path} was trained with the optimizer {before}, not {now}: resume it with the former"
        )
    for name, state in contents["optimizer"].items():
        optimizer = state.get("optimizer", state)  # of a scheduler, which has both
        is_valid = isinstance(optimizer, dict) and _is_dict(optimizer.get("state"), int, dict)
        groups = optimizer.get("param_groups") if is_valid else None
        if not isinstance(groups, list) or not all(
            _is_dict(group, str, object) for group in groups
        ):
            raise CheckpointError(
                f"{path} cannot be resumed: its 'optimizer' has no state of an optimizer for "
                f"{name!r}"
            )


def _check_preprocessing(contents: dict[str, Any], model: ImageModel, path: Path) -> None:
    """Checks that images are prepared as they were, as far as that is known."""
    before, now = contents.get("preprocessing"), model.preprocessing
    if before is not None and now is not None and before != asdict(now):
        raise CheckpointError(
            f"{path} was trained on images with {Preprocessing(**before)}, and cannot be resumed "
            f"on images with {now}"
        )


def _name_of(optim: Any) -> str:
    """The name of an optimizer: of two with one name, each takes the state of the other."""
    constructor = torch.optim.Adam if isinstance(optim, JointAdam) else optim.pt_optim_constructor
    name = getattr(constructor, "__name__", type(constructor).__name__)
    scheduler = getattr(optim, "pt_scheduler_constructor", None)
    return name if scheduler is None else f"{name} with {scheduler.__name__}"


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_history(value: Any) -> bool:
    return isinstance(value, list) and all(
        _is_dict(record, str, int | float) and "epoch" in record for record in value
    )


def _is_by_epoch(value: Any) -> bool:
    return _is_dict(value, int, Tensor)


def _is_by_parameter(value: Any) -> bool:
    return _is_dict(value, str, dict)


def _is_random_state(value: Any) -> bool:
    """Whether a value has what :func:`_rng_state` returns; a generator of its own tries it."""
    states = value if isinstance(value, list) else [value]
    for state in states:
        if not _is_dict(state, str, Tensor) or "cpu" not in state:
            return False
        try:
            torch.Generator().set_state(state["cpu"])
        except (RuntimeError, TypeError):
            return False
    return len(states) > 0


def _is_dict(value: Any, key: Any, kind: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, key) and isinstance(entry, kind) for name, entry in value.items()
    )


# What a checkpoint must have for its run to be resumed: in words, and as a check.
_ENTRIES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "epoch": ("a number of epochs", _is_count),
    "step": ("a number of steps", _is_count),
    "loss": ("a number", _is_number),
    "seconds": ("a number of seconds", _is_number),
    "history": ("a list with a dict of numbers for each epoch", _is_history),
    "reconstructions": ("a dict of images by epoch", _is_by_epoch),
    "optimizer": ("a dict with the state of each parameter", _is_by_parameter),
    "rng": ("the random state of each process", _is_random_state),
}


def _rng_state(model: ImageModel) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _set_rng_state(model: ImageModel, state: dict[str, Tensor]) -> None:
    device = next(model.parameters()).device
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
