"""Compares five estimators of Eq. (4) on toy data: which of them learn labels, images or both.

    python examples/objectives.py --num-labels 10 40 --seeds 0 1 2

The images are 32x32 pixels in color. Each label is a patch that is present or absent, with a
random brightness, and the background is style. docs/objective.md discusses the results.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import common
import pyro
import torch
from matplotlib.figure import Figure
from pyro import poutine
from pyro.infer import Trace_ELBO
from tables import write_csv
from torch import Tensor, nn
from tqdm.auto import tqdm

from ccvae_pyro import CCVAE, CCVAE_ELBO, ExactCCVAE_ELBO, evaluate
from ccvae_pyro import components as parts
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.networks import mlp

SIDE, NUM_STYLE, BATCH, ALPHA = 32, 5, 100, 30.0
METRICS = ("bound", "reconstruction_error", "accuracy")


def unweighted_loss(ccvae: CCVAE, x: Tensor, y: Tensor) -> Tensor:
    """The ELBO with w = 1, in which y is not a guide site, plus the classification loss."""
    plain = Trace_ELBO().differentiable_loss(
        ccvae.model, poutine.block(ccvae.guide, hide=["y"]), x, y
    )
    bounds = (ExactCCVAE_ELBO(weight) for weight in (0.0, ALPHA))
    without, with_it = (b.differentiable_loss(ccvae.model, ccvae.guide, x, y) for b in bounds)
    return plain + with_it - without


def loss_of(objective: Trace_ELBO) -> Callable[[CCVAE, Tensor, Tensor], Tensor]:
    """The loss of an objective as a function of the model."""
    return lambda ccvae, x, y: objective.differentiable_loss(ccvae.model, ccvae.guide, x, y)


OBJECTIVES = {
    "one weighted sample, z detached in q(y given z)": loss_of(CCVAE_ELBO(100)),
    "one weighted sample, nothing detached": loss_of(CCVAE_ELBO(100, stop_gradient=False)),
    "exact": loss_of(ExactCCVAE_ELBO()),
    "exact + 30 log q(y given x)": loss_of(ExactCCVAE_ELBO(ALPHA)),
    "w = 1, + 30 log q(y given x)": unweighted_loss,
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Runs every objective, number of labels and seed; writes a table and a figure."""
    path = args.out / "objectives.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8"))) if path.exists() else []
    done = {(row["objective"], row["num_labels"], row["seed"], row["steps"]) for row in rows}
    for seed in args.seeds:
        for num_labels in args.num_labels:
            for name in OBJECTIVES:
                key = (name, str(num_labels), str(seed), str(args.steps))
                if key not in done:
                    metrics = measure(name, num_labels, seed, args.steps)
                    keys = ("objective", "num_labels", "seed", "steps")
                    rows.append(dict(zip(keys, key, strict=True)) | metrics)
                    write_csv(path, rows)  # an interrupted run continues from here
    table(rows, args.out / "objectives.md")
    draw(rows, args.out / "objectives.png")


def measure(name: str, num_labels: int, seed: int, steps: int) -> dict[str, float]:
    """Trains a model by one of the estimators; returns its metrics on 1000 test images."""
    pyro.set_rng_seed(seed)
    ccvae = new_model(num_labels)
    adam = torch.optim.Adam(ccvae.parameters(), 2e-3)
    for _ in tqdm(range(steps), desc=f"{num_labels} labels, seed {seed}: {name}", unit="step"):
        loss = OBJECTIVES[name](ccvae, *toy(BATCH, num_labels)) / BATCH
        adam.zero_grad()
        loss.backward()
        adam.step()
    pyro.set_rng_seed(1_000 + seed)
    evaluation = evaluate(ccvae, [toy(1_000, num_labels)], ExactCCVAE_ELBO())
    return {key: getattr(evaluation, key) for key in METRICS}


