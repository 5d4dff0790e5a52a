"""Makes a folder of cartoon faces and a CSV of their labels, to try folder.py with.

    python examples/avatar_folder.py --out faces
    python examples/folder.py --root faces --labels faces/labels.csv --out runs/faces

The labels of a face are its hair color, whether it wears glasses, and the angle by which it leans,
in degrees. labels.csv has empty cells; truth.csv has none.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import common
import numpy as np
import options
from PIL import Image

from ccvae_pyro.data import LabeledImages, load_avatars
from ccvae_pyro.data.files import atomic_write

HAIR = ["Black_Hair", "Brown_Hair", "Blond_Hair", "Red_Hair", "Gray_Hair", "Pink_Hair"]
GLASSES = ["Eyeglasses", "Sunglasses"]
HEADER = ["file", "hair", "glasses", "lean"]


def main(arguments: list[str] | None = None) -> int:
    """Runs the example; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Writes the images and their labels."""
    if not 0 <= args.empty < 1:
        raise ValueError(f"--empty must be at least 0 and below 1, got {args.empty}")
    data = load_avatars(args.cache, args.num_images, seed=args.seed)
    data = data.combine(HAIR, "hair", rest="hidden")
    rng = np.random.default_rng(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    truth = [write_face(data, row, rng, args.out) for row in range(args.num_images)]
    labels = [
        [face[0], *("" if rng.random() < args.empty else cell for cell in face[1:])]
        for face in truth
    ]
    for name, rows in (("truth.csv", truth), ("labels.csv", labels)):
        with atomic_write(args.out / name) as part, part.open("w", newline="") as file:
            csv.writer(file).writerows([HEADER, *rows])
    print(f"{args.num_images} faces and their labels.csv are in {args.out}")


def write_face(
    data: LabeledImages, row: int, rng: np.random.Generator, out: Path
) -> list[str | float]:
    """Rotates and resizes an image at random and saves it; returns its row of the CSV."""
    pixels = data.images[row]
    lean, size = round(rng.uniform(-40, 40), 1), int(rng.integers(56, 97))
    background = tuple(int(value) for value in pixels[0, 0])
    image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)
    image = image.rotate(-lean, Image.Resampling.BICUBIC, fillcolor=background)
    name = f"{row:05d}.jpg"
    with atomic_write(out / name) as part:
        image.save(part, format="JPEG", quality=90)
    place = data.label_names.index("hair")
    hair = (
        data.label_types[place].classes[int(data.labels[row, place])].removesuffix("_Hair").lower()
    )
    has_glasses = any(data.labels[row, data.label_names.index(name)] for name in GLASSES)
    return [name, hair, "yes" if has_glasses else "no", lean]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for images and CSVs")
    add(
        "--num-images",
        type=options.positive,
        default=1000,
        metavar="N",
        help="number of images (default: 1000)",
    )
    add("--empty", type=options.fraction, default=0.3, metavar="FRACTION",
        help="fraction of empty cells (default: 0.3)")  # fmt: skip
    add("--seed", type=options.count, default=0, help="random seed of the faces (default: 0)")
    add("--cache", type=Path, default=Path("data"), help="cache of the avatars (default: data)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
