"""Compares attributes that exclude one another as labels of their own and as one label's classes.

    python examples/exclusive.py --label-fractions .01 .1 --seeds 0 1

The colors of the hair of cartoon faces are learned both ways, from the same images. A table says
how often the color is found (the likeliest of the six, or that none is seen), how often the answer
is exactly one color or none, and how often an independent reader finds the color that a face was
generated to.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import celeba
import common
import options
import pyro
import torch
import torch.nn.functional as F
from avatar_folder import HAIR
from compare import load_reader
from tables import write_table
from torch import Tensor

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages, hide_labels, load_avatars


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Trains each model and writes the table."""
    separate = load_avatars(args.root, args.num_images).select(HAIR)
    combined = separate.combine(HAIR, "hair", rest="hidden")
    reader = load_reader(args.out / "reader.pt", combined, celeba.parse([]), num_epochs=10)
    rows: list[dict] = []
    for fraction, seed in itertools.product(args.label_fractions, args.seeds):
        for name, data in (("separate", separate), ("one", combined)):
            settings = celeba.parse(["--epochs", str(args.epochs), "--seed", str(seed)])
            settings.label_fraction = fraction
            folder = args.out / f"{name}-{fraction}-{seed}"
            figures = measure(data, combined, reader, settings, folder)
            rows.append({"labels": name, "fraction": fraction, "seed": seed} | figures)
            write_table(args.out / "exclusive", rows, ["labels", "fraction", "seed"])


def measure(
    data: LabeledImages,
    truth: LabeledImages,
    reader: ccvae_pyro.CCVAE,
    settings: argparse.Namespace,
    folder: Path,
) -> dict[str, float]:
    """Trains on one form of the labels; returns its figures on the test images."""
    pyro.set_rng_seed(settings.seed)
    seen = hide_labels(data, settings.label_fraction, seed=settings.seed)
    batches = Batches(seen, settings.batch_size, seed=settings.seed)
    common.set_weight(settings, batches)
    ccvae = celeba.make_model(settings, seen)
    common.train(settings, ccvae, batches, folder, resume=True)

    x, colors = truth.batch(truth.splits["test"])
    answers = ccvae_pyro.classify(ccvae, x)
    error = (ccvae_pyro.reconstruct(ccvae, x) - x).abs().mean()
    orders = torch.from_numpy(data.labels[data.splits["test"]])
    read, _ = ccvae_pyro.predict(reader, ccvae_pyro.generate(ccvae, orders))
    shares = {
        "found": color_of(answers) == colors[:, 0],
        "one_answer": (answers > 0.5).sum(1) <= 1,
        "generated_right": read == colors,
    }
    figures = {name: share.float().mean().item() for name, share in shares.items()}
    return figures | {"reconstruction_error": error.item()}


def color_of(probability: Tensor) -> Tensor:
    """The likeliest color; of labels of their own none, the last, where all are unlikely."""
    if probability.shape[1] == len(HAIR):
        probability = F.pad(probability, (0, 1), value=0.5)
    return probability.argmax(1)


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("--root", type=Path, default=Path("data"), help="cache of avatars (default: data)")
    add("--num-images", type=options.positive, default=12_000, metavar="N",
        help="how many faces (default: 12000)")
    add("--label-fractions", nargs="+", type=float, default=[0.01, 0.1, 1.0], metavar="F",
        help="shares of training images whose color is seen (default: .01 .1 1)")
    add("--epochs", type=options.positive, default=10, metavar="N", help="default: 10")
    add("--seeds", nargs="+", type=int, default=[0, 1], help="default: 0 1")
    add("--out", type=Path, default=Path("runs/exclusive"),
        help="folder for models and table (default: runs/exclusive)")
    return parser.parse_args(arguments)
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
