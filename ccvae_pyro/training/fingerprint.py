"""What identifies the data of a run, so that it is not resumed on others."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ccvae_pyro.data import LabeledImages
from ccvae_pyro.errors import CheckpointError

NUM_IMAGES = 48  # evenly spaced images, which identify all of them at no cost


def fingerprint(data: LabeledImages) -> dict[str, Any]:
    """The labels, the splits and digests of the values of a data set, as plain values.

    Neither the place of the files nor the empirical priors are a part of it.
    """
    labels = np.where(np.isnan(data.labels), np.float32(np.nan), data.labels)  # one kind of NaN
    count = len(data.images)
    some = np.linspace(0, count - 1, min(NUM_IMAGES, count)).astype(int)
    return {
        "labels": [
            [label.name, type(label).__name__, *label.classes] for label in data.label_types
        ],
        "splits": {name: _digest(rows.astype(np.int64)) for name, rows in data.splits.items()},
        "label_values": _digest(labels.astype(np.float32)),
        "images": _digest(data.images[some]),
        "num_images": count,
    }


def check_fingerprint(before: Any, now: dict[str, Any], path: Path) -> None:
    """Checks that a run is resumed on the data that it was begun on.

    :param before: the fingerprint in the checkpoint.
    :raises CheckpointError: if they differ; says in what.
    """
    if before == now:
        return
    before = before if isinstance(before, dict) else {}
    if before.get("labels") != now["labels"]:
        difference = _difference_of_labels(before.get("labels"), now["labels"])
    elif before.get("num_images") != now["num_images"]:
        difference = f"on {before.get('num_images')} images, not on {now['num_images']}"
    elif before.get("images") != now["images"]:
        difference = "on other images"
    elif before.get("label_values") != now["label_values"]:
        difference = "on other values of the labels"
    else:
        difference = "on other splits of the images"
    raise CheckpointError(
        f"{path} was trained {difference}: resume it with its own data, or choose another folder"
    )


def _digest(array: np.ndarray) -> str:
    content = f"{array.dtype.str} {array.shape}".encode() + np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def _difference_of_labels(before: Any, now: list[list[str]]) -> str:
    before = before if isinstance(before, list) else []
    if len(before) != len(now):
        return f"with {len(before)} labels, not with {len(now)}"
    column = next(i for i, (a, b) in enumerate(zip(before, now, strict=True)) if a != b)
    was, is_now = _described(before[column]), _described(now[column])
    return f"with {was} as label {column + 1}, not {is_now}"


def _described(label: Any) -> str:
    name, kind, *classes = label
    text = f"{name!r} ({kind.lower()})"
    return f"{text[:-1]}: {', '.join(classes)[:80]})" if classes and kind != "Binary" else text
