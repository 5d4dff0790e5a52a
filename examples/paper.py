"""Runs the paper's experiment on CelebA: four models, each with four shares of known labels.

    python examples/paper.py --root data
    python examples/paper.py --data hf:flwrlabs/celeba --models paper --fractions .2
    python examples/paper.py --root data --num-images 2000 --epochs 2 --out runs/paper_small

Images, networks and training are those of Joy et al. (2021) and their code: 18 attributes, images
squashed to 64x64, 45 latents, a Laplace likelihood of scale 1, Adam with a constant learning rate
of 0.0001, batches of 200, 100 samples for q(y|x), and 95 epochs. The share of labeled images in a
batch is that in the data.

The script writes paper.md, with the accuracy of each model on the test images by the share of
known labels, beside the published one, where published_accuracies.csv has it; measures.md, with
measures of conditional samples, edits and swaps under an independent classifier; and figures of
accuracies, latent walks, conditional samples and swaps of a characteristic.

Each model and share is a cell. Finished cells are not repeated and an interrupted one goes on from
its checkpoint, so the script can be interrupted, extended, or run in parallel with the same --out.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import celeba
import common
import options
import outcome
import pyro
import torch
from compare import load_oracle
from matplotlib.figure import Figure
from models import CCVAE_OBJECTIVES, new_model, objective_of, set_weight, settings_for
from photographs import mean_and_range
from pyro.infer import SVI
from tables import MARKS, draw_images, write_csv, write_markdown
from torch import Tensor
from tqdm.auto import tqdm

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages, atomic_write, hide_labels
from ccvae_pyro.data.names import spaced
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.evaluation import conditional_generation_accuracy, edit_metrics, mean_of_known
from ccvae_pyro.evaluation.edit_metrics import swap_distance
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.plotting import draw_grid
from ccvae_pyro.training import default_epochs_per_evaluation, pick_device

MODELS = {
    "paper": "CCVAE",
    "m2": "M2",
    "diva": "DIVA",
    "mvae": "MVAE",
    "exact": "CCVAE, exact",  # not in the paper: its bound with the label terms in closed form
}
IN_PAPER = ("paper", "m2", "diva", "mvae")
FRACTIONS = (0.004, 0.06, 0.2, 1.0)
LEARNING_RATE, BATCH_SIZE, EPOCHS = 1e-4, 200, 95
LIKELIHOOD_SCALE, NUM_LABEL_SAMPLES = 1.0, 100
PUBLISHED = Path(__file__).with_name("published_accuracies.csv")
MEASURES = {
    "balanced_accuracy": "balanced accuracy",
    "reconstruction_error": "reconstruction error",
    "conditional_generation_accuracy": "conditional generation accuracy",
    "edit_accuracy": "edit accuracy",
    "change_of_edited_label": "change of the edited label",
    "change_of_other_labels": "change of other labels",
    "swap_distance": "distance of swapped labels to the donor's",
    "distance_before_swap": "before the swap",
}
# What figures show, as far as the images have it.
SHOWN = ("Smiling", "Bangs", "No_Beard", "Eyeglasses", "Male")
NUM_WALKED, NUM_DONORS, NUM_STEPS = 3, 8, 9


@dataclass(frozen=True)
class Cell:
    """A model and its training data.

    :param model: a key of ``MODELS``.
    :param fraction: the share of training images whose labels are known.
    :param epochs: how long it is trained.
    :param seed: of the model, and of the choice of labeled images.
    """

    model: str
    fraction: float
    epochs: int
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.model}-{self.fraction:g}-{self.epochs}-{self.seed}"


def main(arguments: list[str] | None = None) -> int:
    """Runs the experiment; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Runs the cells that are not finished; writes tables and figures of all finished ones."""
    published = read_published(args.published)
    data = load(args)
    if not (len(data.splits["valid"]) and len(data.splits["test"])):
        raise ValueError("wanted validation and test images, got none: take more --num-images")
    kept = ("data", "num_images", "attributes", "oracle_epochs", "num_edited")
    outcome.check_config(args.out / "config.json", {key: vars(args)[key] for key in kept})
    choices = itertools.product(args.fractions, args.models, [args.epochs], args.seeds)
    cells = [Cell(model, fraction, epochs, seed) for fraction, model, epochs, seed in choices]
    with tqdm(cells, desc="cells", unit="cell") as bar:
        for cell in bar:
            path = args.out / cell.name / "cell.json"
            bar.write(f"{MODELS[cell.model]}, {cell.fraction:g} of labels, seed {cell.seed}")
            if not path.exists():
                outcome.write_json(path, measure(args, cell, data))
    write(args, data, published)


def write(args: argparse.Namespace, data: LabeledImages, published: dict) -> None:
    """Writes the tables and draws the figures of all finished cells of so many epochs."""
    rows = [json.loads(path.read_text()) for path in args.out.glob("*/cell.json")]
    rows = [row for row in rows if row["epochs"] == args.epochs]
    rows.sort(key=lambda row: ([*MODELS].index(row["model"]), row["fraction"], row["seed"]))
    write_csv(args.out / "paper.csv", rows)
    write_markdown(
        args.out / "paper.md", table_of_accuracies(rows, published), below=note(args, published)
    )
    write_markdown(args.out / "measures.md", table_of_measures(rows))
    draw_accuracies(rows, published, args.out / "accuracies.png")
    draw_models(args, data, rows)


def draw_models(args: argparse.Namespace, data: LabeledImages, rows: list[dict]) -> None:
    """Draws samples, walks and swaps of the models of one share of labels and one seed."""
    # The share that most models have, and the largest of these.
    num_models = Counter((row["fraction"], -row["seed"]) for row in rows)
    shown = max(num_models, key=lambda each: (num_models[each], each))
    checkpoints = {
        MODELS[row["model"]]: checkpoint_of(args, row)
        for row in rows
        if (row["fraction"], -row["seed"]) == shown
    }
    draw_images(data, checkpoints, args.out / "samples.png")
    x, y = next(Batches(data, min(BATCH_SIZE, len(data.splits["train"]))).held_out("test"))
    models = {title: ccvae_pyro.load(path) for title, path in checkpoints.items()}
    draw_walks(models, data, x[0], args.out / "walks.png")
    draw_swaps(models, data, x, y, args.out / "swaps.png")
    print(f"tables and figures are in {args.out}; those of images have {shown[0]:g} of the labels")


def checkpoint_of(args: argparse.Namespace, row: dict) -> Path:
    """The checkpoint of a finished cell."""
    cell = Cell(row["model"], row["fraction"], row["epochs"], row["seed"])
    return args.out / cell.name / "checkpoint.pt"


def load(args: argparse.Namespace) -> LabeledImages:
    """The images, with all of their labels."""
    given = ["--data", args.data, "--root", str(args.root)]
    given += ["--attributes", *args.attributes]
    given += ["--num-images", str(args.num_images)] if args.num_images else []
    given += ["--cache", str(args.cache)] if args.cache else []
    given += ["--download"] if args.download else []
    return celeba.load(celeba.parse(given))


def measure(args: argparse.Namespace, cell: Cell, complete: LabeledImages) -> dict[str, Any]:
    """Trains the model of a cell; returns its settings and its measures on the test images."""
    device, batch_size = pick_device(args.device), min(BATCH_SIZE, len(complete.splits["train"]))
    data = hide_labels(complete, cell.fraction, seed=cell.seed)
    # The paper draws a labeled image as often as another one.
    batches = Batches(data, batch_size, min_labeled_fraction=0.0, seed=cell.seed, device=device)
    if not len(batches.labeled):
        raise ValueError(
            f"--fractions {cell.fraction:g} of {len(data.splits['train'])} training images is no "
            "image with labels: use more images, or a larger share"
        )
    settings = settings_of(cell)
    set_weight(cell.model, settings, batches)
    pyro.set_rng_seed(cell.seed)
    model: Any = new_model(cell.model, data, settings).to(device)
    seconds = train(cell, model, settings, batches, args.out / cell.name)
    classifier = settings_for("celeba", "classifier")
    oracle = load_oracle(args.out / "oracle.pt", complete, classifier, args.oracle_epochs, device)
    pyro.set_rng_seed(cell.seed)
    measures = measures_of(model, oracle, batches, args.num_edited)
    weight = settings.classification_weight
    return vars(cell) | {"classification_weight": weight} | measures | {"seconds": seconds}


def settings_of(cell: Cell) -> argparse.Namespace:
    """The paper's settings, for the functions that models of all examples share."""
    settings = settings_for("celeba", cell.model)
    settings.learning_rate, settings.decay_fraction = LEARNING_RATE, 0.0
    settings.likelihood_scale, settings.num_label_samples = LIKELIHOOD_SCALE, NUM_LABEL_SAMPLES
    settings.consistency_weight, settings.epochs = 0.0, cell.epochs
    return settings


