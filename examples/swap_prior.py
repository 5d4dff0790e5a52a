"""Trains a CCVAE with three conditional priors: a Normal, a mixture of Normals, and a flow.

    python examples/swap_prior.py
    python examples/swap_prior.py --attributes Wearing_Hat Long_Hair --epochs 12

Everything else is the same: cartoon faces, objective, seed. A table has the label accuracy, the
reconstruction error and the conditional generation accuracy: the accuracy of an independent
classifier on images that are generated from labels. A figure shows such images. See
docs/extending.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import celeba
import common
import options
import pyro
import pyro.distributions as dist
import pyro.distributions.transforms as T
import torch
import torch.nn.functional as F
from compare import load_oracle
from outcome import check_config
from tables import write_rows
from torch import Tensor, nn

import ccvae_pyro
from ccvae_pyro.components import GaussianConditionalPrior
from ccvae_pyro.data import Batches, LabeledImages, load_avatars
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.distributions import LabelwisePrior
from ccvae_pyro.evaluation import conditional_generation_accuracy
from ccvae_pyro.plotting import draw_grid

ATTRIBUTES = ("Wearing_Hat", "Sunglasses", "Beard", "Long_Hair")
NUM_IMAGES = 10  # for each prior in the figure


class MixturePrior(nn.Module):
    """A mixture of Normals for each label and value."""

    def __init__(self, num_labels: int, num_components: int = 3) -> None:
        super().__init__()
        spread = torch.linspace(-1, 1, num_components).expand(num_labels, -1)
        self.loc = nn.Parameter(torch.stack([spread - 2, spread + 2]))  # value, label, component
        self.raw_scale = nn.Parameter(torch.zeros_like(self.loc))
        self.logits = nn.Parameter(torch.zeros_like(self.loc))

    def forward(self, y: Tensor) -> LabelwisePrior:
        return LabelwisePrior(self.given, y)

    def given(self, y: Tensor) -> dist.MixtureSameFamily:
        """A mixture for each label."""
        both = (self.loc, self.raw_scale, self.logits)
        loc, raw_scale, logits = (torch.lerp(p[0], p[1], y[..., None]) for p in both)
        components = dist.Normal(loc, F.softplus(raw_scale) + 1e-2)
        return dist.MixtureSameFamily(dist.Categorical(logits=logits), components)


class FlowPrior(nn.Module):
    """The usual Normals, transformed by a spline for each label."""

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.start = GaussianConditionalPrior(num_labels)
        self.spline = T.spline(num_labels, bound=6.0)

    def forward(self, y: Tensor) -> LabelwisePrior:
        return LabelwisePrior(self.given, y)

    def given(self, y: Tensor) -> dist.TransformedDistribution:
        """A transformed Normal for each label."""
        return dist.TransformedDistribution(self.start.given(y), [self.spline])


PRIORS = {"Normal": GaussianConditionalPrior, "mixture": MixturePrior, "flow": FlowPrior}


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Trains each model, and writes the table and the figure."""
    data = load_avatars(args.root, args.num_images).select(args.attributes)
    batches = Batches(data, args.batch_size, seed=args.seed)
    config = {k: v for k, v in vars(args).items() if k not in ("out", "root", "priors")}
    check_config(args.out / "config.json", config)
    x, y = data.batch(data.splits["test"])
    oracle = load_oracle(args.out / "oracle.pt", data, celeba.parse([]), args.oracle_epochs)
    rows, images = [], [x[:NUM_IMAGES]]
    for name in args.priors:
        ccvae = train(name, data, batches, args)
        evaluation = ccvae_pyro.evaluate(ccvae, batches.held_out("test"))
        rows.append(
            {
                "prior": name,
                "accuracy": evaluation.accuracy,
                "reconstruction_error": evaluation.reconstruction_error,
                "conditional_generation_accuracy": conditional_generation_accuracy(
                    ccvae, oracle, y
                ),
            }
        )
        images.append(ccvae_pyro.generate(ccvae, y[:NUM_IMAGES]))
    write_rows(args.out / "swap_prior", rows)
    figure = draw_grid(images, ["real images\nwith these labels", *args.priors])
    with atomic_write(args.out / "swap_prior.png") as part:
        figure.savefig(part, dpi=110, format="png")
    print(f"images generated from the same labels are in {args.out / 'swap_prior.png'}")


def train(
    name: str, data: LabeledImages, batches: Batches, args: argparse.Namespace
) -> ccvae_pyro.CCVAE:
    """Trains the model of celeba.py with another conditional prior."""
    command = ["--epochs", args.epochs, "--batch-size", args.batch_size, "--consistency-weight", 0]
    settings = celeba.parse([str(word) for word in command])
    common.set_weight(settings, batches)
    pyro.set_rng_seed(args.seed)
    ccvae = celeba.make_model(settings, data)
    ccvae.conditional_prior = PRIORS[name](len(data.label_types))
    common.train(settings, ccvae, batches, args.out / name, resume=True)
    pyro.set_rng_seed(args.seed)
    return ccvae


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("--priors", nargs="+", choices=PRIORS, default=list(PRIORS), metavar="P",
        help=f"any of {', '.join(PRIORS)} (default: all)")
    add("--attributes", nargs="+", default=list(ATTRIBUTES), metavar="A",
        help=f"attributes of the faces (default: {' '.join(ATTRIBUTES)})")
    add("--root", type=Path, default=Path("data"), help="cache of the avatars (default: data)")
    add("--num-images", type=options.positive, default=3_600, metavar="N",
        help="number of faces (default: 3600)")
    add("--epochs", type=options.positive, default=6, metavar="N",
        help="epochs of training each model (default: 6)")
    add("--oracle-epochs", type=options.positive, default=5, metavar="N",
        help="epochs of training the independent classifier (default: 5)")
    add("--batch-size", type=options.positive, default=50, metavar="N",
        help="images in a batch (default: 50)")
    add("--seed", type=options.count, default=0,
        help="the same seed gives the same run (default: 0)")
    add("--out", type=Path, default=Path("runs/swap_prior"),
        help="folder for models, table and figure (default: runs/swap_prior)")
    return parser.parse_args(arguments)
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