def new_model(num_labels: int) -> CCVAE:
    """A CCVAE with small multilayer perceptrons and the paper's likelihood."""
    z_dim, pixels = num_labels + NUM_STYLE, 3 * SIDE * SIDE
    features = nn.Sequential(nn.Flatten(), mlp(pixels, 2 * z_dim, hidden=256))
    images = nn.Sequential(mlp(z_dim, pixels, hidden=256), nn.Unflatten(-1, (3, SIDE, SIDE)))
    return CCVAE(
        parts.GaussianEncoder(features, (num_labels, NUM_STYLE)),
        parts.LaplaceDecoder(images),
        parts.DiagonalClassifier(num_labels),
        parts.GaussianConditionalPrior(num_labels),
        parts.StandardNormal(NUM_STYLE),
        parts.BernoulliLabelPrior(torch.full((num_labels,), 0.5)),
    )


def toy(num_images: int, num_labels: int) -> tuple[Tensor, Tensor]:
    """Random images and labels: a grid of patches over a background of two shades."""
    across = 4 if num_labels <= 16 else 7
    size = SIDE // across
    y = torch.randint(2, (num_images, num_labels)).float()
    strength = y * (0.3 + 0.4 * torch.rand(num_images, num_labels))
    left, right = torch.rand(2, num_images, 3, 1, 1) * 0.3
    x = left + (right - left) * torch.linspace(0, 1, SIDE)
    x = x.expand(-1, -1, SIDE, -1).clone()
    for i in range(num_labels):
        row, column = i // across * size, i % across * size
        patch = x[:, i % 3, row : row + size - 1, column : column + size - 1]
        patch += strength[:, i, None, None]
    return x.clamp(0, 1), y


def group_seeds(rows: list[dict]) -> dict[tuple[str, int], dict[str, list[float]]]:
    """The metrics of all seeds, by estimator and number of labels."""
    groups: dict[tuple[str, int], dict[str, list[float]]] = {}
    for row in rows:
        group = groups.setdefault((row["objective"], int(row["num_labels"])), {})
        for key in METRICS:
            group.setdefault(key, []).append(float(row[key]))
    return groups


def table(rows: list[dict], path: Path) -> None:
    """Prints and writes the means over seeds, and half their range, as Markdown."""
    lines = ["| how Eq. (4) is optimized | labels | bound | error | accuracy |", "|---" * 5 + "|"]
    groups = group_seeds(rows)
    for name, num_labels in sorted(
        groups, key=lambda key: (key[1], list(OBJECTIVES).index(key[0]))
    ):
        values = [groups[name, num_labels][key] for key in METRICS]
        formats = ("{:.0f}", "{:.3f}", "{:.3f}")
        cells = [
            f"{form.format(mean(v))} ± {form.format((max(v) - min(v)) / 2)}"
            for form, v in zip(formats, values, strict=True)
        ]
        lines.append(f"| {name} | {num_labels} | {' | '.join(cells)} |")
    text = "\n".join(lines) + "\n"
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    print(text)


def draw(rows: list[dict], path: Path) -> None:
    """Draws label accuracy against reconstruction error; the top left is best."""
    groups = group_seeds(rows)
    counts = sorted({num_labels for _, num_labels in groups})
    figure = Figure(figsize=(4 * len(counts) + 3, 3.6), layout="constrained")
    axes = figure.subplots(1, len(counts), squeeze=False)
    for axis, num_labels in zip(axes[0], counts, strict=True):
        for name, marker in zip(OBJECTIVES, "os^Dv", strict=True):
            group = groups.get((name, num_labels))
            if group:
                axis.plot(group["reconstruction_error"], group["accuracy"], marker, label=name)
        axis.set(xlabel="reconstruction error", ylabel="label accuracy", ylim=(0.4, 1.03))
        axis.set_title(f"{num_labels} labels")
    figure.legend(
        *axes[0][0].get_legend_handles_labels(), loc="outside right center", frameon=False
    )
    with atomic_write(path) as part:
        figure.savefig(part, dpi=110, format="png")


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--num-labels", nargs="+", type=int, default=[10, 40], metavar="N",
        help="numbers of labels (default: 10 40)")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N",
        help="random seeds (default: 0 1 2)")
    add("--steps", type=int, default=800, metavar="N",
        help="training steps, of 100 images each (default: 800)")
    add("--out", type=Path, default=Path("runs/objectives"),
        help="folder for table and figure (default: runs/objectives)")
    return parser.parse_args(arguments)
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
