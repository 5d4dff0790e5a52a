"""Tables of comparisons, and the figures of compare.py."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pyro
import torch

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.family import CannotError
from ccvae_pyro.files import written_whole
from ccvae_pyro.plotting.grid import draw_grid

NUM_FACES = 10


def write_table(path: Path, rows: list[dict], settings: Sequence[str]) -> None:
    """Writes rows to a CSV, and to a table in Markdown that is printed as well.

    The table leaves out the settings that all rows share, and says them below.

    :param path: without a suffix.
    :param settings: the keys of the rows that are no figures; the first is never left out.
    """
    write_csv(path.with_suffix(".csv"), rows)
    shared = [key for key in settings[1:] if len({row[key] for row in rows}) == 1]
    keys = [key for key in rows[0] if key not in shared]
    lines = [f"| {' | '.join(map(spaced, keys))} |", "|---" * len(keys) + "|"]
    lines += [f"| {' | '.join(shown(row[key]) for key in keys)} |" for row in rows]
    settings = ", ".join(f"{spaced(key)} {shown(rows[0][key])}" for key in shared)
    table = "\n".join(lines) + (f"\n\nAll: {settings}.\n" if shared else "\n")
    with written_whole(path.with_suffix(".md")) as part:
        part.write_text(table)
    print(table)


def write_csv(path: Path, rows: list[dict]) -> None:
    """Writes rows that have the same keys."""
    with written_whole(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def spaced(name: str) -> str:
    return name.replace("_", " ")


def shown(value: float | str | None) -> str:
    """A cell of the table."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.3f}".removeprefix("0")


def draw(rows: list[dict], path: Path) -> None:
    """Draws accuracies by the share of labels, a line for each objective."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained", sharex=True)
    keys = ("balanced_accuracy", "average_precision", "read_accuracy")
    seen = "labels seen" if max(row["labels"] for row in rows) > 1 else "share of labels seen"
    for axis, key in zip(axes, keys, strict=True):
        for model in sorted({row["model"] for row in rows}):
            points: dict[float, list[float]] = {}
            for row in rows:
                if row["model"] == model and row[key] is not None:
                    points.setdefault(row["labels"], []).append(row[key])
            shares = sorted(points)
            means = [sum(points[share]) / len(points[share]) for share in shares]
            axis.plot(shares, means, marker="o", label=model)
        axis.set(xscale="log", xlabel=seen, title=key.replace("_", " "))
    axes[0].legend(frameon=False)
    with written_whole(path) as part:
        figure.savefig(part, dpi=110, format="png")
    plt.close(figure)


@torch.no_grad()
def draw_images(data: LabeledImages, checkpoints: dict[str, Path], path: Path) -> None:
    """Draws what models make of the same test images.

    :param checkpoints: the file of each model, by what to call it; none may be there.
    """
    x, y = next(Batches(data, NUM_FACES).held_out("test"))
    rows, names = [x], ["test images"]
    for name, checkpoint in checkpoints.items():
        if checkpoint.exists():
            model = ccvae_pyro.load(checkpoint)
            pyro.set_rng_seed(0)
            with suppress(CannotError):
                rows.append(ccvae_pyro.reconstruct(model, x))
                names.append(f"{name}:\nreconstructed")
            rows += [ccvae_pyro.generate(model, y) for _ in range(2)]
            names += [f"{name}:\ngenerated to\nthe labels", "again"]
    with written_whole(path) as part:
        draw_grid(rows, names).savefig(part, dpi=110, format="png")
