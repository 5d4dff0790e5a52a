"""Tabulates the accuracy with few labels, beside published results.

    python examples/few_labels.py --root data --download --seeds 0 1
    python examples/few_labels.py --data fashion --root data --download --labels 100 3000

Each cell is a run of mnist.py with its defaults. Finished cells are not repeated, so the script
can be interrupted, extended, or run in parallel with the same --out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path

import common
import mnist
import options
from tables import write_table

NUM_CLASSES = 10
# Accuracies on MNIST: from Pyro's tutorial on semi-supervised VAEs, which trains M2 with an
# auxiliary loss, and from Kingma et al. (2014), Table 1, where M1+M2 stacks two models.
PUBLISHED = {
    "Pyro's SS-VAE": {100: 0.932, 600: 0.944, 1000: 0.949, 3000: 0.958},
    "M1+M2": {100: 0.9667, 600: 0.9741, 1000: 0.9760, 3000: 0.9782},
}
SETTINGS = ["data", "labels", "seed", "epochs"]


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Runs the cells that are not finished, then writes the table of all finished cells."""
    for data, num_labels, seed in itertools.product(args.data, args.labels, args.seeds):
        out = args.out / f"{data}-{num_labels}-{seed}"
        print(out.name, flush=True)
        if not (out / "metrics.json").exists():
            given = [f"--labels-per-class={num_labels // NUM_CLASSES}", f"--seed={seed}"]
            given += [f"--data={data}", f"--root={args.root}", f"--out={out}", "--resume"]
            given += ["--download"] * args.download
            given += [f"--epochs={args.epochs}"] if args.epochs else []
            mnist.run(mnist.parse(given))
    rows = [row(path) for path in args.out.glob("*/metrics.json")]
    rows.sort(key=lambda row: [row[key] for key in SETTINGS])
    write_table(args.out / "few_labels", rows, SETTINGS)


def row(path: Path) -> dict:
    """The metrics of a run, and published accuracies with the same number of labels."""
    metrics = json.loads(path.read_text())
    config = metrics["config"]
    num_labels = config["labels_per_class"] * NUM_CLASSES
    settings = (config["data"], num_labels, config["seed"], config["epochs"])
    values = {
        "classifier": metrics["accuracy"],
        "bayes_rule": metrics["by_bayes_rule"]["accuracy"],
        "reconstruction_error": metrics["reconstruction_error"],
        "minutes": metrics["seconds_per_epoch"] * config["epochs"] / 60,
    }
    for name, accuracies in PUBLISHED.items():
        values[name] = accuracies.get(num_labels) if config["data"] == "mnist" else None
    return dict(zip(SETTINGS, settings, strict=True)) | values


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("--data", nargs="+", choices=["mnist", "fashion"], default=["mnist", "fashion"],
        help="data sets (default: mnist fashion)")
    add("--root", type=Path, default=Path("data"), help="folder of the data (default: data)")
    add("--download", action="store_true", help="let torchvision download MNIST to --root first")
    add("--labels", nargs="+", type=options.positive, default=[100, 600, 1000, 3000], metavar="N",
        help="numbers of labels, the same number for each class (default: 100 600 1000 3000)")
    add("--epochs", type=options.positive, metavar="N",
        help="epochs of training (default: as mnist.py)")
    add("--seeds", nargs="+", type=options.count, default=[0, 1], metavar="N",
        help="random seeds (default: 0 1)")
    add("--out", type=Path, default=Path("runs/few_labels"),
        help="folder for runs and table (default: runs/few_labels)")
    args = parser.parse_args(arguments)
    if any(count % NUM_CLASSES for count in args.labels):
        parser.error(f"--labels are multiples of {NUM_CLASSES}, got {args.labels}")
    return args
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
