"""Trains a CCVAE on images with a class label, known for few or all, and plots the results.

    python examples/mnist.py --root data --download --labels-per-class 10
    python examples/mnist.py --data fashion --root data --download
    python examples/mnist.py --data medical --root FOLDER

Medical MNIST is a folder with a subfolder for each class, and so may be your own data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import common
import options

import ccvae_pyro
from ccvae_pyro.data import LabeledImages, keep_labels_per_class, load_image_folder, load_mnist
from ccvae_pyro.labels import Label

# The best of the settings that were compared: see the docs. With few labels, a classifier soon
# overfits, and the latents of the class have to cluster the unlabeled images.
WITH_ALL_LABELS: dict[str, Any] = {"classification_weight": 300, "z_dim": 30, "style_dim": 11}
WITH_ALL_LABELS |= {"learning_rate": 2e-3, "shift": 1, "epochs": 12}
DATA = ("mnist", "fashion", "medical")
WITH_FEW_LABELS: dict[str, Any] = {"classification_weight": 300, "z_dim": 20, "style_dim": 1}
WITH_FEW_LABELS |= {"learning_rate": 1e-3, "shift": 1, "warp": 0.1, "epochs": 20}
# Digits vary more in shape than garments do.
FEW_DIGITS = WITH_FEW_LABELS | {"classification_weight": 100, "final_weight": 20}
FEW_DIGITS |= {"shift": 2, "warp": 0.3}


def main(arguments: list[str] | None = None) -> int:
    """Runs the example; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "--resume")


def run(args: argparse.Namespace) -> None:
    """Loads the data, trains, evaluates, plots."""
    common.fit(args, load, make_model)


def load(args: argparse.Namespace) -> LabeledImages:
    """The images, with the requested number of labels per class."""
    if args.data == "medical":
        data = load_image_folder(
            args.root,
            size=args.size,
            resize=args.resize,
            seed=args.seed,
            num_images=args.num_images,
            cache=args.cache,
        )
    else:
        data = load_mnist(args.root, args.data, download=args.download)
        if args.num_images is not None:
            data = data.sample(args.num_images, args.seed)
    if args.labels_per_class is None:
        return data
    return keep_labels_per_class(data, args.labels_per_class, args.seed)


def make_model(args: argparse.Namespace, data: LabeledImages) -> ccvae_pyro.CCVAE:
    """A model with one categorical label, whose characteristics are all latents but the style."""
    labels = with_characteristics(data.with_empirical_priors(), args.z_dim, args.style_dim)
    if args.network in ("conv", "mlp"):
        if data.images.shape[1:] != (28, 28, 1):
            raise ValueError(
                f"--network {args.network} is for 28x28 images in gray, got images of shape "
                f"{data.images.shape[1:]}: choose residual or paper"
            )
        convolutions = args.network == "conv"
        return ccvae_pyro.mnist(z_dim=args.z_dim, labels=labels, convolutions=convolutions)
    return common.image_model(args, data, labels, args.z_dim)


def with_characteristics(labels: Sequence[Label], z_dim: int, style_dim: int) -> list[Label]:
    """The label, with all latents but those of the style as its characteristics."""
    (label,) = labels
    extra_dims = z_dim - label.dim - style_dim
    if extra_dims < 0:
        raise ValueError(
            f"{len(label.classes)} classes and {style_dim} style dimensions need a --z-dim of at "
            f"least {label.dim + style_dim}, got {z_dim}"
        )
    return [replace(label, extra_dims=extra_dims)]


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument_group("data").add_argument
    add("--data", choices=DATA, default="mnist",
        help="MNIST, Fashion-MNIST, or a folder of class folders (default: mnist)")
    add("--root", type=Path, default=Path("data"),
        help="folder of the data (default: data)")
    add("--download", action="store_true", help="let torchvision download MNIST to --root first")
    add("--num-images", type=options.positive, metavar="N",
        help="number of images to use (default: all)")
    add("--labels-per-class", type=options.positive, metavar="N",
        help="number of labeled training images of each class (default: all)")
    options.add_image_options(add, "class folders: ")
    # fmt: on
    options.add_network_options(
        parser, "conv, three convolutions, and for class folders residual", ("conv", "mlp"),
        "class folders: ",
    )
    options.add_objective_options(
        parser,
        z_dim="30, with few labels 20",
        weight="with exact 300, with few digits 100; else 0",
        final_weight="the same, with few digits 20",
    )
    parser.add_argument("--style-dim", type=options.positive, metavar="D",
                        help="dimension of z_style (default: 11, with few labels 1)")
    options.add_training_options(
        parser,
        "runs/mnist",
        epochs="12, with few labels 20",
        batch_size="100",
        learning_rate="0.002, with few labels 0.001",
        shift="1, with few digits 2",
        warp="0, with few labels 0.1, with few digits 0.3",
    )
    args = parser.parse_args(arguments)
    few = FEW_DIGITS if args.data == "mnist" else WITH_FEW_LABELS
    defaults = WITH_ALL_LABELS if args.labels_per_class is None else few
    if args.objective != "exact" or args.classification_weight == 0:
        defaults = defaults | {"classification_weight": 0.0, "final_weight": None}
    network = "residual" if args.data == "medical" else "conv"
    return options.fill_in(args, batch_size=100, network=network, **defaults)


if __name__ == "__main__":
    sys.exit(main())
