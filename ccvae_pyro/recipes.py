"""Models built again from what a preset wrote down."""

from __future__ import annotations

from functools import partial
from typing import Any

from ccvae_pyro.baselines.presets import NAMES, relative
from ccvae_pyro.family import ImageModel
from ccvae_pyro.labels import from_plain
from ccvae_pyro.presets import celeba, mnist

PRESETS: dict[str, Any] = {"celeba": celeba, "mnist": mnist}
PRESETS |= {name: partial(relative, name) for name in NAMES}


def from_recipe(recipe: dict[str, Any]) -> ImageModel:
    """Builds again what a preset made.

    :raises ValueError: if it was not made by a preset.
    """
    arguments = dict(recipe)
    preset = PRESETS.get(arguments.pop("preset", ""))
    if preset is None:
        raise ValueError("it was not made by a preset")
    return preset(**(arguments | {"labels": from_plain(arguments["labels"])}))
