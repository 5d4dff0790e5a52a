"""Makes a checkpoint of a model of human faces that the paper's authors published, and figures.

    git clone https://github.com/thwjoy/revae-demo
    python examples/published.py revae-demo
    python examples/published.py revae-demo --images celeba/img_align_celeba

The folder may also be one of the files that the authors' scripts leave (thwjoy/ccvae and
thwjoy/ccvae_pytorch). No code of the files runs. The faces of the figures are samples of the
model, or the first files of --images, which have to be aligned as those of CelebA are. Then:

    python examples/edit.py runs/published face.jpg --set Eyeglasses=1 --num-std 2
    python examples/measure.py runs/published --root CELEBA
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import celeba
import common
import figures
import options
import pyro
import torch
from PIL import Image
from torch import Tensor

import ccvae_pyro
from ccvae_pyro import plotting
from ccvae_pyro.data import read_image
from ccvae_pyro.training.run_folder import (
    FIRST_CHECKPOINT,
    check_folder,
    lock_folder,
    replace_run,
)

EDITED = ("Eyeglasses", "Smiling", "Male", "No_Beard")
NUM_EDITED, NUM_FACES = 10, 60
CAPTIONS = {
    "faces": "Faces with one attribute set to another value: + to true, - to false. Beards are "
    "faint on women, who have none in CelebA."
}
HEADINGS = {"faces": "Four attributes"}


def main(arguments: list[str] | None = None) -> int:
    """Runs the example; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Writes the checkpoint, then the figures and the report."""
    check_folder(args.out, resume=False, overwrite=args.overwrite)
    ccvae = ccvae_pyro.load_published(args.folder)
    pyro.set_rng_seed(args.seed)
    x, y = faces_of(ccvae, args.images) if args.images else samples_of(ccvae)
    with lock_folder(args.out):  # a run in this folder is replaced with all of its files
        ccvae_pyro.save(args.out / FIRST_CHECKPOINT, ccvae, settings=settings_of(ccvae))
        replace_run(args.out)
    print(f"the checkpoint is {args.out / 'checkpoint.pt'}")
    drawn = {"faces": partial(plotting.plot_edits, ccvae, x[:NUM_EDITED], EDITED)}
    drawn |= figures.figures_of_images(ccvae, x, y, {})
    captions = {
        name: text.replace("test image", "face") for name, text in figures.CAPTIONS.items()
    }
    files, failures = figures.write(
        drawn, captions | CAPTIONS, HEADINGS | figures.HEADINGS, args.out / "figures"
    )
    for failure in failures:
        print(failure, file=sys.stderr)
    settings = {"folder": args.folder, "images": args.images or "samples", "seed": args.seed}
    title = f"{args.out.name}: the published model of {len(ccvae.labels)} attributes"
    plotting.write_report(args.out / "report.html", title, {}, files, settings)
    print(f"report: {args.out / 'report.html'}")


def samples_of(ccvae: ccvae_pyro.CCVAE) -> tuple[Tensor, Tensor]:
    """Faces that the model generates, and their labels, sampled from the label prior."""
    y = torch.stack([ccvae.label_prior().sample() for _ in range(NUM_FACES)])
    return ccvae_pyro.generate(ccvae, y), y


def faces_of(ccvae: ccvae_pyro.CCVAE, folder: Path) -> tuple[Tensor, Tensor]:
    """The first images of a folder by name, and their predicted labels.

    :raises ValueError: if there are none.
    """
    known = Image.registered_extensions()
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in known)
    if not paths:
        raise ValueError(f"there is no image in {folder}")
    x = torch.cat([read_image(path, ccvae.preprocessing) for path in paths[:NUM_FACES]])
    return x, ccvae_pyro.predict(ccvae, x)[0]


def settings_of(ccvae: ccvae_pyro.CCVAE) -> dict[str, Any]:
    """The options of celeba.py for the images of the model, which measure.py takes them from."""
    args = celeba.parse(["--data", "celeba", "--attributes", *ccvae.label_names])
    names = (
        "data",
        "attributes",
        "num_images",
        "size",
        "crop",
        "resize",
        "skip_unreadable",
        "seed",
    )
    return {name: getattr(args, name) for name in names}


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("folder", type=Path, help="the folder of the authors' files, or a copy of revae-demo")
    add("--images", type=Path, metavar="FOLDER",
        help="a folder of aligned faces (default: samples of the model)")
    add("--seed", type=options.count, default=0, metavar="N",
        help="random seed of the samples (default: 0)")
    add("--out", type=Path, default=Path("runs/published"),
        help="folder of the results (default: runs/published)")
    add("--overwrite", action="store_true", help="replace the run in --out, if there is one")
    return parser.parse_args(arguments)
# fmt: on


if __name__ == "__main__":
    sys.exit(main())
