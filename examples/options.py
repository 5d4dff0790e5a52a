"""Options that examples share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIKELIHOOD_SCALE = {"exact": 0.5, "paper": 1.0, "paper-true-gradient": 1.0}
WEIGHT = "with exact 300, by the share of labels that are known in a batch; else 0"


# fmt: off
def add_objective_options(
    parser: argparse.ArgumentParser,
    z_dim: str,
    weight: str = WEIGHT,
    last: str = "the same",
    order: str = "0",
) -> None:
    """Adds what a model is trained by.

    :param z_dim: what the default of ``--z-dim`` is, in words.
    :param weight: what that of ``--classification-weight`` is.
    :param last: what that of ``--final-weight`` is.
    :param order: what that of ``--consistency-weight`` is.
    """
    add = parser.add_argument_group("model and objective").add_argument
    add("--z-dim", type=positive, metavar="D",
        help=f"characteristics and style together (default: {z_dim})")
    add("--objective", choices=["exact", "paper", "paper-true-gradient"], default="exact",
        help="the bound, exact in its labels; or the paper's estimate of it, with the gradient "
        "of the authors' code (z detached inside q(y|z_c)), or with its own (default: exact)")
    add("--classification-weight", type=float, metavar="W",
        help=f"coefficient of a further log q(y|x) (default: {weight})")
    add("--final-weight", type=float, metavar="W",
        help=f"what that coefficient goes to over the first half of the steps (default: {last})")
    add("--consistency-weight", type=float, metavar="W",
        help="with exact, coefficient of a term that has generated images show the labels that "
        f"they were generated to; it makes a step 1.3 times as long (default: {order})")
    add("--likelihood-scale", type=float, metavar="B",
        help="scale of the Laplace at each pixel (default: 0.5 with exact, else the paper's 1)")
    add("--num-label-samples", type=positive, default=100, metavar="K",
        help="draws of z that the paper's estimate takes for q(y|x) (default: 100)")


def add_training_options(
    parser: argparse.ArgumentParser,
    out: str,
    *,
    epochs: str,
    batch_size: str,
    learning_rate: str = "0.002",
    shift: str = "0",
    warp: str = "0",
) -> None:
    """Adds how a model is trained, and where the results go.

    :param out: the default folder.
    :param epochs: what the default is, in words.
    :param batch_size: what the default is, in words.
    :param learning_rate: what the default is, in words.
    :param shift: what the default is, in words.
    :param warp: what the default is, in words.
    """
    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=positive, metavar="N",
        help=f"passes over the training images (default: {epochs})")
    add("--batch-size", type=positive, metavar="N",
        help=f"images a step (default: {batch_size})")
    add("--learning-rate", type=float, metavar="LR",
        help=f"Adam's; ten times that for prior and classifier (default: {learning_rate})")
    add_cool_down(add)
    add("--shift", type=count, metavar="N",
        help=f"move training images at random, by up to so many pixels (default: {shift})")
    add("--warp", type=float, metavar="SHARE",
        help=f"and turn, stretch and slant them by up to this share (default: {warp})")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto",
        help="of the networks; densities are always float32 (default: auto, whichever is faster)")
    add("--compile", action="store_true",
        help="compile the networks, which takes a minute or so at first; on a CPU it needs a C++ "
        "compiler")
    add("--seed", type=int, default=0, help="the same seed gives the same run (default: 0)")
    add("--out", type=Path, default=Path(out),
        help=f"folder for checkpoint, numbers and figures (default: {out})")
    add("--resume", action="store_true", help="go on from the checkpoint in --out, if any")


def add_cool_down(add: Callable) -> None:
    """Adds how the rate falls.

    :param add: ``add_argument`` of a parser or of a group of options.
    """
    add("--decay-fraction", type=float, default=0.5, metavar="SHARE",
        help="share of the steps, the last, over which the rate falls to zero (default: 0.5)")
# fmt: on


def new_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that shows an example's docstring as it is written."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def fill_in(args: argparse.Namespace, **defaults: Any) -> argparse.Namespace:
    """Sets those of the options that were not given."""
    defaults |= {"likelihood_scale": LIKELIHOOD_SCALE[args.objective]}
    usual = {"shift": 0, "warp": 0.0, "learning_rate": 2e-3, "consistency_weight": 0.0}
    for name, value in (usual | defaults).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args


def count(text: str, least: int = 0) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"wanted a whole number of at least {least}, got {text}")
    return int(text)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return count(text, least=1)
