"""Compares the library's defaults with simple baselines on images of several kinds.

    python examples/photographs.py --data data --sets digits people mnist fashion --seeds 0 1

Each data set is used with few and with many known labels. A CCVAE is trained as folder.py or
mnist.py does by default. The baselines of labels learn from the same known labels; those of images
have as many principal components as the CCVAE has latents, or 30, or none. All are measured on the
test images, all of whose labels are known.

A data set that is not in --data is left out, and the script says where it is from. Finished cells
are not repeated, so the script can be interrupted, extended, or run in parallel with the same
--out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import common
import mnist
import numpy as np
import options
import outcome
import simple_baselines
import torch
from photograph_sets import LABELS_PER_CLASS, SETS
from tables import format_value, write_csv, write_markdown
from tqdm.auto import tqdm

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages, atomic_write
from ccvae_pyro.evaluation import (
    BinaryMetrics,
    ContinuousMetrics,
    LabelSummary,
    evaluate,
    label_metrics,
)
from ccvae_pyro.evaluation.label_metrics import summarize
from ccvae_pyro.plotting import draw_grid

LABEL_BASELINES = {
    "cnn": simple_baselines.cnn,
    "logistic": simple_baselines.logistic_regression,
    "svm": simple_baselines.pca_svm,
    "majority": simple_baselines.majority,
}
METHODS = {
    "ours": "ours",
    "bayes": "ours, by Bayes' rule",  # measured with ours
    "cnn": "CNN",
    "logistic": "logistic regression",
    "svm": "PCA and SVM",
    "majority": "majority",
    "pca": "PCA of the same size",
    "pca30": "PCA of size 30",
    "mean": "mean image",
}
ERROR, SECONDS = "reconstruction error", "seconds"
LEVELS = ("few", "many")
RUN = tuple(method for method in METHODS if method != "bayes")
MAX_LABELS = 4  # of a set whose labels have lines of their own in the table
NUM_IMAGES = 10  # in a row of a figure
BATCH_SIZE = 100  # of evaluation
CNN_SHIFT = 2  # pixels


@dataclass(frozen=True)
class Cell:
    """A method on a data set.

    :param name: of the data set.
    :param level: ``"few"`` or ``"many"`` labels.
    :param method: one of the methods.
    :param seed: of the method, and of the choice of few labels.
    """

    name: str
    level: str
    method: str
    seed: int


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Runs the cells that are not finished; writes table and figures of all finished cells."""
    for name, level, seed in itertools.product(args.sets, args.labels, args.seeds):
        cells = [Cell(name, level, method, seed) for method in args.methods]
        cells = [cell for cell in cells if not (folder_of(args, cell) / "cell.json").exists()]
        if not cells:
            continue
        try:
            data = SETS[name].load(args.data, args.cache, level, seed)
        except (FileNotFoundError, ModuleNotFoundError) as error:
            print(f"{name} is left out: {common.first_line(error)}; {SETS[name].source}")
            continue
        for cell in tqdm(cells, desc=f"{name}, {level} labels, seed {seed}", unit="cell"):
            outcome.write_json(folder_of(args, cell) / "cell.json", measure(args, cell, data))
    paths = args.out.glob("*/cell.json")
    rows = [row for path in paths for row in json.loads(path.read_text())]
    rows.sort(key=sort_key)
    shown = [row for row in rows if row["steps"] == steps_of(args, row["method"])]
    if not shown:
        raise ValueError(f"none of the sets is there: {', '.join(args.sets)}")
    write_csv(args.out / "photographs.csv", rows)
    write_markdown(args.out / "photographs.md", table(shown))
    for name in dict.fromkeys(row["set"] for row in shown):
        draw(args, name)


def steps_of(args: argparse.Namespace, method: str) -> int | None:
    """The given number of steps, if the method takes steps."""
    return args.steps if method in ("ours", "bayes", "cnn") else None


def folder_of(args: argparse.Namespace, cell: Cell) -> Path:
    """The folder of a cell."""
    steps = steps_of(args, cell.method)
    method = f"{cell.method}-{steps}-steps" if steps else cell.method
    return args.out / f"{cell.name}-{cell.level}-{method}-{cell.seed}"


