"""Trains a CCVAE on faces with binary attributes, and plots the results.

The default data are cartoon faces, which need no download:

    python examples/celeba.py
    python examples/celeba.py --data celeba --root data --attributes Smiling Eyeglasses Bangs
    python examples/celeba.py --data hf:flwrlabs/celeba
    python examples/celeba.py --size 128 --network residual
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import common
import options

import ccvae_pyro
from ccvae_pyro.data import (
    PAPER_ATTRIBUTES,
    LabeledImages,
    download_celeba,
    from_hugging_face,
    hide_labels,
    load_avatars,
    load_celeba,
)
from ccvae_pyro.data.datasets._avatar_tables import VISIBLE_ATTRIBUTES

# Small batches learn faster per image; the larger data set has the paper's batch size.
BATCH_SIZE = {"avatars": 50, "celeba": 200}
EPOCHS = {"avatars": 10, "celeba": 20}
CONSISTENCY_WEIGHT = 20.0


def main(arguments: list[str] | None = None) -> int:
    """Runs the example; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "--resume")


def run(args: argparse.Namespace) -> None:
    """Loads the data, trains, evaluates, plots."""
    common.fit(args, load_with_missing_labels, make_model)


def load_with_missing_labels(args: argparse.Namespace) -> LabeledImages:
    """The images, with all labels but the requested fraction hidden."""
    return hide_labels(load(args), args.label_fraction, missing=args.missing, seed=args.seed)


def make_model(args: argparse.Namespace, data: LabeledImages) -> ccvae_pyro.CCVAE:
    """A model of these labels: the paper's, unless the options say otherwise."""
    return common.image_model(args, data, data.with_empirical_priors(), args.z_dim)


def load(args: argparse.Namespace) -> LabeledImages:
    """The images, with the requested attributes."""
    image_options = {
        "size": args.size,
        "crop": args.crop,
        "resize": args.resize,
        "skip_unreadable": args.skip_unreadable,
        "seed": args.seed,
        "cache": args.cache,
    }
    if args.data == "avatars":
        data = load_avatars(
            args.root, args.num_images or 12_000, size=args.size, seed=args.avatar_seed
        )
        preferred = VISIBLE_ATTRIBUTES
    else:
        if args.data != "celeba":
            data = from_hugging_face(args.data, channels=3, **image_options)
        else:
            if args.download:
                download_celeba(args.root)
            data = load_celeba(args.root, **image_options)
        preferred = PAPER_ATTRIBUTES
        if args.num_images is not None:
            data = data.sample(args.num_images, args.seed)
    if len(args.attributes) > 1 or not args.attributes[0].isdecimal():
        return data.select(args.attributes)
    ordered = [name for name in preferred if name in data.label_names]
    ordered += [name for name in data.label_names if name not in preferred]
    number = int(args.attributes[0])
    if not 1 <= number <= len(ordered):
        raise ValueError(f"--attributes must be between 1 and {len(ordered)}, got {number}")
    return data.select(ordered[:number])


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument_group("data").add_argument
    add("--data", type=data_of, default="avatars", metavar="DATA",
        help="avatars, rendered on first use; celeba, from --root; or hf:SET, a Hugging Face data "
        "set: its name on the Hub, a folder that save_to_disk wrote, or a parquet file "
        "(default: avatars)")
    add("--root", type=Path, default=Path("data"),
        help="folder of the data, or of their cache; for CelebA also a zip archive "
        "(default: data)")
    add("--download", action="store_true", help="let torchvision download CelebA to --root first")
    add("--num-images", type=options.positive, metavar="N",
        help="number of avatars (default: 12000), or of other images (default: all)")
    add("--avatar-seed", type=options.count, default=0, metavar="N",
        help="random seed of the avatars (default: 0)")
    add("--attributes", nargs="+", default=["18"], metavar="A",
        help="names of the attributes, or how many of the most visible ones (default: 18)")
    add("--label-fraction", type=options.fraction, default=1.0, metavar="F",
        help="fraction of the training labels that are known (default: 1)")
    add("--missing", choices=["rows", "entries"], default="rows",
        help="whether --label-fraction hides all labels of an image, or single labels "
        "(default: rows)")
    add("--crop", type=options.positive, metavar="SIDE",
        help="photos: crop a square at the center before resizing (default: no crop)")
    add("--skip-unreadable", action="store_true",
        help="photos: leave out images that cannot be read, and report their number")
    options.add_image_options(add, "photos: ")
    # fmt: on
    options.add_network_options(parser, "paper")
    options.add_objective_options(
        parser,
        z_dim="45",
        consistency_weight="20 for avatars with exact and the paper's network, else 0",
    )
    options.add_training_options(
        parser,
        "runs/celeba",
        epochs="10 for avatars, 20 for CelebA",
        batch_size="50 for avatars, the paper's 200 for CelebA",
    )
    args = parser.parse_args(arguments)
    kind = "avatars" if args.data == "avatars" else "celeba"
    defaults: dict[str, Any] = {"epochs": EPOCHS[kind], "batch_size": BATCH_SIZE[kind]}
    # Batch normalization would mix the statistics of generated images into those of real ones.
    if args.data == "avatars" and args.objective == "exact" and args.network != "residual":
        defaults["consistency_weight"] = CONSISTENCY_WEIGHT
    return options.fill_in(args, z_dim=45, network="paper", **defaults)


def data_of(text: str) -> str:
    """Checks the name of the data."""
    if text not in EPOCHS and not (text.startswith("hf:") and len(text) > 3):
        raise argparse.ArgumentTypeError(f"wanted avatars, celeba or hf:SET, got {text!r}")
    return text


if __name__ == "__main__":
    sys.exit(main())
