"""Files of earlier versions: their names, replaced by those of this version."""

from __future__ import annotations

import re
from typing import Any

# Buffers in checkpoints before version 0.2.
_BUFFERS = {"deviation": "std", "frequencies": "class_frequencies", "paths": "signs"}

# Fields of labels in checkpoints before version 0.2.
_FIELDS = {"frequency": "prevalence", "frequencies": "class_frequencies", "deviation": "std"}

# Options of the examples before version 0.2, as config.json holds them.
_OPTIONS = {
    "cool_down": "decay_fraction",
    "last_weight": "final_weight",
    "order_weight": "consistency_weight",
}
_OBJECTIVES = {"tilted": "exact", "published": "paper", "unstopped": "paper-true-gradient"}


def migrate_state_dict(state: dict[str, Any]) -> dict[str, Any]:
    """Parameters and buffers by their present names."""
    pattern = re.compile(rf"(?<=\.)(?:{'|'.join(_BUFFERS)})$")
    return {
        pattern.sub(lambda found: _BUFFERS[found[0]], name): value for name, value in state.items()
    }


def migrate_model_config(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a model, with the fields of its labels by their present names."""
    labels = [
        {_FIELDS.get(name, name): value for name, value in label.items()}
        for label in config["labels"]
    ]
    return config | {"labels": labels}


def migrate_config(config: dict[str, Any]) -> dict[str, Any]:
    """The options of a run, as ``config.json`` holds them, by their present names and values.

    Example:

        >>> migrate_config({"objective": "tilted", "cool_down": 0.5, "epochs": 10})
        {'objective': 'exact', 'decay_fraction': 0.5, 'epochs': 10}
    """
    migrated = {_OPTIONS.get(name, name): value for name, value in config.items()}
    if "objective" in migrated:
        objective = migrated["objective"]
        migrated["objective"] = _OBJECTIVES.get(objective, objective)
    return migrated
