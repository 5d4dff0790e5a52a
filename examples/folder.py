"""Trains a CCVAE on your own images: a folder of them, and a CSV of labels.

    python examples/folder.py --root photos --labels labels.csv --epochs 20 --out runs/photos

or on a Hugging Face data set: its name on the Hub, a folder that save_to_disk wrote, or a parquet
file, with

    python examples/folder.py --data hf:NAME --columns age hair --out runs/photos

One column of the CSV has file names, and each other column a label: binary, categorical, ordinal
(classes in an order) or continuous. The kind of each is printed; --kinds says otherwise, such as

    --kinds person=categorical stars=ordinal size=ordinal:small,mid,big share=continuous:0,1

Images that the CSV does not list are used for training, without labels. Cells are separated by
commas, semicolons or tabs. A cell that is empty, or says NA, N/A, NaN, None, null, ? or -, is a
missing label. Besides metrics and figures, --out has imputed.csv, with predictions in the missing
cells, and confidence.csv, with their probabilities, or the standard deviations of continuous
labels, both calibrated on the validation images. --at-least 0.95 fills in only what is that
probable.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

import common
import numpy as np
import options
import torch

import ccvae_pyro
from ccvae_pyro.data import (
    LabeledImages,
    describe,
    from_hugging_face,
    load_image_csv,
    write_imputed,
)
from ccvae_pyro.labels import Categorical, Continuous, Label, Ordinal
from ccvae_pyro.training import distributed

NUM_STYLE = 27  # as the paper has for 64x64 images


def main(arguments: list[str] | None = None) -> int:
    """Runs the example; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "--resume")


def run(args: argparse.Namespace) -> None:
    """Loads the data, trains, evaluates, plots, and imputes the missing labels."""

    def impute(ccvae: ccvae_pyro.CCVAE, data: LabeledImages) -> None:
        values, confidence = predict_all(ccvae, data, args.batch_size)
        num_imputed = write_imputed(
            None if args.data else args.labels,
            args.out,
            data,
            values,
            confidence,
            missing_values=args.missing_values or (),
            keep_values=args.keep_values or (),
            at_least=args.at_least,
        )
        print(f"{num_imputed} missing labels are imputed in {args.out / 'imputed.csv'}")

    common.fit(args, load, make_model, predict=impute)


def load(args: argparse.Namespace) -> LabeledImages:
    """The images and their labels; prints the kind of each label."""
    shared = {
        "size": args.size,
        "label_types": dict(map(type_of, args.kinds)),
        "seed": args.seed,
        "skip_unreadable": args.skip_unreadable,
        "resize": args.resize,
        "white": args.white,
        "cache": args.cache,
    }
    if args.data:
        data = from_hugging_face(args.data, args.image_column, args.columns, **shared)
    else:
        data = load_image_csv(
            args.root,
            args.labels,
            columns=args.columns,
            file_column=args.file_column,
            unlisted=args.unlisted,
            partition=args.partition,
            stratify=args.stratify,
            missing_values=args.missing_values or (),
            keep_values=args.keep_values or (),
            **shared,
        )
    if distributed.rank() == 0:
        print(*describe(data.label_types, data.labels), sep="\n")
    return data


def make_model(args: argparse.Namespace, data: LabeledImages) -> ccvae_pyro.CCVAE:
    """A model for these images and labels."""
    labels = [replace(label, extra_dims=args.extra_dims) for label in data.with_empirical_priors()]
    z_dim = args.z_dim or sum(label.dim for label in labels) + NUM_STYLE
    return common.image_model(args, data, labels, z_dim)


