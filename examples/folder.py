"""Trains a CCVAE on your own images: a folder of them, and a CSV of labels.

    python examples/folder.py --root photos --labels labels.csv --epochs 20 --out runs/photos

The first column of the CSV is a file name, each other column a label: yes or no, one of several
classes, or a number. An empty cell is a label that is missing. Beside numbers and figures, --out
has imputed.csv, with the empty cells filled in, and certainty.csv, with how sure each of these is:
its probability, or the deviation of a number, as wide as errors on the validation images are.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import common
import numpy as np
import options
import torch

import ccvae_pyro
from ccvae_pyro.data import LabeledImages, describe, load_folder, write_imputed
from ccvae_pyro.labels import Continuous
from ccvae_pyro.training import distributed

NUM_STYLE = 27  # as the paper has for 64x64 images


def main(arguments: list[str] | None = None) -> int:
    """Runs the example; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "--resume")


def run(args: argparse.Namespace) -> None:
    """Loads the data, trains, measures, draws, fills in what is missing."""
    fitted = common.fit(args, load, make_model)
    if fitted is None:
        return
    ccvae, data = fitted
    values, certainty = predict_all(ccvae, data, args.batch_size)
    widen(certainty, values, data)
    num_filled = write_imputed(args.labels, args.out, data, values, certainty)
    print(f"{num_filled} empty cells are filled in {args.out / 'imputed.csv'}")


def load(args: argparse.Namespace) -> LabeledImages:
    """The images and their labels; says how these were understood."""
    data = load_folder(
        args.root,
        args.labels,
        kinds={name: kind for name, _, kind in (text.rpartition("=") for text in args.kinds)},
        partition=args.partition,
        stratify=args.stratify,
        seed=args.seed,
        skip_unreadable=args.skip_unreadable,
    )
    if distributed.rank() == 0:
        print(*describe(data.kinds, data.labels), sep="\n")
    return data


def make_model(args: argparse.Namespace, data: LabeledImages) -> ccvae_pyro.CCVAE:
    """The paper's networks, for these labels."""
    labels = [replace(label, extra_dims=args.extra_dims) for label in data.described()]
    z_dim = args.z_dim or sum(label.dim for label in labels) + NUM_STYLE
    channels, scale = data.images.shape[-1], args.likelihood_scale
    return ccvae_pyro.celeba(z_dim=z_dim, labels=labels, channels=channels, likelihood_scale=scale)


def predict_all(
    ccvae: ccvae_pyro.CCVAE, data: LabeledImages, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest value of every label of every image, and how sure it is."""
    device = next(ccvae.parameters()).device
    parts = []
    for start in range(0, len(data.images), batch_size):
        rows = np.arange(start, min(start + batch_size, len(data.images)))
        x, _ = data.batch(rows, device)
        parts.append([array.cpu() for array in ccvae_pyro.predict(ccvae, x)])
    values, certainty = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
    return values, certainty


def widen(certainty: np.ndarray, values: np.ndarray, data: LabeledImages) -> None:
    """Makes deviations of numbers as wide as the errors on the validation images.

    A model is surer of numbers than it should be: it knows those that it was trained on.
    """
    rows = data.splits["valid"]
    for column, label in enumerate(data.kinds):
        errors = (data.labels[rows, column] - values[rows, column]) / certainty[rows, column]
        known = errors[~np.isnan(errors)]
        if isinstance(label, Continuous) and len(known):
            certainty[:, column] *= np.sqrt((known**2).mean())


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument_group("data").add_argument
    add("--root", type=Path, required=True, help="folder of the images")
    add("--labels", type=Path, required=True, help="the CSV")
    add("--kinds", nargs="+", type=kind_of, default=[], metavar="LABEL=KIND",
        help="what a label is, binary, categorical or continuous, where the guess is wrong")
    add("--partition", metavar="P",
        help="a column of the CSV, or a file, that says which image is for training, validation "
        "and test: 0, 1, 2, or train, valid, test (default: ten of twelve train, at random)")
    add("--stratify", metavar="LABEL",
        help="split at random, but each class of this label alike")
    add("--skip-unreadable", action="store_true",
        help="leave out images that are missing or cannot be read, and count them")
    # fmt: on
    options.add_objective_options(parser, z_dim="what the labels take, and 27")
    parser.add_argument("--extra-dims", type=int, default=0, metavar="D",
                        help="further characteristics of each label (default: 0)")
    options.add_training_options(parser, "runs/folder", epochs="30", batch_size="50")
    return options.fill_in(parser.parse_args(arguments), epochs=30, batch_size=50)


def kind_of(text: str) -> str:
    """A label and its kind, as they are written."""
    name, _, kind = text.rpartition("=")
    if not name or kind not in ("binary", "categorical", "continuous"):
        raise argparse.ArgumentTypeError(
            f"wanted LABEL=binary, LABEL=categorical or LABEL=continuous, got {text!r}"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