def measure(args: argparse.Namespace, cell: Cell, data: LabeledImages) -> list[dict]:
    """Runs a method; returns a row for each of its metrics on the test images."""
    start, test = time.monotonic(), data.splits["test"]
    if cell.method == "ours":
        metrics = measure_ours(args, cell, data)
    elif cell.method in LABEL_BASELINES:
        y = data.labels[test].astype(np.float64)
        summary = summarize(data.label_types, [(y, predict(args, cell, data))])
        metrics = {cell.method: metrics_of(summary)}
    else:
        reconstructions = reconstruct(args, cell, data)
        error = np.abs(reconstructions - simple_baselines.pixels(data, test)).mean()
        metrics = {cell.method: {ERROR: float(error)}}
        keep_images(args, cell, data, reconstructions[places_shown(data)])
    metrics[cell.method][SECONDS] = time.monotonic() - start
    known = int((~np.isnan(data.labels[data.splits["train"], 0])).sum())
    shared = {"set": cell.name, "labels": cell.level, "known": known, "seed": cell.seed}
    return [
        shared
        | {"method": method, "steps": steps_of(args, method), "metric": metric, "value": value}
        for method, values in metrics.items()
        for metric, value in values.items()
    ]


def measure_ours(
    args: argparse.Namespace, cell: Cell, data: LabeledImages
) -> dict[str, dict[str, float]]:
    """Trains a CCVAE; returns the metrics of its classifier and of Bayes' rule from its priors."""
    ccvae = ours(args, cell, data)
    batches = Batches(data, min(BATCH_SIZE, len(data.splits["train"])))
    evaluation = evaluate(ccvae, batches.held_out("test"))
    by_bayes_rule = ccvae_pyro.with_bayes_classifier(ccvae)
    x, _ = data.batch(data.splits["test"][places_shown(data)])
    keep_images(args, cell, data, ccvae_pyro.reconstruct(ccvae, x).movedim(1, -1).numpy())
    return {
        "ours": metrics_of(evaluation) | {ERROR: evaluation.reconstruction_error},
        "bayes": metrics_of(label_metrics(by_bayes_rule, batches.held_out("test"))),
    }


def ours(args: argparse.Namespace, cell: Cell, data: LabeledImages) -> ccvae_pyro.CCVAE:
    """A CCVAE, trained on these data by an example with its defaults."""
    settings = settings_of(args, cell)
    if args.steps:
        settings.steps = args.steps
    common.fit(settings, lambda _: data, SETS[cell.name].example.make_model)
    return ccvae_pyro.load(settings.out)


def settings_of(args: argparse.Namespace, cell: Cell) -> argparse.Namespace:
    """The settings of the example."""
    given = [f"--root={args.data}", f"--out={folder_of(args, cell)}", f"--seed={cell.seed}"]
    if SETS[cell.name].example is mnist:
        given += [f"--data={cell.name}", f"--labels-per-class={LABELS_PER_CLASS[cell.level]}"]
    else:
        given += ["--labels=labels.csv"]  # which is not read: the data are at hand
    return SETS[cell.name].example.parse([*given, "--resume"])


def predict(args: argparse.Namespace, cell: Cell, data: LabeledImages) -> np.ndarray:
    """The predictions of a baseline of labels for the test images."""
    if cell.method != "cnn":
        return LABEL_BASELINES[cell.method](data, cell.seed)
    steps = args.steps or simple_baselines.STEPS
    warp = SETS[cell.name].warp
    return simple_baselines.cnn(data, cell.seed, shift=CNN_SHIFT, warp=warp, steps=steps)


def reconstruct(args: argparse.Namespace, cell: Cell, data: LabeledImages) -> np.ndarray:
    """The reconstructions of the test images by a baseline of images."""
    if cell.method == "mean":
        return simple_baselines.mean_image(data, cell.seed)
    num_components = 30
    if cell.method == "pca":  # as many as there are latents
        model = SETS[cell.name].example.make_model(settings_of(args, cell), data)
        num_components = model.config["z_dim"]
    return simple_baselines.pca_reconstructions(data, cell.seed, num_components=num_components)


def metrics_of(summary: LabelSummary) -> dict[str, float]:
    """The metrics of each label, or their means if labels are many, by what the table has."""
    if len(summary.per_label) > MAX_LABELS:
        return {"accuracy": summary.accuracy, "balanced accuracy": summary.balanced_accuracy}
    metrics = {}
    for name, each in summary.per_label.items():
        if isinstance(each, ContinuousMetrics):
            metrics[f"{name}: mean absolute error"] = each.mean_absolute_error
            continue
        metrics[f"{name}: accuracy"] = each.accuracy
        if isinstance(each, BinaryMetrics):
            metrics[f"{name}: balanced accuracy"] = each.balanced_accuracy
    return metrics


