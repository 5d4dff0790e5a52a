"""Measures what one can do with trained models, side by side.

    python examples/measure.py runs/celeba
    python examples/measure.py runs/exact runs/paper --out runs/measured

Each folder is what celeba.py or mnist.py left; all are about the same images, of which those held
out are used. A reader, a classifier that has no part in any of the models, is trained first.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import celeba
import common
import mnist
import options
import outcome
import pyro
from compare import load_reader
from models import settings_for
from tables import shown, write_rows

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.evaluation.benchmark import Figure, judge
from ccvae_pyro.evaluation.edit_metrics import EditEffects
from ccvae_pyro.plotting import plot_change
from ccvae_pyro.plotting.grid import spaced
from ccvae_pyro.training.devices import pick_device

BATCH_SIZE, READER_EPOCHS = 100, 10


def main(arguments: list[str] | None = None) -> int:
    """Measures the models; returns the exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Measures each model, then writes the tables and figures."""
    args.out = args.out or args.runs[0] / "measured"
    device = pick_device(args.device)
    config = json.loads((args.runs[0] / "config.json").read_text())
    data = load_of(config, args.root)
    path = args.reader or args.out / "reader.pt"
    settings = settings_for(config["data"], "classifier")
    reader = load_reader(path, data, settings, args.reader_epochs, device)
    batches = Batches(data, min(BATCH_SIZE, len(data.splits["train"])), device=device)
    figures, effects = {}, {}
    for folder in args.runs:
        model = ccvae_pyro.load(folder / "checkpoint.pt").to(device)
        if model.label_names != data.label_names:
            raise ValueError(f"{folder} is of other labels than {args.runs[0]}")
        print(f"measuring {folder}")
        pyro.set_rng_seed(0)
        name = folder.name
        figures[name], effects[name] = judge(model, reader, batches, num_images=args.num_edited)
        with atomic_write(args.out / f"change_{name}.png") as part:
            figure = plot_change(data.label_names, effects[name].change)
            figure.savefig(part, dpi=110, format="png")
    write_figures(args.out / "measured", figures)
    write_labels(args.out / "labels", effects)
    outcome.write_json(args.out / "measured.json", plain(figures, effects))
    print(f"tables, figures and numbers are in {args.out}")


def load_of(config: dict, root: Path) -> LabeledImages:
    """The images that a run was made of, with all of their labels."""
    if "data" not in config:
        raise ValueError("wanted a run of celeba.py or mnist.py, got one of another example")
    example = celeba if config["data"] in celeba.EPOCHS else mnist
    complete = {"root": root, "download": False, "labels_per_class": None}
    return example.load(argparse.Namespace(**(config | complete)))


def write_figures(path: Path, figures: dict[str, dict[str, Figure]]) -> None:
    """A row for each figure: of every model, and of what knows nothing and of true images."""
    rows = []
    first = next(iter(figures.values()))
    for key, (_, nothing, truth) in first.items():
        of_models = {name: found[key].value for name, found in figures.items()}
        rows.append({"figure": key, **of_models, "knows nothing": nothing, "true images": truth})
    write_rows(path, rows, cell=readable)


def write_labels(path: Path, effects: dict[str, EditEffects]) -> None:
    """A row for each label: how often a reader finds it as it was set, and the F1."""
    rows = []
    for label in next(iter(effects.values())).effectiveness:
        row: dict = {"label": label}
        for name, found in effects.items():
            row |= {f"{name}, {key}": value for key, value in found.effectiveness[label].items()}
        rows.append(row)
    write_rows(path, rows, cell=readable)


def readable(value: float | str | None) -> str:
    """A cell of the tables, in which figures and labels are named."""
    return spaced(shown(value))


def plain(figures: dict[str, dict[str, Figure]], effects: dict[str, EditEffects]) -> dict:
    """All of it, for JSON."""
    return {
        name: {
            "figures": {key: figure.value for key, figure in found.items()},
            "edits_met": effects[name].effectiveness,
            "change": effects[name].change.tolist(),
        }
        for name, found in figures.items()
    }


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="folders that training runs left")
    add("--root", type=Path, default=Path("data"),
        help="folder of the data, or of their cache (default: data)")
    add("--reader", type=Path, metavar="FILE",
        help="where the reader is, or is to be kept (default: in --out)")
    add("--reader-epochs", type=options.positive, default=READER_EPOCHS, metavar="N",
        help=f"passes that the reader is trained for (default: {READER_EPOCHS})")
    add("--num-edited", type=options.positive, default=1_000, metavar="N",
        help="test images that are edited and compared (default: 1000)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add("--out", type=Path, help="folder for the results (default: measured, in the first run)")
    return parser.parse_args(arguments)
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
