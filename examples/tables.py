"""The table and the figures of compare.py."""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pyro
import torch

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.files import written_whole
from ccvae_pyro.plotting.grid import draw_grid

SETTINGS = ("objective", "data", "attributes", "missing", "label_fraction")
SETTINGS += ("classification_weight", "likelihood_scale", "batch_size", "epochs", "seed")
FIGURES = ("accuracy", "balanced_accuracy", "average_precision", "reconstruction_error")
FIGURES += ("read_accuracy", "bound", "seconds")
NUM_FACES = 10


def write_table(out: Path, rows: list[dict]) -> None:
    """Writes every cell to a CSV, and to a table in Markdown that is printed as well.

    The table leaves out the settings that all cells share, and says them below.
    """
    with written_whole(out / "compare.csv") as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, SETTINGS + FIGURES)
        writer.writeheader()
        writer.writerows(rows)
    shared = [key for key in SETTINGS[1:] if len({row[key] for row in rows}) == 1]
    keys = [key for key in SETTINGS + FIGURES if key not in shared]
    lines = [f"| {' | '.join(map(spaced, keys))} |", "|---" * len(keys) + "|"]
    lines += [f"| {' | '.join(shown(row[key]) for key in keys)} |" for row in rows]
    settings = ", ".join(f"{spaced(key)} {shown(rows[0][key])}" for key in shared)
    table = "\n".join(lines) + (f"\n\nAll: {settings}.\n" if shared else "\n")
    with written_whole(out / "compare.md") as part:
        part.write_text(table)
    print(table)


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
    for axis, key in zip(axes, keys, strict=True):
        for objective in sorted({row["objective"] for row in rows}):
            points: dict[float, list[float]] = {}
            for row in rows:
                if row["objective"] == objective and row[key] is not None:
                    points.setdefault(row["label_fraction"], []).append(row[key])
            shares = sorted(points)
            means = [sum(points[share]) / len(points[share]) for share in shares]
            axis.plot(shares, means, marker="o", label=objective)
        axis.set(xscale="log", xlabel="share of labels seen", title=key.replace("_", " "))
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
            ccvae = ccvae_pyro.load(checkpoint)
            pyro.set_rng_seed(0)
            rows.append(ccvae_pyro.reconstruct(ccvae, x))
            rows += [ccvae_pyro.generate(ccvae, y) for _ in range(2)]
            names += [f"{name}:\nreconstructed", *["generated to\nthe labels"] * 2]
    with written_whole(path) as part:
        draw_grid(rows, names).savefig(part, dpi=110, format="png")
