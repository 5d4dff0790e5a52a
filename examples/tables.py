"""Tables of comparisons, and the figures of compare.py."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pyro
import torch

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.evaluation.label_metrics import mean_of_known
from ccvae_pyro.plotting.grid import BLUE, GREEN, ORANGE, draw_grid, spaced

NUM_FACES = 10
PANELS = {
    "balanced_accuracy": "labels read (balanced accuracy)",
    "conditional_generation_accuracy": "orders met (read accuracy)",
    "reconstruction_error": "reconstruction error",
}
MARKS = [(BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), ("black", "D")]


def shown(value: float | str | None) -> str:
    """A cell of the table."""
    if value is None or value != value:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.3f}".removeprefix("0")


def write_table(path: Path, rows: list[dict], settings: Sequence[str]) -> None:
    """Writes rows to a CSV, and to a table in Markdown that is printed as well.

    The table leaves out the settings that all rows share, and says them below.

    :param path: without a suffix.
    :param settings: the keys of the rows that are no figures; the first is never left out.
    """
    shared = [key for key in settings[1:] if len({row[key] for row in rows}) == 1]
    values = ", ".join(f"{spaced(key)} {shown(rows[0][key])}" for key in shared)
    write_rows(path, rows, but=shared, below=f"\nAll: {values}.\n" if shared else "")


def write_rows(
    path: Path,
    rows: list[dict],
    *,
    but: Sequence[str] = (),
    below: str = "",
    cell: Callable[[Any], str] = shown,
) -> None:
    """Writes rows to a CSV, and to a table in Markdown that is printed as well.

    :param path: without a suffix.
    :param but: keys of the rows that the table leaves out.
    :param below: what is written below it.
    :param cell: makes the text of a cell.
    """
    write_csv(path.with_suffix(".csv"), rows)
    keys = [key for key in rows[0] if key not in but]
    lines = [f"| {' | '.join(map(spaced, keys))} |", "|---" * len(keys) + "|"]
    lines += [f"| {' | '.join(cell(row[key]) for key in keys)} |" for row in rows]
    table = "\n".join(lines) + "\n" + below
    with atomic_write(path.with_suffix(".md")) as part:
        part.write_text(table)
    print(table)


def write_csv(path: Path, rows: list[dict]) -> None:
    """Writes rows that have the same keys."""
    with atomic_write(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def draw(rows: list[dict], titles: dict[str, str], path: Path) -> None:
    """Draws what each model came to, a row each, a mark for each number of labels.

    :param titles: what to call each model, in the order of the rows.
    """
    models = [model for model in titles if any(row["model"] == model for row in rows)]
    numbers = sorted({row["labels"] for row in rows})
    size = (11, 1.2 + 0.3 * len(models))
    figure, panels = plt.subplots(1, len(PANELS), figsize=size, layout="constrained", sharey=True)
    for axes, (key, title) in zip(panels, PANELS.items(), strict=True):
        for number, (color, marker) in zip(numbers, itertools.cycle(MARKS), strict=False):
            known = [row for row in rows if row["labels"] == number and row[key] is not None]
            means = [
                mean_of_known([row[key] for row in known if row["model"] == model])
                for model in models
            ]
            label = f"{number:,}" if isinstance(number, int) else f"{number:.3g}"
            axes.plot(means, range(len(models)), marker, color=color, label=label)
        axes.set_title(title, fontsize=10)
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(models)), [titles[model] for model in models])
    panels[0].set_ylim(len(models) - 0.5, -0.5)  # the first on top
    seen = "labels seen" if isinstance(numbers[-1], int) else "share of labels seen"
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=9, frameon=False, title=seen)
    with atomic_write(path) as part:
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
            with suppress(UnsupportedError):
                rows.append(ccvae_pyro.reconstruct(model, x))
                names.append(f"{name}:\nreconstructed")
            rows.append(ccvae_pyro.generate(model, y))
            names.append(f"{name}:\nto their labels")
    with atomic_write(path) as part:
        draw_grid(rows, names).savefig(part, dpi=110, format="png")