def predict_all(
    ccvae: ccvae_pyro.CCVAE, data: LabeledImages, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The most probable value of each label of each image, and its probability."""
    device = next(ccvae.parameters()).device
    parts = []
    for start in range(0, len(data.images), batch_size):
        rows = np.arange(start, min(start + batch_size, len(data.images)))
        x, _ = data.batch(rows, device)
        parts.append([array.cpu() for array in ccvae_pyro.predict(ccvae, x)])
    values, confidence = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
    return values, confidence


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument_group("data").add_argument
    add("--root", type=Path, help="folder of the images")
    add("--labels", type=Path, help="the CSV")
    add("--data", type=data_of, metavar="hf:SET",
        help="a Hugging Face data set, in place of --root and --labels")
    add("--image-column", metavar="NAME",
        help="column of the images in a Hugging Face data set (default: the only one)")
    add("--columns", nargs="+", metavar="LABEL",
        help="columns that are labels (default: all of the CSV; of a Hugging Face data set the "
        "booleans, classes and lists of names, or else all numbers and texts)")
    add("--file-column", metavar="NAME",
        help="column with the names of files (default: the first, or the one that has most files)")
    add("--unlisted", choices=["use", "ignore"],
        help="images that the CSV does not list, in the folders and formats of those it does, are "
        "used for training without labels, and imputed; or ignored (default: use)")
    add("--kinds", nargs="+", type=kind_of, default=[], metavar="LABEL=KIND",
        help="kind of a label, binary, categorical, ordinal or continuous, if it is not inferred "
        "correctly; ordinal:A,B,C gives the order of classes, continuous:MIN,MAX the bounds, "
        "either of which may be left out")
    add("--partition", metavar="P",
        help="a column of the CSV, or a file, with the split of each image: 0, 1, 2, or train, "
        "valid, test (default: random, 10/12 of the images for training)")
    add("--stratify", metavar="LABEL",
        help="random split, stratified by the classes of this label")
    add("--skip-unreadable", action="store_true",
        help="leave out images that are missing or cannot be read, and report their number")
    options.add_image_options(add)
    add("--white", type=float, metavar="VALUE",
        help="value of white in images of more than 8 bits, such as 4095 for 12 bits (default: "
        "that of the fewest bits that hold all values)")
    add("--missing-values", nargs="+", metavar="CELL",
        help="cells that are missing labels, besides empty ones, NA, N/A, NaN, None, null, ? and "
        "-; for example -9 unknown")
    add("--keep-values", nargs="+", metavar="CELL",
        help="cells of this list that are values, for example None, if it is a class")
    add("--at-least", type=options.fraction, default=0.0, metavar="P",
        help="fill in classes only where their probability is at least P (default: 0)")
    # fmt: on
    options.add_network_options(parser, "residual")
    options.add_objective_options(parser, z_dim="27 more than the labels take")
    parser.add_argument("--extra-dims", type=options.count, default=0, metavar="D",
                        help="additional characteristics of each label (default: 0)")
    options.add_training_options(
        parser,
        "runs/folder",
        epochs="30, but at least 3,000 steps and at most about 20,000",
        batch_size="50, for less than 500 training images 32, for less than 100 16",
        shift="a sixteenth of the side without flips, else 0",
        warp="0.05 without flips, unless a label speaks of an angle, else 0",
        flip="auto",
        evaluations="as many as give at most 40 evaluations",
        final="best",
    )
    # What follows from the number and the size of the images is set when they are known.
    by_size = dict.fromkeys(("epochs", "batch_size", "shift", "warp", "epochs_per_evaluation"))
    args = parser.parse_args(arguments)
    check_source(parser, args)
    args.unlisted = args.unlisted or "use"
    return options.fill_in(args, network="residual", **by_size)


def check_source(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Checks that the images are of one source, and that the options are for it."""
    of_csv = ("root", "labels", "file_column", "unlisted", "partition", "stratify")
    of_csv += ("missing_values", "keep_values")
    given = [name for name in of_csv if getattr(args, name) is not None]
    if args.data and given:
        parser.error(f"--data has no use for --{given[0].replace('_', '-')}")
    if not args.data and args.image_column is not None:
        parser.error("--image-column needs --data")
    if not args.data and (args.root is None or args.labels is None):
        parser.error("wanted --root and --labels, or --data")


def data_of(text: str) -> str:
    """Checks the name of a data set."""
    if not text.startswith("hf:") or len(text) == 3:
        raise argparse.ArgumentTypeError(f"wanted hf:SET, got {text!r}")
    return text


def kind_of(text: str) -> str:
    """Checks the form of a label and its kind."""
    try:
        type_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def type_of(text: str) -> tuple[str, str | Label]:
    """The name of a label, and its kind: a word, or a label with its classes or bounds."""
    found = re.fullmatch(r"(.+)=(binary|categorical|ordinal|continuous)(?::(.+))?", text)
    if not found:
        raise ValueError(
            "wanted LABEL=binary, LABEL=categorical, LABEL=ordinal or LABEL=continuous, got "
            f"{text!r}"
        )
    name, kind, values = found.groups()
    if values is None:
        return name, kind
    cells = tuple(cell.strip() for cell in values.split(","))
    if kind == "ordinal":
        return name, Ordinal(name, cells)
    if kind == "categorical":
        return name, Categorical(name, cells)
    try:
        minimum, maximum = (float(cell) if cell else None for cell in cells)
    except ValueError:
        kind = ""
    if kind != "continuous":
        raise ValueError(f"wanted LABEL=continuous:MIN,MAX or LABEL=ordinal:A,B,C, got {text!r}")
    return name, Continuous(name, minimum=minimum, maximum=maximum)


if __name__ == "__main__":
    sys.exit(main())
