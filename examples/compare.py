"""Compares objectives, shares of labels and seeds on avatars, and tabulates what comes out.

    python examples/compare.py --objectives tilted published --attributes 40 --seeds 0 1
    python examples/compare.py --objectives tilted published classifier --label-fractions .004 .06

A cell that is done is not run again: stop it, add to it, or run parts of it side by side, with the
same --out.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import sys
import time
from pathlib import Path

import celeba
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pyro
import torch
from pyro.infer import SVI

import ccvae_pyro
from ccvae_pyro import generate
from ccvae_pyro.data import Batches, LabeledImages, hide_labels
from ccvae_pyro.devices import pick_device
from ccvae_pyro.files import written_whole
from ccvae_pyro.image_grid import draw_grid
from ccvae_pyro.supervised import read_accuracy, train_classifier

SETTINGS = ("objective", "attributes", "missing", "label_fraction", "epochs", "seed")
FIGURES = ("accuracy", "balanced_accuracy", "average_precision", "reconstruction_error")
FIGURES += ("read_accuracy", "bound", "seconds")
READER_EPOCHS = 10
NUM_FACES = 10


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison; returns its exit code."""
    return celeba.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Runs the cells that are not there yet, then writes the table of all that are."""
    choices = (args.objectives, args.attributes, [args.missing], args.label_fractions)
    cells = [
        dict(zip(SETTINGS, values, strict=True))
        for values in itertools.product(*choices, [args.epochs], args.seeds)
    ]
    for number, cell in enumerate(cells, start=1):
        folder = args.out / "-".join(f"{value}" for value in cell.values())
        print(f"{number} of {len(cells)}: {cell}", flush=True)
        if not (folder / "cell.json").exists():
            celeba.write_json(folder / "cell.json", cell | measure(args, cell, folder))
    rows = [json.loads(path.read_text()) for path in args.out.glob("*/cell.json")]
    rows.sort(key=lambda row: [row[key] for key in SETTINGS[1:]] + [row["objective"]])
    write_table(args.out, rows)
    draw(rows, args.out / "compare.png")
    draw_faces(args, args.out / "faces.png")


def measure(args: argparse.Namespace, cell: dict, folder: Path) -> dict:
    """Trains one model; returns its figures on the test images."""
    device = pick_device("auto")
    options = ["--root", str(args.root), "--attributes", str(cell["attributes"])]
    options += ["--num-images", str(args.num_images)]
    if cell["objective"] != "classifier":
        options += ["--objective", cell["objective"]]
    settings = celeba.parse(options)
    complete = celeba.load(settings)
    reader = load_reader(args.out, complete, args.batch_size, device)
    fraction, missing = cell["label_fraction"], cell["missing"]
    data = hide_labels(complete, fraction, missing=missing, seed=cell["seed"])
    batches = Batches(data, args.batch_size, seed=cell["seed"], device=device)

    pyro.set_rng_seed(cell["seed"])
    ccvae = new_model(data, settings.likelihood_scale).to(device)
    celeba.set_weight(settings, batches)
    start = time.perf_counter()
    if cell["objective"] == "classifier":
        train_classifier(ccvae, batches, cell["epochs"])
    else:
        adam = ccvae_pyro.make_adam(settings.learning_rate)
        svi = SVI(ccvae.model, ccvae.guide, adam, loss=celeba.make_objective(settings))
        ccvae_pyro.train(ccvae, svi, batches, cell["epochs"], folder, resume=True)
    figures = {"seconds": round(time.perf_counter() - start, 1)}
    pyro.set_rng_seed(cell["seed"])
    bound = ccvae_pyro.TiltedCCVAE_ELBO()  # exact, whatever was trained by
    figures |= ccvae_pyro.evaluate(ccvae, batches.held_out("test"), bound)
    y = torch.cat([y for _, y in batches.held_out("test")])
    figures["read_accuracy"] = read_accuracy(ccvae, reader, y)
    if cell["objective"] == "classifier":  # it has learned of labels only
        figures |= dict.fromkeys(("reconstruction_error", "read_accuracy", "bound"))
    return {key: figures[key] for key in FIGURES}


def new_model(data: LabeledImages, likelihood_scale: float = 1.0) -> ccvae_pyro.CCVAE:
    """A model of these images, with the paper's 45 dimensions or five more than labels."""
    num_labels, names = len(data.label_names), data.label_names
    return ccvae_pyro.celeba(
        num_labels,
        max(45, num_labels + 5),
        data.label_frequencies(),
        likelihood_scale=likelihood_scale,
        label_names=names,
    )


