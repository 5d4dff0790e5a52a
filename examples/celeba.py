"""Trains a CCVAE on faces with binary attributes, and draws what it learned.

Without CelebA at hand it draws cartoon faces for itself:

    python examples/celeba.py
    python examples/celeba.py --data celeba --root data --attributes Smiling Eyeglasses Bangs
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyro
from pyro.infer import SVI, Trace_ELBO

import ccvae_pyro
from ccvae_pyro import plotting
from ccvae_pyro.data import Batches, LabeledImages, hide_labels, load_avatars, load_celeba
from ccvae_pyro.data.avatar_tables import VISIBLE_ATTRIBUTES
from ccvae_pyro.data.celeba import PAPER_ATTRIBUTES, download
from ccvae_pyro.devices import pick_device, pick_precision
from ccvae_pyro.files import written_whole

# What to start from with each objective; docs/objective.md has what else was measured.
LIKELIHOOD_SCALE = {"tilted": 0.5, "published": 1.0, "unstopped": 1.0}
CLASSIFICATION_WEIGHT = {"tilted": 300.0, "published": 0.0, "unstopped": 0.0}
# Small batches learn faster, for every image that a processor sees; a large set takes larger ones.
BATCH_SIZE = {"avatars": 50, "celeba": 200}
EPOCHS = {"avatars": 15, "celeba": 20}
NOT_OF_THE_RESULT = ("out", "resume", "root", "download")  # left out of the configuration


def main(arguments: list[str] | None = None) -> int:
    """Runs the example; returns its exit code."""
    return guarded(run, parse(arguments), Path(__file__).name, "--resume")


def guarded(
    run: Callable[[argparse.Namespace], None], args: argparse.Namespace, name: str, again: str
) -> int:
    """Runs an example; what its user can mend is one line, and no traceback."""
    try:
        run(args)
    except KeyboardInterrupt:
        print(f"\nstopped; {again} goes on from where it was", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 2
    return 0


def run(args: argparse.Namespace) -> None:
    """Loads the data, trains, measures, draws."""
    device = pick_device(args.device)
    precision = pick_precision(args.precision, device)
    pyro.set_rng_seed(args.seed)
    data = hide_labels(load(args), args.label_fraction, missing=args.missing, seed=args.seed)
    batches = Batches(data, args.batch_size, seed=args.seed, device=device)
    set_weight(args, batches)
    config = {k: v for k, v in vars(args).items() if k not in NOT_OF_THE_RESULT}
    config |= {"device": device.type, "precision": str(precision).removeprefix("torch.")}
    names = data.label_names
    ccvae = ccvae_pyro.celeba(
        len(names),
        args.z_dim,
        data.label_frequencies(),
        likelihood_scale=args.likelihood_scale,
        label_names=names,
    ).to(device)
    ccvae_pyro.set_precision(ccvae, precision)
    objective = make_objective(args)
    check_config(args.out / "config.json", config, args.resume)
    svi = SVI(ccvae.model, ccvae.guide, ccvae_pyro.make_adam(args.learning_rate), loss=objective)
    options = {"cool_down": args.cool_down, "resume": args.resume}
    state = ccvae_pyro.train(ccvae, svi, batches, args.epochs, args.out, **options)

    pyro.set_rng_seed(args.seed)  # so that what follows is the same after a resumed run
    exact = ccvae_pyro.TiltedCCVAE_ELBO()  # the same bound, whatever the objective
    metrics = ccvae_pyro.evaluate(ccvae, batches.held_out("test"), exact)
    seconds = [record["seconds"] for record in state["history"]]
    metrics |= {"seconds_per_epoch": sum(seconds) / len(seconds), "config": config}
    write_json(args.out / "metrics.json", metrics)
    draw(ccvae, batches, state, metrics["per_label"], args.out / "figures")
    report(metrics, args.out)


def set_weight(args: argparse.Namespace, batches: Batches) -> None:
    """Sets the classification weight, if it was not given: more where fewer labels bear it."""
    if args.classification_weight is None:
        share = batches.label_share or 1.0
        args.classification_weight = CLASSIFICATION_WEIGHT[args.objective] / share


def make_objective(args: argparse.Namespace) -> Trace_ELBO:
    """The bound to climb."""
    if args.objective == "tilted":
        return ccvae_pyro.TiltedCCVAE_ELBO(args.classification_weight)
    return ccvae_pyro.CCVAE_ELBO(
        num_label_samples=args.num_label_samples,
        stop_gradient=args.objective == "published",
        classification_weight=args.classification_weight,
    )


def load(args: argparse.Namespace) -> LabeledImages:
    """The images, with the labels that were asked for."""
    if args.data == "avatars":
        data, preferred = load_avatars(args.root, args.num_images or 12_000), VISIBLE_ATTRIBUTES
    else:
        if args.download:
            download(args.root)
        data = load_celeba(
            args.root, crop=args.crop, skip_unreadable=args.skip_unreadable, seed=args.seed
        )
        preferred = PAPER_ATTRIBUTES
        if args.num_images is not None:
            data = data.sample(args.num_images, args.seed)
    if len(args.attributes) > 1 or not args.attributes[0].isdecimal():
        return data.select(args.attributes)
    in_order = [name for name in preferred if name in data.label_names]
    in_order += [name for name in data.label_names if name not in preferred]
    number = int(args.attributes[0])
    if not 1 <= number <= len(in_order):
        raise ValueError(f"--attributes must be between 1 and {len(in_order)}, got {number}")
    return data.select(in_order[:number])


def draw(ccvae, batches, state, per_label, folder) -> None:  # noqa: ANN001
    """Draws every figure, of images that the model has not seen."""
    x, y = next(batches.held_out("test"))
    watched, _ = next(batches.held_out("valid"))
    names = ccvae.label_names
    reconstructions = state["reconstructions"]
    watched = watched[: len(next(iter(reconstructions.values())))]
    figures = {
        "history": plotting.plot_history(state["history"]),
        "confusion": plotting.plot_confusion(per_label),
        "reconstructions": plotting.plot_reconstructions(watched, reconstructions),
        "walk": plotting.plot_walk(ccvae, x[0], names),
        "samples": plotting.plot_samples(ccvae, y[:8]),
        "edits": plotting.plot_edits(ccvae, x[:8], names[:18]),
    }
    if len(names) > 1:
        ends = {name: ccvae_pyro.walk(ccvae, x[:8], name, num_steps=2) for name in names}
        change = {name: float((e[:, 1] - e[:, 0]).abs().mean()) for name, e in ends.items()}
        plainest = sorted(names, key=change.__getitem__)[-2:]
        figures["walk_2d"] = plotting.plot_walk_2d(ccvae, x[0], plainest)
    for name, figure in figures.items():
        with written_whole(folder / f"{name}.png") as part:
            figure.savefig(part, dpi=110)


def report(metrics: dict, out: Path) -> None:
    """Prints the figures that matter and where the pictures are."""
    print(
        f"test images: accuracy {metrics['accuracy']:.3f} "
        f"(always the more frequent value: {metrics['majority_accuracy']:.3f}), "
        f"balanced {metrics['balanced_accuracy']:.3f}, "
        f"average precision {metrics['average_precision']:.3f}, "
        f"reconstruction error {metrics['reconstruction_error']:.4f}, "
        f"bound {metrics['bound']:.1f} nats"
    )
    print(f"pictures in {out / 'figures'}, numbers in {out / 'metrics.json'}")


def check_config(path: Path, config: dict, resume: bool) -> None:
    """Writes down how the run is made; one that is resumed has to be made the same way."""
    if resume and path.exists():
        before = json.loads(path.read_text())
        free = {"epochs"}  # going on for longer is fine
        for key in (before.keys() | config.keys()) - free:
            if before.get(key) != config.get(key):
                option = f"--{key.replace('_', '-')}"
                raise ValueError(
                    f"{path.parent} was made with {option} {before.get(key)}, not "
                    f"{config.get(key)}: resume it with that, or choose another --out"
                )
    write_json(path, config)


def write_json(path: Path, values: dict) -> None:
    """Writes a file that any reader of JSON takes."""
    with written_whole(path) as part:
        part.write_text(json.dumps(without_nan(values), indent=2) + "\n")


def without_nan(values: dict) -> dict:
    """A figure that there is none of, such as of a label that no image has, becomes null."""
    return {
        key: without_nan(value) if isinstance(value, dict) else None if value != value else value
        for key, value in values.items()
    }


# fmt: off
def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument_group("data").add_argument
    add("--data", choices=["avatars", "celeba"], default="avatars",
        help="avatars, drawn on first use, or CelebA from --root (default: avatars)")
    add("--root", type=Path, default=Path("data"),
        help="folder of the data, or of their cache (default: data)")
    add("--download", action="store_true", help="let torchvision download CelebA to --root first")
    add("--num-images", type=positive, metavar="N",
        help="avatars to draw (default: 12000), or images of CelebA to use (default: all)")
    add("--attributes", nargs="+", default=["18"], metavar="A",
        help="attributes to learn: names, or how many, the most visible first (default: 18)")
    add("--label-fraction", type=float, default=1.0, metavar="F",
        help="share of the training images' labels that are seen (default: 1)")
    add("--missing", choices=["rows", "entries"], default="rows",
        help="what --label-fraction hides: all labels of an image, or each on its own "
        "(default: rows)")
    add("--crop", type=positive, metavar="SIDE",
        help="CelebA: cut a square from the center before resizing (default: resize the whole)")
    add("--skip-unreadable", action="store_true",
        help="CelebA: leave out images that cannot be read, and count them")

    add = parser.add_argument_group("model and objective").add_argument
    add("--z-dim", type=positive, default=45, metavar="D",
        help="characteristics and style together (default: 45)")
    add("--objective", choices=["tilted", "published", "unstopped"], default="tilted",
        help="the bound, exact in its labels; or the paper's estimate of it, with the gradient "
        "of the authors' code (z detached inside q(y|z_c)), or with its own (default: tilted)")
    add("--classification-weight", type=float, metavar="W",
        help="coefficient of a further log q(y|x) (default: with tilted 300, by the share of "
        "labels that are known in a batch; else 0)")
    add("--likelihood-scale", type=float, metavar="B",
        help="scale of the Laplace at each pixel (default: 0.5 with tilted, else the paper's 1)")
    add("--num-label-samples", type=positive, default=100, metavar="K",
        help="draws of z that the paper's estimate takes for q(y|x) (default: 100)")

    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=positive, metavar="N",
        help="passes over the training images (default: 15 for avatars, 20 for CelebA)")
    add("--batch-size", type=positive, metavar="N",
        help="images a step (default: 50 for avatars, the paper's 200 for CelebA)")
    add("--learning-rate", type=float, default=2e-3, metavar="LR",
        help="Adam's; ten times that for prior and classifier (default: 0.002)")
    add("--cool-down", type=float, default=0.5, metavar="SHARE",
        help="share of the steps, the last, over which the rate falls to zero (default: 0.5)")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add("--precision", choices=["auto", "float32", "bfloat16"], default="auto",
        help="of the networks; densities are always float32 (default: auto, whichever is faster)")
    add("--seed", type=int, default=0, help="the same seed gives the same run (default: 0)")
    add("--out", type=Path, default=Path("runs/celeba"),
        help="folder for checkpoint, numbers and figures (default: runs/celeba)")
    add("--resume", action="store_true", help="go on from the checkpoint in --out, if any")
    args = parser.parse_args(arguments)
    if args.likelihood_scale is None:
        args.likelihood_scale = LIKELIHOOD_SCALE[args.objective]
    args.epochs = args.epochs or EPOCHS[args.data]
    args.batch_size = args.batch_size or BATCH_SIZE[args.data]
    return args
# fmt: on


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"wanted a whole number of at least 1, got {text}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
