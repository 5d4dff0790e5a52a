"""Compares mutually exclusive attributes as binary labels and as one categorical label.

    python examples/exclusive.py --label-fractions .01 .1 --seeds 0 1

The labels are the hair colors of cartoon faces: six separate binary labels, or one categorical
label with a further class for hidden hair. A table has the accuracy of the most probable color,
the share of images for which at most one color is predicted, and the conditional generation
accuracy under an independent classifier.
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
from compare import load_oracle
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
    oracle = load_oracle(args.out / "oracle.pt", combined, celeba.parse([]), num_epochs=10)
    rows: list[dict] = []
    for fraction, seed in itertools.product(args.label_fractions, args.seeds):
        for name, data in (("separate", separate), ("one", combined)):
            settings = celeba.parse(["--epochs", str(args.epochs), "--seed", str(seed)])
            settings.label_fraction = fraction
            folder = args.out / f"{name}-{fraction}-{seed}"
            metrics = measure(data, combined, oracle, settings, folder)
            rows.append({"labels": name, "fraction": fraction, "seed": seed} | metrics)
            write_table(args.out / "exclusive", rows, ["labels", "fraction", "seed"])


def measure(
    data: LabeledImages,
    truth: LabeledImages,
    oracle: ccvae_pyro.CCVAE,
    settings: argparse.Namespace,
    folder: Path,
) -> dict[str, float]:
    """Trains a model on one form of the labels; returns its metrics on the test images."""
    pyro.set_rng_seed(settings.seed)
    seen = hide_labels(data, settings.label_fraction, seed=settings.seed)
    batches = Batches(seen, settings.batch_size, seed=settings.seed)
    common.set_weight(settings, batches)
    ccvae = celeba.make_model(settings, seen)
    common.train(settings, ccvae, batches, folder, resume=True)

    x, colors = truth.batch(truth.splits["test"])
    probability = ccvae_pyro.classify(ccvae, x)
    error = (ccvae_pyro.reconstruct(ccvae, x) - x).abs().mean()
    y = torch.from_numpy(data.labels[data.splits["test"]])
    predicted_by_oracle, _ = ccvae_pyro.predict(oracle, ccvae_pyro.generate(ccvae, y))
    is_correct = {
        "accuracy": most_probable_color(probability) == colors[:, 0],
        "at_most_one_color": (probability > 0.5).sum(1) <= 1,
        "conditional_generation_accuracy": predicted_by_oracle == colors,
    }
    metrics = {name: share.float().mean().item() for name, share in is_correct.items()}
    return metrics | {"reconstruction_error": error.item()}


def most_probable_color(probability: Tensor) -> Tensor:
    """The most probable class; with binary labels the last, hidden, if none is above 0.5."""
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
        help="number of faces (default: 12000)")
    add("--label-fractions", nargs="+", type=options.fraction, default=[0.01, 0.1, 1.0],
        metavar="F",
        help="shares of training images with known color (default: .01 .1 1)")
    add("--epochs", type=options.positive, default=10, metavar="N",
        help="epochs of training each model (default: 10)")
    add("--seeds", nargs="+", type=options.count, default=[0, 1], metavar="N",
        help="random seeds (default: 0 1)")
    add("--out", type=Path, default=Path("runs/exclusive"),
        help="folder for models and table (default: runs/exclusive)")
    return parser.parse_args(arguments)
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
