"""Tables of comparisons, and the figures of compare.py."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyro
import torch
from matplotlib.figure import Figure

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.names import one_line, spaced
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.evaluation import mean_of_known
from ccvae_pyro.plotting import BLUE, GREEN, ORANGE, draw_grid

NUM_IMAGES = 10  # in the figure of each model's images
PANELS = {
    "balanced_accuracy": "label prediction (balanced accuracy)",
    "conditional_generation_accuracy": "conditional generation accuracy",
    "reconstruction_error": "reconstruction error",
}
MARKS = [(BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), ("black", "D")]


def format_value(value: float | str | None) -> str:
    """The text of a cell, empty without a value."""
    if value is None or value != value:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.3f}".removeprefix("0")


def write_table(path: Path, rows: list[dict], settings: Sequence[str]) -> None:
    """Writes rows to a CSV file and to a Markdown table, and prints the table.

    Settings that all rows share are below the table, except for the first setting.

    :param path: without a suffix.
    :param settings: the keys of the rows that are settings; the others are metrics.
    """
    shared = [key for key in settings[1:] if len({row[key] for row in rows}) == 1]
    values = ", ".join(f"{spaced(key)} {format_value(rows[0][key])}" for key in shared)
    write_rows(path, rows, omit=shared, below=f"\nAll: {values}.\n" if shared else "")


def write_rows(
    path: Path,
    rows: list[dict],
    *,
    omit: Sequence[str] = (),
    below: str = "",
    cell: Callable[[Any], str] = format_value,
) -> None:
    """Writes rows to a CSV file and to a Markdown table, and prints the table.

    :param path: without a suffix.
    :param omit: keys of the rows that are not in the table.
    :param below: the text below the table.
    :param cell: a function from a value to the text of its cell.
    """
    write_csv(path.with_suffix(".csv"), rows)
    write_markdown(path.with_suffix(".md"), rows, omit=omit, below=below, cell=cell)


def write_markdown(
    path: Path,
    rows: list[dict],
    *,
    omit: Sequence[str] = (),
    below: str = "",
    cell: Callable[[Any], str] = format_value,
) -> None:
    """Writes rows to a Markdown table, with the arguments of :func:`write_rows`; prints it."""
    keys = [key for key in rows[0] if key not in omit]
    texts = [[spaced(key) for key in keys], *([cell(row[key]) for key in keys] for row in rows)]
    lines = [f"| {' | '.join(map(markdown, cells))} |" for cells in texts]
    lines.insert(1, "|---" * len(keys) + "|")
    table = "\n".join(lines) + "\n" + below
    with atomic_write(path) as part:
        part.write_text(table, encoding="utf-8", errors="replace")
    print(table)


def markdown(text: str) -> str:
    """The text of a Markdown cell: on one line, with nothing that ends the cell or is HTML."""
    return re.sub(r"[\\|<]", r"\\\g<0>", one_line(text))


def write_csv(path: Path, rows: list[dict]) -> None:
    """Writes rows that have the same keys.

    Texts are written as they are, for programs that read the file: also one that begins with an
    equals sign, which a spreadsheet would take for a formula.
    """
    with (
        atomic_write(path) as part,
        part.open("w", newline="", encoding="utf-8", errors="replace") as file,
    ):
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def draw(rows: list[dict], titles: dict[str, str], path: Path) -> None:
    """Draws the metrics of the models: a row for each model, a marker for each number of labels.

    :param titles: the title of each model by its name, in the order of the rows.
    """
    models = [model for model in titles if any(row["model"] == model for row in rows)]
    numbers = sorted({row["labels"] for row in rows})
    size = (11, 1.2 + 0.3 * len(models))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(PANELS), sharey=True)
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
    panels[0].set_ylim(len(models) - 0.5, -0.5)  # the first model on top
    legend_title = "known labels" if isinstance(numbers[-1], int) else "share of known labels"
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=9, frameon=False, title=legend_title)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=110, format="png")


@torch.no_grad()
def draw_images(data: LabeledImages, checkpoints: dict[str, Path], path: Path) -> None:
    """Draws each model's reconstructions of test images, and samples given their labels.

    :param checkpoints: the file of each model by its title; missing files are left out.
    """
    x, y = next(Batches(data, NUM_IMAGES).held_out("test"))
    rows, names = [x], ["test images"]
    for name, checkpoint in checkpoints.items():
        if checkpoint.exists():
            model = ccvae_pyro.load(checkpoint)
            pyro.set_rng_seed(0)
            with suppress(UnsupportedError):
                rows.append(ccvae_pyro.reconstruct(model, x))
                names.append(f"{name}:\nreconstructions")
            rows.append(ccvae_pyro.generate(model, y))
            names.append(f"{name}:\nsamples, same labels")
    with atomic_write(path) as part:
        draw_grid(rows, names).savefig(part, dpi=110, format="png")
