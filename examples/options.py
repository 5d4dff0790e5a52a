"""Command-line options shared by the examples."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ccvae_pyro.data.preprocessing import RESIZE_RULES

LIKELIHOOD_SCALE = {"exact": 0.5, "paper": 1.0, "paper-true-gradient": 1.0}
WEIGHT = "300 divided by the fraction of known labels in a batch with exact, else 0"


# fmt: off
def add_image_options(add: Callable, what: str = "") -> None:
    """Adds the options of how image files are prepared and cached.

    :param add: ``add_argument`` of a parser or of a group of options.
    :param what: the data that they are for, such as ``"CelebA: "``.
    """
    add("--resize", choices=RESIZE_RULES, default="squash",
        help=f"{what}what happens to an image that is not square: it is squashed to a square, the "
        "largest square is cut from its center, or it gets white margins; whatever opens an image "
        "for the model then does the same (default: squash)")
    add("--cache", type=Path, metavar="DIR",
        help=f"{what}folder for the decoded images (default: ccvae_cache in the folder of the "
        "images, or in ~/.cache/ccvae_pyro if that cannot be written)")


def add_network_options(
    parser: argparse.ArgumentParser, network: str, more: Sequence[str] = (), what: str = ""
) -> None:
    """Adds the options of the networks and of the size of their images.

    :param network: the default of ``--network``, in words.
    :param more: other choices of ``--network`` than the residual and the paper's.
    :param what: the data whose size can be chosen, such as ``"class folders: "``.
    """
    add = parser.add_argument_group("networks").add_argument
    add("--size", type=side, default=64, metavar="PIXELS",
        help=f"{what}height and width of the images, at least 8; 128 shows more detail and takes "
        "four times as long (default: 64)")
    add("--network", choices=["residual", "paper", *more],
        help="residual: a decoder that starts at the mean image, and a fitted scale of the "
        "likelihood; paper: the paper's networks, which are a little faster, its sigmoid and a "
        f"fixed scale (default: {network})")
    add("--width", type=positive, default=16, metavar="N",
        help="channels of the first stage of residual networks (default: 16)")
    add("--likelihood", choices=["laplace", "gaussian", "logistic"], default="laplace",
        help="likelihood of a pixel, with residual networks; logistic is discretized to the 256 "
        "values of a byte (default: laplace)")


def add_objective_options(
    parser: argparse.ArgumentParser,
    z_dim: str,
    weight: str = WEIGHT,
    final_weight: str = "the same",
    consistency_weight: str = "0",
) -> None:
    """Adds the options of the model and its objective.

    :param z_dim: the default of ``--z-dim``, in words.
    :param weight: the default of ``--classification-weight``, in words.
    :param final_weight: the default of ``--final-weight``, in words.
    :param consistency_weight: the default of ``--consistency-weight``, in words.
    """
    add = parser.add_argument_group("model and objective").add_argument
    add("--z-dim", type=positive, metavar="D",
        help=f"dimension of z_c and z_style together (default: {z_dim})")
    add("--objective", choices=["exact", "paper", "paper-true-gradient"], default="exact",
        help="the ELBO with its label terms computed exactly; the paper's estimate, with the "
        "gradient of the authors' code (z detached in q(y|z_c)); or the paper's estimate with its "
        "true gradient (default: exact)")
    add("--label-prior", choices=["independent", "tree"],
        help="whether labels are independent a priori, or depend on each other along the tree of "
        "Chow and Liu (default: tree if validation labels are more likely under it)")
    add("--classification-weight", type=nonnegative, metavar="W",
        help=f"coefficient of an additional log q(y|x) (default: {weight})")
    add("--final-weight", type=positive_number, metavar="W",
        help="value of that coefficient after the first half of the steps "
        f"(default: {final_weight})")
    add("--consistency-weight", type=nonnegative, metavar="W",
        help="coefficient of the label-consistency term, log q(y|x) of generated images; only "
        f"with exact; makes a step 1.3 times as long (default: {consistency_weight})")
    add("--likelihood-scale", type=positive_number, metavar="B",
        help="scale of the likelihood of a pixel (default: fitted with exact and residual "
        "networks; 0.5 with exact and other networks; else the paper's 1)")
    add("--num-label-samples", type=positive, default=100, metavar="K",
        help="samples of z in the paper's estimate of q(y|x) (default: 100)")


def add_training_options(
    parser: argparse.ArgumentParser,
    out: str,
    *,
    epochs: str,
    batch_size: str,
    learning_rate: str = "0.002",
    shift: str = "0",
    warp: str = "0",
    flip: str = "off",
    evaluations: str = "1",
    final: str = "last",
) -> None:
    """Adds the options of the training, and of the folder for the results.

    :param out: the default folder.
    :param epochs: the default of ``--epochs``, in words.
    :param batch_size: the default of ``--batch-size``, in words.
    :param learning_rate: the default of ``--learning-rate``, in words.
    :param shift: the default of ``--shift``, in words.
    :param warp: the default of ``--warp``, in words.
    :param flip: the default of ``--flip``.
    :param evaluations: the default of ``--epochs-per-evaluation``, in words.
    :param final: the default of ``--final-model``.
    """
    group = parser.add_argument_group("training")
    add = group.add_argument
    length = group.add_mutually_exclusive_group().add_argument
    length("--epochs", type=positive, metavar="N",
           help=f"passes over the training images (default: {epochs})")
    length("--steps", type=positive, metavar="N",
           help="at least so many steps, in place of --epochs: as many passes as they take")
    add("--batch-size", type=positive, metavar="N",
        help=f"images per step, at most all training images (default: {batch_size})")
    add("--learning-rate", type=positive_number, metavar="LR",
        help="of Adam; ten times that for conditional prior and classifier "
        f"(default: {learning_rate})")
    add_decay_fraction(add)
    add("--shift", type=count, metavar="N",
        help=f"augmentation: random shifts of up to N pixels (default: {shift})")
    add("--warp", type=fraction, metavar="FRACTION",
        help="augmentation: random rotation, scaling and shear by up to this fraction "
        f"(default: {warp})")
    add("--flip", choices=["auto", "on", "off"], default=flip,
        help="augmentation: mirror a random half of the images from left to right; auto does "
        "unless a label speaks of a side or a letter, or the images are not symmetric on average "
        f"(default: {flip})")
    add("--balance", action="store_true",
        help="draw images with rare values of labels more often: better at these, worse at others")
    add("--epochs-per-evaluation", type=positive, metavar="N",
        help="evaluate validation images and save a checkpoint after every N epochs "
        f"(default: {evaluations})")
    add("--final-model", choices=["best", "last"], default=final,
        help="the model that metrics, figures and predictions are of: that of the best "
        "evaluation on validation images, which is kept as best.pt, or that of the last epoch "
        f"(default: {final})")
    add("--patience", type=positive, metavar="N",
        help="if N evaluations in a row are no better than one before, begin the decay of the "
        "learning rate and end with it (default: train to the end)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto",
        help="of the networks; log-densities are always float32 (default: auto, the faster one)")
    add("--cuda-graph", choices=["auto", "on", "off"], default="auto",
        help="on CUDA, capture a training step in a graph and replay it, without the time of "
        "Python; auto does where it is possible; with on, a step that cannot be captured is an "
        "error (default: auto)")
    add("--resident", choices=["auto", "on", "off"], default="auto",
        help="keep the images on the device, as bytes; auto does on an accelerator if they take "
        "at most half of its free memory (default: auto)")
    add("--compile", action="store_true",
        help="compile the networks, which takes about a minute; on a CPU it needs a C++ compiler")
    add("--seed", type=count, default=0, help="the same seed gives the same run (default: 0)")
    add("--out", type=Path, default=Path(out),
        help=f"folder for checkpoint, metrics and figures (default: {out})")
    existing = group.add_mutually_exclusive_group().add_argument
    existing("--resume", action="store_true",
             help="resume from the checkpoint in --out, if it exists")
    existing("--overwrite", action="store_true", help="replace the run in --out, if there is one")
    add("--checkpoint-minutes", type=positive_number, default=10.0, metavar="M",
        help="save a checkpoint every M minutes, as well as at each evaluation (default: 10)")


def add_decay_fraction(add: Callable) -> None:
    """Adds the option of the learning-rate decay.

    :param add: ``add_argument`` of a parser or of a group of options.
    """
    add("--decay-fraction", type=fraction, default=0.5, metavar="FRACTION",
        help="fraction of the steps, at the end, over which the learning rate falls linearly to "
        "zero (default: 0.5)")
# fmt: on


def new_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that prints an example's docstring unchanged."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def fill_in(args: argparse.Namespace, **defaults: Any) -> argparse.Namespace:
    """Sets the options that were not given to their defaults."""
    # The paper's objective needs a density of images below 1: see CCVAE_ELBO.
    network = getattr(args, "network", None) or defaults.get("network")
    if not (network == "residual" and args.objective == "exact"):
        defaults |= {"likelihood_scale": LIKELIHOOD_SCALE[args.objective]}
    usual = {"shift": 0, "warp": 0.0, "learning_rate": 2e-3, "consistency_weight": 0.0}
    usual["epochs_per_evaluation"] = 1
    if args.steps is not None:
        defaults["epochs"] = None  # it follows from the number of images
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


def number(text: str, least: float = 0.0, most: float = math.inf) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (least <= value <= most and math.isfinite(value)):
        wanted = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise argparse.ArgumentTypeError(f"wanted a number {wanted}, got {text}")
    return value


def side(text: str) -> int:
    """The height and width of an image."""
    return count(text, least=8)


def nonnegative(text: str) -> float:
    """A finite number of at least 0."""
    return number(text)


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    return number(text, most=1.0)


def positive_number(text: str) -> float:
    """A finite number above 0."""
    value = number(text, least=-math.inf)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"wanted a number above 0, got {text}")
    return value