def train(
    cell: Cell, model: Any, settings: argparse.Namespace, batches: Batches, folder: Path
) -> float:
    """Trains a model, from its checkpoint if there is one; returns the duration of its steps."""
    is_ccvae = cell.model in CCVAE_OBJECTIVES
    loss = common.make_objective(settings) if is_ccvae else objective_of(cell.model, settings)
    adam = ccvae_pyro.JointAdam({"lr": settings.learning_rate})  # one rate for all parts
    result = ccvae_pyro.train(
        model,
        SVI(model.model, model.guide, adam, loss=loss),
        batches,
        cell.epochs,
        folder,
        decay_fraction=settings.decay_fraction,
        resume=True,
        epochs_per_evaluation=default_epochs_per_evaluation(cell.epochs),
    )
    return result.seconds


def measures_of(
    model: ImageModel, oracle: ImageModel, batches: Batches, num_edited: int
) -> dict[str, float | None]:
    """The measures of a model, None where it lacks what they need."""
    measures: dict[str, float | None] = dict.fromkeys(("accuracy", *MEASURES))
    evaluation = ccvae_pyro.evaluate(model, batches.held_out("test"))
    for key in ("accuracy", "balanced_accuracy", "reconstruction_error"):
        measures[key] = getattr(evaluation, key)
    num_batches = -(-num_edited // batches.batch_size)
    some = itertools.islice(batches.held_out("test"), num_batches)
    x, y = (torch.cat(parts)[:num_edited] for parts in zip(*some, strict=True))
    measures["conditional_generation_accuracy"] = conditional_generation_accuracy(model, oracle, y)
    with suppress(UnsupportedError):
        edits = edit_metrics(model, oracle, x)
        accuracies = [each["balanced_accuracy"] for each in edits.edit_accuracy.values()]
        measures["edit_accuracy"] = mean_of_known(accuracies)
        measures["change_of_edited_label"] = edits.change_of_edited_label
        measures["change_of_other_labels"] = edits.change_of_other_labels
    with suppress(UnsupportedError):
        donors = x.roll(1, 0)
        distances = [swap_distance(model, x, donors, name) for name in model.label_names]
        after, before = (mean_of_known(values) for values in zip(*distances, strict=True))
        measures["swap_distance"], measures["distance_before_swap"] = after, before
    return measures


def read_published(path: Path) -> dict[tuple[str, float], float]:
    """The published accuracies by model and share of labels, as far as they are filled in."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    try:
        return {
            (row["model"], float(row["label_fraction"])): float(row["accuracy"])
            for row in rows
            if row["accuracy"].strip()
        }
    except (KeyError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path}: wanted the columns model, label_fraction, accuracy and source, with numbers "
            f"or nothing in the third ({error})"
        ) from error


def note(args: argparse.Namespace, published: dict) -> str:
    """What is below the table of accuracies."""
    if published:
        return "\nPublished: Joy et al. (2021).\n"
    return (
        f"\nPublished accuracies are left out: {args.published.name} has none, as they were not "
        "verified.\n"
    )


def table_of_accuracies(rows: list[dict], published: dict) -> list[dict]:
    """A row for each model: its accuracy by the share of known labels, and the published one."""
    table = []
    for model in present(rows, "model"):
        row = {"model": MODELS[model]}
        for fraction in sorted(present(rows, "fraction")):
            values = [
                each["accuracy"]
                for each in rows
                if (each["model"], each["fraction"]) == (model, fraction)
            ]
            row[f"f = {fraction:g}"] = mean_and_range(values)
            if any(known == fraction for _, known in published):
                value = published.get((model, fraction))
                row[f"f = {fraction:g}, published"] = "" if value is None else f"{value:.3f}"[1:]
        table.append(row)
    return table


def table_of_measures(rows: list[dict]) -> list[dict]:
    """A row for each model and share of labels: all other measures, with the mean over seeds."""
    return [
        {"model": MODELS[model], "f": f"{fraction:g}"}
        | {
            title: mean_and_range(
                [row[key] for row in rows if (row["model"], row["fraction"]) == (model, fraction)]
            )
            for key, title in MEASURES.items()
        }
        for model, fraction in dict.fromkeys((row["model"], row["fraction"]) for row in rows)
    ]


def present(rows: Iterable[dict], key: str) -> list:
    """The different values of a setting, in the order of the rows."""
    return [*dict.fromkeys(row[key] for row in rows)]


def draw_accuracies(rows: list[dict], published: dict, path: Path) -> None:
    """Draws the accuracy of each model by the share of known labels, dashed where published."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    marks = itertools.cycle(MARKS)
    for model, (color, marker) in zip(present(rows, "model"), marks, strict=False):
        of_model = [row for row in rows if row["model"] == model]
        fractions = sorted(present(of_model, "fraction"))
        means = [
            mean(row["accuracy"] for row in of_model if row["fraction"] == fraction)
            for fraction in fractions
        ]
        axes.plot(fractions, means, marker, linestyle="-", color=color, label=MODELS[model])
        known = sorted((f, value) for (name, f), value in published.items() if name == model)
        if known:
            title = f"{MODELS[model]}, published"
            axes.plot(*zip(*known, strict=True), "--", color=color, label=title)
    ticks = sorted(present(rows, "fraction"))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("share of known labels")
    axes.set_ylabel("accuracy")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save(figure, path)


def draw_walks(models: dict[str, ImageModel], data: LabeledImages, x: Tensor, path: Path) -> None:
    """Draws latent walks from one image, along the same labels for each model."""
    labels = shown_labels(data)[:NUM_WALKED]

    def rows(model: ImageModel) -> list[Tensor]:
        walks = (ccvae_pyro.walk(model, x[None], name, num_steps=NUM_STEPS) for name in labels)
        return [torch.cat([x[None], walk[0]]) for walk in walks]

    titles = ["image", "without", *[""] * (NUM_STEPS - 2), "with"]
    draw_rows(models, rows, [spaced(name) for name in labels], titles, path)


def draw_swaps(
    models: dict[str, ImageModel], data: LabeledImages, x: Tensor, y: Tensor, path: Path
) -> None:
    """Draws an image with one characteristic of several donors, for each model.

    All donors but the last two have the label, and the image has not.
    """
    label = shown_labels(data)[0]
    has_label = y[:, data.label_names.index(label)] == 1
    without = x[~has_label][1:3]
    donors = torch.cat([x[has_label][: NUM_DONORS - len(without)], without])
    image = x[~has_label][0] if len(x[~has_label]) else x[0]

    def rows(model: ImageModel) -> list[Tensor]:
        swapped = ccvae_pyro.swap(model, image[None].expand_as(donors), donors, label)
        return [torch.cat([image[None], swapped])]

    head = torch.cat([torch.ones_like(image)[None], donors])
    titles = ["image", *[""] * len(donors)]
    draw_rows(models, rows, [spaced(label)], titles, path, head=head)


def draw_rows(
    models: dict[str, ImageModel],
    rows_of: Callable[[ImageModel], list[Tensor]],
    names: list[str],
    titles: list[str],
    path: Path,
    head: Tensor | None = None,
) -> None:
    """Draws rows of images of each model that has what they need."""
    rows, row_names = ([], []) if head is None else ([head], ["donors"])
    for title, model in models.items():
        with suppress(UnsupportedError):
            rows += rows_of(model)
            row_names += [f"{title}:\n{name}" for name in names]
    if row_names and row_names != ["donors"]:
        save(draw_grid(rows, row_names, titles), path)


def shown_labels(data: LabeledImages) -> list[str]:
    """The labels that figures show: the most visible ones first."""
    first = [name for name in SHOWN if name in data.label_names]
    return first + [name for name in data.label_names if name not in first]


def save(figure: Figure, path: Path) -> None:
    """Writes a figure atomically."""
    with atomic_write(path) as part:
        figure.savefig(part, dpi=110, format="png")


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("--data", type=celeba.data_of, default="celeba", metavar="DATA",
        help="celeba, from --root, or hf:SET, a Hugging Face data set (default: celeba)")
    add("--root", type=Path, default=Path("data"),
        help="folder of CelebA, or its zip archive (default: data)")
    add("--download", action="store_true", help="let torchvision download CelebA to --root first")
    add("--cache", type=Path, metavar="DIR",
        help="folder for the decoded images (default: as celeba.py)")
    add("--num-images", type=options.positive, metavar="N",
        help="a random subset of the images (default: all)")
    add("--attributes", nargs="+", default=["18"], metavar="A",
        help="names of the attributes, or how many (default: the paper's 18)")
    add("--models", nargs="+", choices=MODELS, default=[*IN_PAPER], metavar="M",
        help=f"any of {', '.join(MODELS)}; paper is the CCVAE with the paper's objective, exact "
        f"the one with exact label terms (default: {' '.join(IN_PAPER)})")
    add("--fractions", nargs="+", type=share, default=[*FRACTIONS], metavar="F",
        help="shares of training images whose labels are known (default: the paper's .004 .06 .2 "
        "1)")
    add("--epochs", type=options.positive, default=EPOCHS, metavar="N",
        help=f"epochs of training each model (default: the {EPOCHS} of the authors' code)")
    add("--seeds", nargs="+", type=options.count, default=[0], metavar="N",
        help="random seeds (default: 0)")
    add("--oracle-epochs", type=options.positive, default=10, metavar="N",
        help="epochs of training the independent classifier (default: 10)")
    add("--num-edited", type=options.positive, default=1000, metavar="N",
        help="test images that are edited and swapped (default: 1000)")
    add("--published", type=Path, default=PUBLISHED, metavar="CSV",
        help="published accuracies: columns model, label_fraction, accuracy, source (default: "
        f"{PUBLISHED.name} beside this script)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add("--out", type=Path, default=Path("runs/paper"),
        help="folder for models, tables and figures (default: runs/paper)")
    return parser.parse_args(arguments)
# fmt: on


def share(text: str) -> float:
    """A number above 0, of at most 1."""
    value = options.fraction(text)
    if not value:
        raise argparse.ArgumentTypeError(f"wanted a number above 0, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())
