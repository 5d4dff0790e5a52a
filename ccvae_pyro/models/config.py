"""Models built again from what a preset wrote down."""

from __future__ import annotations

from functools import partial
from typing import Any

from ccvae_pyro.labels import from_plain
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.models.baselines.presets import NAMES, baseline
from ccvae_pyro.models.presets import celeba, mnist

PRESETS: dict[str, Any] = {"celeba": celeba, "mnist": mnist}
PRESETS |= {name: partial(baseline, name) for name in NAMES}


def from_config(config: dict[str, Any]) -> ImageModel:
    """Builds again what a preset made.

    :raises ValueError: if it was not made by a preset.
    """
    arguments = dict(config)
    preset = PRESETS.get(arguments.pop("preset", ""))
    if preset is None:
        raise ValueError("it was not made by a preset")
    return preset(**(arguments | {"labels": from_plain(arguments["labels"])}))
