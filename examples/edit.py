"""Edits an image with a trained model, and plots it before and after.

    python examples/edit.py runs/celeba/checkpoint.pt face.png --set Sunglasses=1 --set Beard=0
    python examples/edit.py runs/celeba/checkpoint.pt face.png --swap-from other.png --label Hat
    python examples/edit.py runs/celeba/checkpoint.pt face.png --walk Eyeglasses
    python examples/edit.py avatars face.png --set Wearing_Hat=1

The folder of a run, such as runs/celeba, stands for its checkpoint. Classes are given by their
names: --set Stars=3 sets the class that is called 3.

"avatars" is the pretrained model of the package, for cartoon faces. The image may have any size:
it is prepared as the model's training images were, which the checkpoint holds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import common
import options
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

import ccvae_pyro
from ccvae_pyro.data import Preprocessing, read_image
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.names import one_line
from ccvae_pyro.io.checkpoint import model_file
from ccvae_pyro.labels import Binary, outcome_names
from ccvae_pyro.models import ImageModel
from ccvae_pyro.plotting import draw_grid, spaced
from ccvae_pyro.training import pick_device

NUM_STEPS = 7


def main(arguments: list[str] | None = None) -> int:
    """Edits the image; returns the exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Loads model and image, edits the image, and writes the figure."""
    model = load(args.model).to(pick_device(args.device))
    x, exclusions = read_for(model, args.image), {"keep_conflicting": args.keep_conflicting}
    if args.walk:
        figure = walk(model, x, args.walk, **exclusions)
    elif args.swap_from:
        figure = swap(model, x, read_for(model, args.swap_from), args.label, **exclusions)
    else:
        how = {"mode": args.mode, "num_std": args.num_std, **exclusions}
        figure = edit(model, x, dict(args.set), **how)
    with atomic_write(args.out) as part:
        figure.savefig(part, dpi=150, format=args.out.suffix[1:] or "png")
    print(f"the figure is in {args.out}")


def load(model: str) -> ImageModel:
    """The model of a checkpoint, or a pretrained model."""
    path = Path(model)
    if model_file(path).is_file():  # of the run in a folder
        path = model_file(path)
    is_file = path.suffix or len(path.parts) > 1 or path.is_file()
    return ccvae_pyro.load(path) if is_file else ccvae_pyro.load_pretrained(model)


def read_for(model: ImageModel, path: Path) -> Tensor:
    """An image as the model takes it."""
    return read_image(path, preprocessing_of(model)).to(next(model.parameters()))


def preprocessing_of(model: ImageModel) -> Preprocessing:
    """How images are prepared for a model; checkpoints before version 0.2 do not say so."""
    if model.preprocessing is not None:
        return model.preprocessing
    labels = next(model.parameters()).new_zeros(1, len(model.labels))
    channels, size, _ = ccvae_pyro.generate(model, labels).shape[1:]
    guess = Preprocessing(size, channels)  # the default of the training examples
    print(f"the checkpoint does not say how its images were prepared: assuming {guess}")
    return guess


def edit(model: ImageModel, x: Tensor, targets: dict[str, str], **kwargs: Any) -> Figure:
    """The image with labels set to target values."""
    edited = ccvae_pyro.edit(model, x, targets, **kwargs)
    report(model, x, edited)
    title = "\n".join(f"{spaced(name)} = {value}" for name, value in targets.items())
    columns = [x, ccvae_pyro.reconstruct(model, x), edited]
    return draw_grid([torch.cat(columns)], [""], ["image", "recon-\nstruction", title])


def swap(
    model: ImageModel, x: Tensor, donor: Tensor, labels: list[str] | None, **kwargs: Any
) -> Figure:
    """The image with characteristics of another image."""
    swapped = ccvae_pyro.swap(model, x, donor, labels, **kwargs)
    report(model, x, swapped)
    swapped_labels = "\n".join(map(spaced, labels)) if labels else "labels"
    columns = [x, ccvae_pyro.reconstruct(model, x), donor, swapped]
    titles = ["image", "recon-\nstruction", "donor", f"with its\n{swapped_labels}"]
    return draw_grid([torch.cat(columns)], [""], titles)


def walk(model: ImageModel, x: Tensor, labels: list[str], **kwargs: Any) -> Figure:
    """A row of images for each label, while its characteristics go through their values."""
    rows = [ccvae_pyro.walk(model, x, label, num_steps=NUM_STEPS, **kwargs)[0] for label in labels]
    rows = [torch.cat([x, row]) for row in rows]
    kinds = [model.label_of(label) for label in labels]
    titles = [""] * NUM_STEPS
    if all(isinstance(kind, Binary) for kind in kinds):
        titles[0], titles[-1] = "without", "with"
    return draw_grid(rows, [spaced(label) for label in labels], ["image", *titles])


def report(model: ImageModel, before: Tensor, after: Tensor) -> None:
    """Prints the predictions that an edit changed by 0.1 or more."""
    names = outcome_names(model.labels)
    predicted = [ccvae_pyro.classify(model, x)[0].tolist() for x in (before, after)]
    for name, old, new in zip(names, *predicted, strict=True):
        if abs(new - old) >= 0.1:
            print(f"{one_line(name)}: {old:.2f} before, {new:.2f} after")


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("model", help="a checkpoint.pt, the folder of a run, or the name of a pretrained model: "
        "avatars")
    add("image", type=Path, help="the image to edit")
    action = parser.add_mutually_exclusive_group(required=True).add_argument
    action("--set", action="append", type=target, metavar="NAME=VALUE",
           help="set a label to 0 or 1, to the name of a class, or to a number; may be given "
           "several times")
    action("--swap-from", type=Path, metavar="FILE",
           help="swap in characteristics of another image")
    action("--walk", nargs="+", metavar="NAME",
           help="go through the values of these labels, a row of images each")
    add("--label", nargs="+", metavar="NAME",
        help="with --swap-from: labels whose characteristics are swapped (default: all)")
    add("--mode", choices=["do", "condition"], default="do",
        help="with --set: leave all other labels, or let them follow, by a label prior that is a "
        "tree (default: do)")
    add("--num-std", type=float, default=0.0, metavar="D",
        help="standard deviations beyond the prior mean: 2 makes an edit easy to see (default: 0)")
    add("--keep-conflicting", action="store_true",
        help="do not change the labels that these labels exclude, such as hair under a hat")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add("--out", type=figure_file, default=Path("edited.png"), metavar="FILE",
        help="file of the figure, such as a .png or .pdf (default: edited.png)")
    args = parser.parse_args(arguments)
    if args.set and len(dict(args.set)) < len(args.set):
        parser.error("--set sets a label to two values")
    if args.label and not args.swap_from:
        parser.error("--label needs --swap-from")
    return args
# fmt: on


def figure_file(text: str) -> Path:
    """A file that a figure can be written to, before the figure is computed."""
    path, formats = Path(text), FigureCanvasAgg.get_supported_filetypes()
    if path.is_dir() or (path.suffix and path.suffix[1:].lower() not in formats):
        raise argparse.ArgumentTypeError(
            f"wanted the file of a figure, such as edited.png or edited.pdf, got {text}"
        )
    return path


def target(text: str) -> tuple[str, str]:
    """A label and its target value."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"wanted NAME=VALUE, such as Beard=1, got {text!r}")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
