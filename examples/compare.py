"""Compares models, objectives, settings, shares of known labels and seeds in a table.

    python examples/compare.py --models exact paper --attributes 40 --seeds 0 1
    python examples/compare.py --models exact m2 diva mvae classifier --label-fractions .02 1
    python examples/compare.py --data fashion --models exact m2 diva --num-labels 100 3000

A CCVAE is trained by one of three objectives; the other models are baselines. Defaults are those
of celeba.py for avatars, and of mnist.py for MNIST and Fashion-MNIST.

Each cell of the comparison is a run. Finished cells are not repeated, so the script can be
interrupted, extended, or run in parallel with the same --out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import celeba
import common
import options
import outcome
import pyro
import torch
from models import MODELS, new_model, set_weight, settings_for, train
from tables import draw, draw_images, write_table
from tqdm.auto import tqdm

import ccvae_pyro
from ccvae_pyro.data import (
    Batches,
    LabeledImages,
    hide_labels,
    keep_labels_per_class,
    load_mnist,
)
from ccvae_pyro.evaluation import conditional_generation_accuracy, label_metrics, log_p_x
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.models.baselines import CVAE, M1
from ccvae_pyro.training.classifier import train_classifier
from ccvae_pyro.training.devices import pick_device

SETTINGS = ("model", "data", "attributes", "missing", "labels", "networks")
SETTINGS += ("classification_weight", "consistency_weight", "likelihood_scale", "batch_size")
SETTINGS += ("decay_fraction", "epochs", "seed")
METRICS = ("accuracy", "balanced_accuracy", "average_precision", "reconstruction_error")
METRICS += ("conditional_generation_accuracy", "bound", "log_p_x", "seconds")
ORACLE_BATCH_SIZE, NUM_CLASSES = 100, 10
NUM_LOG_P_X = 200  # test images whose log p(x) is estimated
ORACLE_EPOCHS = {"avatars": 10, "mnist": 5, "fashion": 5}


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Runs the cells that are not finished, then writes the table of all finished cells."""
    labels = args.num_labels or args.label_fractions
    choices = [args.models, [args.data], args.attributes, [args.missing], labels, [args.networks]]
    choices += [args.classification_weights, args.consistency_weights, args.likelihood_scales]
    choices += [[args.batch_size], [args.decay_fraction], [args.epochs], args.seeds]
    cells = [dict(zip(SETTINGS, values, strict=True)) for values in itertools.product(*choices)]
    with tqdm(cells, desc="cells", unit="cell") as bar:
        for cell in bar:
            bar.write(", ".join(f"{key} {value}" for key, value in cell.items()))
            folder = folder_of(args, cell)
            if not (folder / "cell.json").exists():
                outcome.write_json(folder / "cell.json", measure(args, cell, folder))
    rows = [json.loads(path.read_text()) for path in args.out.glob("*/cell.json")]
    rows.sort(key=sort_key)
    write_table(args.out / "compare", rows, SETTINGS)
    draw(rows, MODELS, args.out / "compare.png")
    best = {"attributes": max(args.attributes), "labels": max(labels)}
    shown = {cell["model"]: cell | best for cell in reversed(cells)}
    checkpoints = {
        title: folder_of(args, shown[name]) / "checkpoint.pt"
        for name, title in MODELS.items()
        if name in shown
    }
    draw_images(load(args, best["attributes"]), checkpoints, args.out / "faces.png")


def sort_key(row: dict) -> list:
    """The sort key of a row: by images and labels, then by model."""
    of_data = ("data", "attributes", "missing", "labels", "networks", "epochs")
    index_of_model = list(MODELS).index(row["model"])
    return [*(row[key] for key in of_data), index_of_model, row["consistency_weight"], row["seed"]]


def folder_of(args: argparse.Namespace, cell: dict) -> Path:
    """The folder of a cell."""
    values = ("default" if value is None else str(value) for value in cell.values())
    return args.out / "-".join(values)


