"""Pretrained models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.io.checkpoint import load
from ccvae_pyro.models import ImageModel

FOLDER = Path(__file__).parent / "weights"
_PREPROCESSING = {"avatars": Preprocessing(64, 3, "crop")}  # of files without one of their own


def load_pretrained(name: str = "avatars") -> ImageModel:
    """Loads a pretrained model of the package.

    ``"avatars"`` is the paper's CCVAE, trained on the 18 most visible attributes of
    :func:`~ccvae_pyro.data.load_avatars`. The images of the default seed are not among its
    training images. :func:`~ccvae_pyro.io.facts` has its training settings and metrics.

    :param name: the name of the model.
    :returns: the model, on the CPU.
    :raises ValueError: if there is no pretrained model of that name.
    """
    model = load(_file(name, ".pt"))
    if model.preprocessing is None and name in _PREPROCESSING:
        model.preprocessing = _PREPROCESSING[name]
    return model


def facts(name: str = "avatars") -> dict[str, Any]:
    """The training settings and the test metrics of a pretrained model.

    :returns: a dictionary of the ``command`` that trained the model, its ``config``, the
        ``metrics`` of the benchmark, and of edits the ``edit_accuracy`` of each label and the
        matrix ``change`` of each label by an edit of each.
    :raises ValueError: if there is no pretrained model of that name.
    """
    known: dict[str, Any] = json.loads(_file(name, ".json").read_text(encoding="utf-8"))
    return known


def _file(name: str, suffix: str) -> Path:
    names = sorted(path.stem for path in FOLDER.glob(f"*{suffix}"))
    if name not in names:
        raise ValueError(f"no pretrained model is called {name!r}: there are {', '.join(names)}")
    return FOLDER / f"{name}{suffix}"
