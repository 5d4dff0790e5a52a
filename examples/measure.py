"""Benchmarks the labels, images, edits and latents of trained models, side by side.

    python examples/measure.py runs/celeba
    python examples/measure.py runs/exact runs/paper --out runs/measured

Each folder is the --out of a run of celeba.py or mnist.py. All runs have the same images and
labels. Test images are used. An oracle classifier, independent of the models, is trained first.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import celeba
import common
import mnist
import options
import outcome
import pyro
from compare import load_oracle
from models import settings_for
from tables import format_value, write_rows

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.names import slugs
from ccvae_pyro.evaluation import Benchmark, benchmark
from ccvae_pyro.plotting import plot_change, spaced
from ccvae_pyro.training.devices import pick_device

BATCH_SIZE, ORACLE_EPOCHS = 100, 10


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; returns the exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Benchmarks each model, then writes tables and figures."""
    for folder in args.runs:
        if not (folder / "checkpoint.pt").is_file():
            what = "has no checkpoint.pt" if folder.is_dir() else "is no folder"
            raise FileNotFoundError(f"wanted the folder of a run, but {folder} {what}")
    args.out = args.out or args.runs[0] / "measured"
    device = pick_device(args.device)
    config = outcome.read_config(args.runs[0])
    data = load_data(config, args.root)
    path = args.oracle or args.out / "oracle.pt"
    settings = settings_for(config["data"], "classifier")
    oracle = load_oracle(path, data, settings, args.oracle_epochs, device)
    batches = Batches(data, min(BATCH_SIZE, len(data.splits["train"])), device=device)
    results = {}
    names = names_of(args.runs)
    for folder, name, file_name in zip(args.runs, names, slugs(names), strict=True):
        model = ccvae_pyro.load(folder).to(device)
        if model.label_names != data.label_names:
            raise ValueError(f"{folder} has other labels than {args.runs[0]}")
        print(f"measuring {folder}")
        pyro.set_rng_seed(0)
        result = benchmark(model, oracle, batches, num_images=args.num_edited)
        with atomic_write(args.out / f"change_{file_name}.png") as part:
            figure = plot_change(data.label_names, result.edits.change)
            figure.savefig(part, dpi=110, format="png")
        results[name] = result
    write_metrics(args.out / "measured", results)
    write_labels(args.out / "labels", results)
    plain = {name: to_plain(result) for name, result in results.items()}
    outcome.write_json(args.out / "measured.json", plain)
    print(f"tables, figures and metrics are in {args.out}")


def names_of(folders: list[Path]) -> list[str]:
    """The name of each run: that of its folder, or its whole path if two have one name."""
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) == len(names):
        return names
    paths = list(map(str, folders))
    if len(set(paths)) < len(paths):
        raise ValueError(f"wanted different runs, got {', '.join(paths)}")
    return paths


def load_data(config: dict, root: Path) -> LabeledImages:
    """The images of a run, with all of their labels."""
    is_mnist = config.get("data") in mnist.DATA
    if not is_mnist and "attributes" not in config:
        raise ValueError("wanted a run of celeba.py or mnist.py, got a run of another example")
    example = mnist if is_mnist else celeba
    complete = {"root": root, "download": False, "labels_per_class": None, "cache": None}
    return example.load(argparse.Namespace(**(outcome.BEFORE | config | complete)))


def write_metrics(path: Path, results: dict[str, Benchmark]) -> None:
    """A row for each metric: its value for each model, the trivial baseline and real images."""
    rows = []
    first = next(iter(results.values()))
    for key, metric in first.metrics.items():
        values = {name: result.metrics[key].value for name, result in results.items()}
        baselines = {
            "trivial baseline": metric.trivial_baseline,
            "real images": metric.real_images,
        }
        rows.append({"metric": key, **values, **baselines})
    write_rows(path, rows, cell=format_cell)


def write_labels(path: Path, results: dict[str, Benchmark]) -> None:
    """A row for each label: the accuracy of its edits under the oracle, and the F1 score."""
    rows = []
    for label in next(iter(results.values())).edits.edit_accuracy:
        row: dict = {"label": label}
        for name, result in results.items():
            accuracy = result.edits.edit_accuracy[label]
            row |= {f"{name}, {key}": value for key, value in accuracy.items()}
        rows.append(row)
    write_rows(path, rows, cell=format_cell)


def format_cell(value: float | str | None) -> str:
    """The text of a cell, without underscores."""
    return spaced(format_value(value))


def to_plain(result: Benchmark) -> dict:
    """Plain values for JSON."""
    return {
        "metrics": {key: metric.value for key, metric in result.metrics.items()},
        "edit_accuracy": result.edits.edit_accuracy,
        "change": result.edits.change.tolist(),
    }


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="folders of training runs")
    add("--root", type=Path, default=Path("data"),
        help="folder of the data, or of their cache (default: data)")
    add("--oracle", type=Path, metavar="FILE",
        help="file of the oracle classifier; it is trained and saved there if there is none "
        "(default: oracle.pt in --out)")
    add("--oracle-epochs", type=options.positive, default=ORACLE_EPOCHS, metavar="N",
        help=f"epochs of training the oracle (default: {ORACLE_EPOCHS})")
    add("--num-edited", type=options.positive, default=1_000, metavar="N",
        help="number of test images that are edited and compared (default: 1000)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add("--out", type=Path,
        help="folder for the results (default: measured, in the folder of the first run)")
    return parser.parse_args(arguments)
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