def measure(args: argparse.Namespace, cell: dict, folder: Path) -> dict:
    """Trains one model; returns its settings and its metrics on the test images."""
    device = pick_device("auto")
    complete = load(args, cell["attributes"])
    path = args.out / f"oracle-{args.data}-{len(complete.label_names)}.pt"
    oracle_settings = settings_for(args.data, "classifier")
    oracle = load_oracle(path, complete, oracle_settings, ORACLE_EPOCHS[args.data], device)
    seed = cell["seed"]
    data = hide(complete, cell)
    settings = settings_of(cell)
    augmentation = {"shift": settings.shift, "warp": settings.warp}
    batches = Batches(data, cell["batch_size"], seed=seed, device=device, **augmentation)
    set_weight(cell["model"], settings, batches)

    pyro.set_rng_seed(seed)
    model = new_model(cell["model"], data, settings, cell["networks"]).to(device)
    seconds = train(cell["model"], model, settings, batches, folder)
    pyro.set_rng_seed(seed)
    metrics = metrics_of(model, batches, oracle) | {"seconds": seconds}
    if cell["model"] == "classifier":  # its decoder is not trained
        metrics |= dict.fromkeys(
            ("reconstruction_error", "conditional_generation_accuracy", "bound", "log_p_x")
        )
    keys = ("classification_weight", "consistency_weight", "likelihood_scale")
    used = {key: getattr(settings, key) for key in keys}
    return cell | used | {key: metrics.get(key) for key in METRICS}


def metrics_of(
    model: ImageModel, batches: Batches, oracle: ccvae_pyro.CCVAE
) -> dict[str, float | None]:
    """The metrics of a model on the test images, as far as it has the parts for them."""
    # The bound of a CCVAE is the exact one, whatever its objective in training.
    bound = ccvae_pyro.ExactCCVAE_ELBO() if isinstance(model, ccvae_pyro.CCVAE) else None
    metrics = ccvae_pyro.evaluate(model, batches.held_out("test"), bound).to_dict()
    y = torch.cat([y for _, y in batches.held_out("test")])
    metrics["conditional_generation_accuracy"] = conditional_generation_accuracy(model, oracle, y)
    x = torch.cat([x for x, _ in itertools.islice(batches.held_out("test"), 4)])[:NUM_LOG_P_X]
    if type(model) is not CVAE:  # which has no prior over labels
        generative = model.vae if isinstance(model, M1) else model
        metrics["log_p_x"] = log_p_x(generative, x).mean().item()
    return {key: None if value != value else value for key, value in metrics.items()}


def load(args: argparse.Namespace, num_attributes: int) -> LabeledImages:
    """The images, with all of their labels."""
    if args.data != "avatars":
        data = load_mnist(args.root, args.data, download=args.download)
        return data.sample(args.num_images, seed=0) if args.num_images else data
    arguments = ["--root", str(args.root), "--attributes", str(num_attributes)]
    arguments += ["--num-images", str(args.num_images)] if args.num_images else []
    return celeba.load(celeba.parse(arguments))