def load_reader(
    out: Path, data: LabeledImages, batch_size: int, device: torch.device
) -> ccvae_pyro.CCVAE:
    """A classifier of these labels, trained once on true images with all of them."""
    path = out / f"reader-{len(data.label_names)}.pt"
    if path.exists():
        return ccvae_pyro.load(path).to(device)
    pyro.set_rng_seed(1_000)
    reader = new_model(data).to(device)
    batches = Batches(data, batch_size // 2, device=device)
    train_classifier(reader, batches, READER_EPOCHS)
    figures = ccvae_pyro.evaluate(reader, batches.held_out("test"))
    print(f"the reader is right of {figures['balanced_accuracy']:.3f} true images, balanced")
    ccvae_pyro.save(path, reader)
    return reader


def write_table(out: Path, rows: list[dict]) -> None:
    """Writes every cell to a CSV, and to a table in Markdown that is printed as well."""
    with written_whole(out / "compare.csv") as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, SETTINGS + FIGURES)
        writer.writeheader()
        writer.writerows(rows)
    names = [name.replace("_", " ") for name in SETTINGS + FIGURES]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        lines.append(f"| {' | '.join(shown(row[key]) for key in SETTINGS + FIGURES)} |")
    table = "\n".join(lines) + "\n"
    with written_whole(out / "compare.md") as part:
        part.write_text(table)
    print(table)


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
def draw_faces(args: argparse.Namespace, path: Path) -> None:
    """Draws what the models trained with the most labels make of the same test images."""
    attributes, fraction, seed = max(args.attributes), max(args.label_fractions), args.seeds[0]
    settings = ["--root", str(args.root), "--num-images", str(args.num_images)]
    data = celeba.load(celeba.parse([*settings, "--attributes", str(attributes)]))
    x, y = next(Batches(data, args.batch_size).held_out("test"))
    x, y = x[:NUM_FACES], y[:NUM_FACES]
    rows, names = [x], ["test images"]
    for objective in args.objectives:
        cell = (objective, attributes, args.missing, fraction, args.epochs, seed)
        checkpoint = args.out / "-".join(map(str, cell)) / "checkpoint.pt"
        if checkpoint.exists():
            ccvae = ccvae_pyro.load(checkpoint)
            pyro.set_rng_seed(0)
            made = (ccvae_pyro.reconstruct(ccvae, x), *(generate(ccvae, y) for _ in range(2)))
            rows += made
            names += [f"{objective}:\nreconstructed", *["generated to\nthe labels"] * 2]
    with written_whole(path) as part:
        draw_grid(rows, names).savefig(part, dpi=110, format="png")


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--objectives", nargs="+", choices=["tilted", "published", "unstopped", "classifier"],
        default=["tilted", "published"], help="what to train by (default: tilted published)")
    add("--attributes", nargs="+", type=celeba.positive, default=[18], metavar="N",
        help="how many attributes (default: 18)")
    add("--label-fractions", nargs="+", type=float, default=[1.0], metavar="F",
        help="shares of labels that are seen (default: 1)")
    add("--missing", choices=["rows", "entries"], default="rows",
        help="whether all labels of an image are hidden or each on its own (default: rows)")
    add("--seeds", nargs="+", type=int, default=[0], help="default: 0")
    add("--epochs", type=celeba.positive, default=20, metavar="N", help="default: 20")
    add("--num-images", type=celeba.positive, default=12_000, metavar="N", help="default: 12000")
    add("--batch-size", type=celeba.positive, default=200, metavar="N", help="default: 200")
    add("--root", type=Path, default=Path("data"), help="cache of the avatars (default: data)")
    add("--out", type=Path, default=Path("runs/compare"),
        help="folder for models, table and figure (default: runs/compare)")
    return parser.parse_args(arguments)
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