def table(rows: list[dict]) -> list[dict]:
    """A row for each metric with the mean over seeds of each method, and half the range.

    :param rows: sorted rows of cells.
    """
    lines: dict[tuple, dict[str, list[float]]] = {}
    for row in rows:
        line = lines.setdefault((row["set"], row["labels"], row["metric"]), {})
        line.setdefault(row["method"], []).append(row["value"])
        line.setdefault("known", []).append(row["known"])
    methods = [method for method in METHODS if any(method in line for line in lines.values())]
    return [
        {"set": name, "labels": f"{line['known'][0]:,}", "metric": metric}
        | {METHODS[method]: mean_and_range(line.get(method, [])) for method in methods}
        for (name, _, metric), line in lines.items()
    ]


def mean_and_range(values: list[float]) -> str:
    """The text of a cell of the table; empty without a value."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    text = format_value(mean(known))
    spread = (max(known) - min(known)) / 2
    return f"{text} ± {format_value(spread)}" if len(known) > 1 else text


def sort_key(row: dict) -> tuple:
    """The sort key of a row: by set, labels, metric, method, seed."""
    order = row["metric"] in (ERROR, SECONDS), row["metric"] == SECONDS  # at the end
    places = [*SETS].index(row["set"]), LEVELS.index(row["labels"])
    return *places, *order, [*METHODS].index(row["method"]), row["seed"]


def keep_images(
    args: argparse.Namespace, cell: Cell, data: LabeledImages, reconstructions: np.ndarray
) -> None:
    """Keeps a few test images and their reconstructions, for the figure."""
    x = data.images[data.splits["test"][places_shown(data)]]
    reconstructions = (255 * reconstructions.clip(0, 1)).round().reshape(x.shape)
    with atomic_write(folder_of(args, cell) / "images.npz") as part, part.open("wb") as file:
        np.savez(file, x=x, reconstructions=reconstructions.astype(np.uint8))


def places_shown(data: LabeledImages) -> np.ndarray:
    """Where the images of the figure are among the test images: evenly spread."""
    return np.linspace(0, len(data.splits["test"]) - 1, NUM_IMAGES).astype(int)


def draw(args: argparse.Namespace, name: str) -> None:
    """Draws test images of a set and their reconstructions, with as many labels as there are."""
    rows, titles = [], []
    for method, title in METHODS.items():
        choices = itertools.product(reversed(LEVELS), args.seeds)
        cells = [Cell(name, level, method, seed) for level, seed in choices]
        paths = [folder_of(args, cell) / "images.npz" for cell in cells]
        if path := next((path for path in paths if path.exists()), None):
            images = np.load(path)
            rows = [*(rows or [images["x"]]), images["reconstructions"]]
            titles.append(title)
    if rows:
        tensors = [torch.from_numpy(row).movedim(-1, 1) for row in rows]
        with atomic_write(args.out / f"photographs-{name}.png") as part:
            draw_grid(tensors, ["test images", *titles]).savefig(part, dpi=110, format="png")


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("--data", type=Path, default=Path("data"), metavar="ROOT",
        help="folder of the data sets (default: data)")
    add("--cache", type=Path, metavar="DIR",
        help="folder for decoded images and drawn avatars (default: in the folder of the data)")
    add("--sets", nargs="+", choices=SETS, default=[*SETS], metavar="SET",
        help=f"any of {', '.join(SETS)} (default: all)")
    add("--labels", nargs="+", choices=LEVELS, default=[*LEVELS], metavar="LEVEL",
        help="few, many, or both (default: both)")
    add("--methods", nargs="+", choices=RUN, default=[*RUN], metavar="METHOD",
        help=f"any of {', '.join(RUN)} (default: all)")
    add("--seeds", nargs="+", type=options.count, default=[0], metavar="N",
        help="random seeds (default: 0)")
    add("--steps", type=options.positive, metavar="N",
        help="training steps of the CCVAE, to the next whole epoch, and of the CNN (default: "
        f"as the example, and {simple_baselines.STEPS})")
    add("--out", type=Path, default=Path("runs/photographs"),
        help="folder for runs, table and figures (default: runs/photographs)")
    return parser.parse_args(arguments)
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
