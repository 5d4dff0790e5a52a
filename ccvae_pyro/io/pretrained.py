"""Models that come trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ccvae_pyro.io.checkpoint import load
from ccvae_pyro.models.base import ImageModel

FOLDER = Path(__file__).parent / "weights"


def load_pretrained(name: str = "avatars") -> ImageModel:
    """A trained model, to begin with pictures.

    ``"avatars"`` is the paper's CCVAE of the 18 most visible attributes of
    :func:`~ccvae_pyro.data.load_avatars`. It has not seen the faces that these draws by default.
    :func:`~ccvae_pyro.io.pretrained.facts` tells how it was trained and what it can do.

    :returns: the model, on the CPU.
    :raises ValueError: if there is none of that name.
    """
    return load(_file(name, ".pt"))


def facts(name: str = "avatars") -> dict[str, Any]:
    """How a trained model was made: its ``command``, ``config`` and ``figures``, on new images.

    :raises ValueError: if there is none of that name.
    """
    return json.loads(_file(name, ".json").read_text(encoding="utf-8"))


def _file(name: str, suffix: str) -> Path:
    names = sorted(path.stem for path in FOLDER.glob(f"*{suffix}"))
    if name not in names:
        raise ValueError(f"no trained model is called {name!r}: there are {', '.join(names)}")
    return FOLDER / f"{name}{suffix}"
