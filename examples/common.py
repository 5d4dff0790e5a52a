"""What the examples share: a run from data to figures."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro
import torch
from figures import draw
from pyro.infer import SVI, Trace_ELBO

import ccvae_pyro
from ccvae_pyro import ranks
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.devices import pick_device, pick_precision
from ccvae_pyro.evaluation import MEAN_FIGURES, label_figures
from ccvae_pyro.files import written_whole
from ccvae_pyro.plotting import write_report

# What to start from with each objective; docs/objective.md has what else was measured.
CLASSIFICATION_WEIGHT = {"tilted": 300.0, "published": 0.0, "unstopped": 0.0}
# Left out of the configuration: where things are is not what a run is made of.
NOT_OF_THE_RESULT = ("out", "resume", "root", "labels", "download", "compile")


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


def fit(
    args: argparse.Namespace,
    load: Callable[[argparse.Namespace], LabeledImages],
    make_model: Callable[[argparse.Namespace, LabeledImages], ccvae_pyro.CCVAE],
) -> tuple[ccvae_pyro.CCVAE, LabeledImages]:
    """Loads the data, trains, measures, draws; returns the model and what it was trained on."""
    with ranks.joined(pick_device(args.device)) as device:
        return fit_on(args, load, make_model, device)


def fit_on(
    args: argparse.Namespace,
    load: Callable[[argparse.Namespace], LabeledImages],
    make_model: Callable[[argparse.Namespace, LabeledImages], ccvae_pyro.CCVAE],
    device: torch.device,
) -> tuple[ccvae_pyro.CCVAE, LabeledImages]:
    """As :func:`fit`, as one of the processes that train the model."""
    precision = pick_precision(args.precision, device)
    pyro.set_rng_seed(args.seed)
    with ranks.first_on_machine():
        data = load(args)
    shares = {"rank": ranks.rank(), "num_ranks": ranks.num_ranks()}
    how = {"shift": args.shift, "warp": args.warp, "device": device, "seed": args.seed}
    batches = Batches(data, args.batch_size, **how, **shares)
    set_weight(args, batches)
    config = {k: v for k, v in vars(args).items() if k not in NOT_OF_THE_RESULT}
    config |= {"device": device.type, "precision": str(precision).removeprefix("torch.")}
    ccvae = make_model(args, data).to(device)
    ccvae_pyro.set_precision(ccvae, precision)
    if args.compile:
        ccvae_pyro.compile_networks(ccvae)
    if ranks.rank() == 0:
        check_config(args.out / "config.json", config, args.resume)
    state = train(args, ccvae, batches, args.out, resume=args.resume)
    if ranks.rank() == 0:
        conclude(args, ccvae, batches, state, config)
    return ccvae, data


def conclude(
    args: argparse.Namespace,
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    state: dict[str, Any],
    config: dict[str, Any],
) -> None:
    """Measures a trained model, and draws what it learned."""
    pyro.set_rng_seed(args.seed)  # so that what follows is the same after a resumed run
    exact = ccvae_pyro.TiltedCCVAE_ELBO()  # the same bound, whatever the objective
    metrics = ccvae_pyro.evaluate(ccvae, batches.held_out("test"), exact)
    bayes = ccvae_pyro.with_bayes_classifier(ccvae)
    implied = label_figures(bayes, batches.held_out("test"))
    metrics["by_bayes_rule"] = {key: implied[key] for key in MEAN_FIGURES}
    seconds = [record["seconds"] for record in state["history"]]
    metrics |= {"seconds_per_epoch": sum(seconds) / len(seconds), "config": config}
    write_json(args.out / "metrics.json", metrics)
    files = draw(ccvae, batches, state, metrics["per_label"], args.out / "figures")
    title = f"{args.out.name}: {len(ccvae.labels)} labels, {args.epochs} epochs"
    write_report(args.out / "report.html", title, metrics, files, config)
    report(metrics, args.out)


def train(
    settings: argparse.Namespace,
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    out: Path,
    *,
    resume: bool,
) -> dict[str, Any]:
    """Trains a model by the objective, the rate and the epochs of the settings."""
    adam, objective = ccvae_pyro.make_adam(settings.learning_rate), make_objective(settings)
    svi = SVI(ccvae.model, ccvae.guide, adam, loss=objective)
    how = {"cool_down": settings.cool_down, "last_weight": settings.last_weight}
    return ccvae_pyro.train(ccvae, svi, batches, settings.epochs, out, resume=resume, **how)


def set_weight(args: argparse.Namespace, batches: Batches) -> None:
    """Sets the classification weight, if it was not given: more where fewer labels bear it."""
    if args.classification_weight is None:
        share = batches.label_share or 1.0
        args.classification_weight = CLASSIFICATION_WEIGHT[args.objective] / share


def make_objective(args: argparse.Namespace) -> Trace_ELBO:
    """The bound to climb."""
    if args.objective == "tilted":
        weight = args.order_weight
        return ccvae_pyro.TiltedCCVAE_ELBO(args.classification_weight, order_weight=weight)
    if args.order_weight:
        raise ValueError(f"--order-weight goes with the tilted objective, got {args.objective}")
    return ccvae_pyro.CCVAE_ELBO(
        num_label_samples=args.num_label_samples,
        stop_gradient=args.objective == "published",
        classification_weight=args.classification_weight,
    )


def report(metrics: dict, out: Path) -> None:
    """Prints the figures that matter and where the pictures are."""
    names = {
        "accuracy": "accuracy",
        "majority_accuracy": "always the more frequent value",
        "balanced_accuracy": "balanced",
        "average_precision": "average precision",
        "r_squared": "R squared of numbers",
        "reconstruction_error": "reconstruction error",
    }
    known = [(name, metrics.get(key, math.nan)) for key, name in names.items()]
    said = [f"{name} {value:.3f}" for name, value in known if not math.isnan(value)]
    print(f"test images: {', '.join(said)}, bound {metrics['bound']:.1f} nats")
    by_rule = metrics["by_bayes_rule"]["accuracy"]
    if not math.isnan(by_rule):
        print(f"labels by Bayes' rule with the priors: accuracy {by_rule:.3f}")
    print(f"all of it in {out / 'report.html'}, numbers in {out / 'metrics.json'}")


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
