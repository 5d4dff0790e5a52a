"""What a run leaves behind: its configuration, numbers, figures and a report."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import pyro
from figures import draw

import ccvae_pyro
from ccvae_pyro.data import Batches
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.evaluation.evaluate import MEAN_FIGURES, label_figures
from ccvae_pyro.plotting import write_report

# Left out of the configuration: where things are is not what a run is made of.
NOT_OF_THE_RESULT = ("out", "resume", "root", "labels", "download", "compile")


def conclude(
    args: argparse.Namespace,
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    state: dict[str, Any],
    config: dict[str, Any],
) -> None:
    """Measures a trained model, and draws what it learned."""
    pyro.set_rng_seed(args.seed)  # so that what follows is the same after a resumed run
    exact = ccvae_pyro.ExactCCVAE_ELBO()  # the same bound, whatever the objective
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
    with atomic_write(path) as part:
        part.write_text(json.dumps(without_nan(values), indent=2) + "\n")


def without_nan(values: dict) -> dict:
    """A figure that there is none of, such as of a label that no image has, becomes null."""
    return {
        key: without_nan(value) if isinstance(value, dict) else None if value != value else value
        for key, value in values.items()
    }
