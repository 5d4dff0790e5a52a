"""Trains and benchmarks the model that ``ccvae_pyro.load_pretrained("avatars")`` loads.

    python examples/pretrained.py

It takes about thirty minutes on one core, resumes an interrupted run, and writes the model and its
metrics into the package. It also takes all options of celeba.py.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import celeba
import common
import measure
import options
import outcome

import ccvae_pyro
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.io.pretrained import FOLDER

# Not the default seed: the avatars of the tutorial are not among the training images.
SETTINGS = ("--num-images", "36000", "--avatar-seed", "1", "--epochs", "30", "--resume")


def main(arguments: list[str] | None = None) -> int:
    """Runs the example; returns its exit code."""
    return common.guarded(run, parse(arguments), Path(__file__).name, "the same command")


def run(args: argparse.Namespace) -> None:
    """Trains the model, packs it, benchmarks the packed model, and writes both to the package."""
    trained, packed = args.out / "trained", args.out / "avatars"
    places = ["--root", str(args.root), "--out", str(trained)]
    celeba.run(celeba.parse([*SETTINGS, *places, *args.rest]))
    pack(trained, packed)
    measured = args.out / "measured"
    measure.run(measure.parse([str(packed), "--root", str(args.root), "--out", str(measured)]))
    results = json.loads((measured / "measured.json").read_text())[packed.name]
    config = json.loads((packed / "config.json").read_text())
    with atomic_write(args.into / "avatars.pt") as part:
        shutil.copyfile(packed / "checkpoint.pt", part)
    command = " ".join(["python examples/pretrained.py", *args.rest])
    outcome.write_json(
        args.into / "avatars.json", {"command": command, "config": config, **results}
    )
    print(f"the model and its metrics are in {args.into}")


def pack(trained: Path, packed: Path) -> None:
    """Saves the model without the state of its training, in half precision."""
    model = ccvae_pyro.load(trained / "checkpoint.pt")
    ccvae_pyro.save(packed / "checkpoint.pt", model.half())
    outcome.write_json(packed / "config.json", outcome.read_config(trained))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = options.new_parser(__doc__)
    add = parser.add_argument
    add("--root", type=Path, default=Path("data"), help="cache of the avatars (default: data)")
    add(
        "--out",
        type=Path,
        default=Path("runs/pretrained"),
        help="folder of the run (default: runs/pretrained)",
    )
    add(
        "--into",
        type=Path,
        default=FOLDER,
        help="folder for the packed model (default: that of the package)",
    )
    args, args.rest = parser.parse_known_args(arguments)
    return args


if __name__ == "__main__":
    sys.exit(main())
