"""Prints the ratios that `make bench` measured, and plots how costs grow.

python tests/bench/draw.py build/bench.json build/bench.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

AXES = {
    "number of labels": "labels",
    "samples K": "samples K of q(y | x)",
    "images in a batch": "images in a batch",
    "side of an image": "pixels along a side",
}
COLORS = {"paper": "tab:orange", "exact": "tab:blue"}
NAMES = {"paper": "CCVAE_ELBO", "exact": "ExactCCVAE_ELBO"}


def main(source: Path, target: Path) -> None:
    """Reads the file of pytest-benchmark, prints and plots."""
    benchmarks = json.loads(source.read_text())["benchmarks"]
    notes = [b["extra_info"] for b in benchmarks if "ratio" in b["extra_info"]]
    print_ratios(notes)
    if any(note["suite"] in AXES for note in notes):
        draw(notes, target)
        print(f"figure: {target}, data: {source}")


def print_ratios(notes: list[dict[str, Any]]) -> None:
    """Prints time and memory relative to the networks only, by suite."""
    for suite in dict.fromkeys(note["suite"] for note in notes):
        print(f"\n{suite}")
        for note in (note for note in notes if note["suite"] == suite):
            memory = f"  memory {note['memory']:.2f}" if "memory" in note else ""
            print(f"  {note['curve']:16} {note['at']!s:62} time {note['ratio']:.3f}{memory}")


def draw(notes: list[dict[str, Any]], target: Path) -> None:
    """A column of axes for each suite: time above, memory below."""
    suites = [suite for suite in AXES if any(note["suite"] == suite for note in notes)]
    figure, axes = plt.subplots(
        2, len(suites), figsize=(3 * len(suites), 5.2), sharex="col", sharey="row", squeeze=False
    )
    for column, suite in zip(axes.T, suites, strict=True):
        for ax, key in zip(column, ("ratio", "memory"), strict=True):
            draw_curves(ax, [note for note in notes if note["suite"] == suite], key)
        column[-1].set_xlabel(AXES[suite])
    axes[0, 0].set_ylabel("time of a step")
    axes[1, 0].set_ylabel("peak memory")
    axes[0, 0].legend(frameon=False, loc="lower left")
    figure.suptitle("Training step with labels, relative to encoder and decoder only")
    figure.tight_layout()
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=130)


def draw_curves(ax: Axes, notes: list[dict[str, Any]], key: str) -> None:
    """A curve for each objective; the dashed line marks encoder and decoder only."""
    for curve in dict.fromkeys(note["curve"] for note in notes):
        points = sorted((note["at"], note[key]) for note in notes if note["curve"] == curve)
        at, values = zip(*points, strict=True)
        ax.plot(at, values, "o-", color=COLORS[curve], label=NAMES[curve])
    ax.axhline(1, color="0.6", linestyle="--", linewidth=1)
    ticks = sorted({note["at"] for note in notes})
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set_ylim(bottom=0)
    ax.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