def hide(data: LabeledImages, cell: dict) -> LabeledImages:
    """The images, with some of their labels hidden."""
    labels, seed = cell["labels"], cell["seed"]
    if isinstance(labels, float):
        return hide_labels(data, labels, missing=cell["missing"], seed=seed)
    (label,) = data.with_empirical_priors()
    return keep_labels_per_class(data, labels // len(label.classes), seed)


def settings_of(cell: dict) -> argparse.Namespace:
    """The default settings of the example, with those of the cell."""
    settings = settings_for(cell["data"], cell["model"], few_labels=cell["labels"] != 1)
    for key in ("classification_weight", "likelihood_scale", "decay_fraction", "epochs"):
        if cell[key] is not None:
            setattr(settings, key, cell[key])
    settings.consistency_weight = cell["consistency_weight"] if cell["model"] == "exact" else 0.0
    return settings


def load_oracle(
    path: Path,
    data: LabeledImages,
    settings: argparse.Namespace,
    num_epochs: int,
    device: torch.device | str = "cpu",
) -> ccvae_pyro.CCVAE:
    """An oracle classifier, trained on the real images and all labels if there is no file."""
    if path.exists():
        return ccvae_pyro.load(path).to(device)
    pyro.set_rng_seed(1_000)
    oracle: Any = new_model("classifier", data, settings).to(device)
    batch_size = min(ORACLE_BATCH_SIZE, len(data.splits["train"]))
    batches = Batches(data, batch_size, device=device)
    train_classifier(oracle, batches, num_epochs)
    accuracy = label_metrics(oracle, batches.held_out("test")).balanced_accuracy
    print(f"balanced accuracy of the oracle classifier on real images: {accuracy:.3f}")
    ccvae_pyro.save(path, oracle)
    return oracle


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("--data", choices=["avatars", "mnist", "fashion"], default="avatars",
        help="avatars with binary attributes, or MNIST or Fashion-MNIST with ten classes "
        "(default: avatars)")
    add("--root", type=Path, default=Path("data"),
        help="cache of the avatars, or torchvision's folder of the other sets (default: data)")
    add("--download", action="store_true", help="let torchvision download what is missing")
    add("--num-images", type=options.positive, metavar="N",
        help="number of images (default: 12000 avatars, or all)")
    add("--models", nargs="+", choices=MODELS, default=["exact", "paper"], metavar="M",
        help=f"any of {', '.join(MODELS)} (default: exact paper)")
    add("--attributes", nargs="+", type=options.positive, default=[18], metavar="N",
        help="numbers of attributes of avatars (default: 18)")
    labels = parser.add_mutually_exclusive_group().add_argument
    labels("--label-fractions", nargs="+", type=options.fraction, default=[1.0], metavar="F",
           help="shares of known labels (default: 1)")
    labels("--num-labels", nargs="+", type=options.positive, metavar="N",
           help="numbers of known labels with classes, the same number for each class")
    add("--missing", choices=["rows", "entries"], default="rows",
        help="whether all labels of an image are hidden together, or each independently "
        "(default: rows)")
    add("--networks", choices=["conv", "mlp"], default="conv",
        help="whether networks of 28x28 images have convolutions; M2 decodes an image for each "
        "class, and is faster without (default: conv)")
    add("--classification-weights", nargs="+", type=options.nonnegative, default=[None],
        metavar="W",
        help="coefficients of the additional term log q(y|x) (default: as celeba.py or mnist.py)")
    add("--consistency-weights", nargs="+", type=options.nonnegative, default=[0.0], metavar="W",
        help="with exact, coefficients of the label-consistency term (default: 0)")
    add("--likelihood-scales", nargs="+", type=options.positive_number, default=[None],
        metavar="B",
        help="scales of the Laplace likelihood (default: as celeba.py)")
    add("--batch-size", type=options.positive, default=50, metavar="N",
        help="images in a batch (default: 50)")
    options.add_decay_fraction(add)
    add("--epochs", type=options.positive, default=20, metavar="N",
        help="epochs of training each model (default: 20)")
    add("--seeds", nargs="+", type=options.count, default=[0],
        metavar="N", help="random seeds (default: 0)")
    add("--out", type=Path, default=Path("runs/compare"),
        help="folder for models, table and figures (default: runs/compare)")
    args = parser.parse_args(arguments)
    if args.data == "avatars" and args.num_labels:
        parser.error("--num-labels needs a label with classes; use --label-fractions with avatars")
    if any(count % NUM_CLASSES for count in args.num_labels or ()):
        parser.error(f"--num-labels are multiples of {NUM_CLASSES}, got {args.num_labels}")
    return args
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
