"""Edits an image by a trained model, and writes a picture of it before and after.

    python examples/edit.py runs/celeba/checkpoint.pt face.png --set Sunglasses=1 --set Beard=0
    python examples/edit.py runs/celeba/checkpoint.pt face.png --swap-from other.png --label Hat
    python examples/edit.py runs/celeba/checkpoint.pt face.png --walk Eyeglasses
    python examples/edit.py avatars face.png --set Wearing_Hat=1

"avatars" is the model that comes with the package, of cartoon faces.
The image may have any size: the model sees a square from its middle, at its own size.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import common
import options
import torch
from matplotlib.figure import Figure
from torch import Tensor

import ccvae_pyro
from ccvae_pyro.data import read_image
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.labels import Binary, outcome_names
from ccvae_pyro.models.base import ImageModel
from ccvae_pyro.plotting.grid import draw_grid, spaced
from ccvae_pyro.training import pick_device

NUM_STEPS = 7


def main(arguments: list[str] | None = None) -> int:
    """Edits the image; returns the exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Reads model and image, edits, and writes the picture."""
    model = load(args.model).to(pick_device(args.device)).eval()
    x, alone = read_for(model, args.image), {"keep_conflicting": args.keep_conflicting}
    if args.walk:
        figure = walk(model, x, args.walk, **alone)
    elif args.swap_from:
        figure = swap(model, x, read_for(model, args.swap_from), args.label, **alone)
    else:
        figure = edit(model, x, dict(args.set), num_std=args.num_std, **alone)
    with atomic_write(args.out) as part:
        figure.savefig(part, dpi=150, format=args.out.suffix[1:] or "png")
    print(f"the picture is in {args.out}")


def load(model: str) -> ImageModel:
    """A checkpoint, or a model that comes trained."""
    is_file = Path(model).suffix or Path(model).is_file()
    return ccvae_pyro.load(model) if is_file else ccvae_pyro.load_pretrained(model)


def read_for(model: ImageModel, path: Path) -> Tensor:
    """An image as the model takes it."""
    like = next(model.parameters())
    channels, size, _ = ccvae_pyro.generate(model, like.new_zeros(1, len(model.labels))).shape[1:]
    return read_image(path, size, channels).to(like)


def edit(model: ImageModel, x: Tensor, orders: dict[str, str], **how: Any) -> Figure:
    """The image with labels set."""
    edited = ccvae_pyro.edit(model, x, orders, **how)
    report(model, x, edited)
    ordered = "\n".join(f"{spaced(name)} = {value}" for name, value in orders.items())
    columns = [x, ccvae_pyro.reconstruct(model, x), edited]
    return draw_grid([torch.cat(columns)], [""], ["image", "recon-\nstruction", ordered])


def swap(
    model: ImageModel, x: Tensor, donor: Tensor, labels: list[str] | None, **how: Any
) -> Figure:
    """The image with characteristics of another."""
    swapped = ccvae_pyro.swap(model, x, donor, labels, **how)
    report(model, x, swapped)
    taken = "\n".join(map(spaced, labels)) if labels else "labels, all"
    columns = [x, ccvae_pyro.reconstruct(model, x), donor, swapped]
    titles = ["image", "recon-\nstruction", "donor", f"with its\n{taken}"]
    return draw_grid([torch.cat(columns)], [""], titles)


def walk(model: ImageModel, x: Tensor, labels: list[str], **how: Any) -> Figure:
    """The image while each label's characteristics go through their values, a row each."""
    rows = [ccvae_pyro.walk(model, x, label, num_steps=NUM_STEPS, **how)[0] for label in labels]
    rows = [torch.cat([x, row]) for row in rows]
    kinds = [model.label_of(label) for label in labels]
    titles = [""] * NUM_STEPS
    if all(isinstance(kind, Binary) for kind in kinds):
        titles[0], titles[-1] = "without", "with"
    return draw_grid(rows, [spaced(label) for label in labels], ["image", *titles])


def report(model: ImageModel, before: Tensor, after: Tensor) -> None:
    """Prints what the model reads off the image, where an edit changed it by a tenth or more."""
    names = outcome_names(model.labels)
    reads = [ccvae_pyro.classify(model, x)[0].tolist() for x in (before, after)]
    for name, old, new in zip(names, *reads, strict=True):
        if abs(new - old) >= 0.1:
            print(f"{name}: {old:.2f} before, {new:.2f} after")


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("model", help="what a training run left, checkpoint.pt, or avatars")
    add("image", type=Path, help="the image to edit")
    action = parser.add_mutually_exclusive_group(required=True).add_argument
    action("--set", action="append", type=order, metavar="NAME=VALUE",
           help="set a label: to 0 or 1, a class, a number; may be given several times")
    action("--swap-from", type=Path, metavar="FILE", help="take characteristics of another image")
    action("--walk", nargs="+", metavar="NAME", help="go through the values of labels, a row each")
    add("--label", nargs="+", metavar="NAME",
        help="which labels' characteristics to take from the other image (default: all)")
    add("--num-std", type=float, default=0.0, metavar="D",
        help="how far beyond the typical to set labels: 2 makes an edit plain (default: 0)")
    add("--keep-conflicting", action="store_true",
        help="leave labels that exclude these as they are: blond hair under a hat")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add("--out", type=Path, default=Path("edited.png"), help="the picture (default: edited.png)")
    args = parser.parse_args(arguments)
    if args.label and not args.swap_from:
        parser.error("--label goes with --swap-from")
    return args
# fmt: on


def order(text: str) -> tuple[str, str]:
    """A label and the value that it is to have."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"wanted NAME=VALUE, such as Beard=1, got {text!r}")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
