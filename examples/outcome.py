"""The results of a run: its config, metrics, figures and a report."""

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
from ccvae_pyro.evaluation import label_metrics
from ccvae_pyro.io import migrate_config
from ccvae_pyro.plotting import write_report
from ccvae_pyro.training import TrainingResult

# Options that do not affect the result, and may differ when a run is resumed.
NOT_IN_CONFIG = ("out", "resume", "root", "labels", "download", "compile", "cache")


# Options that earlier versions did not have, with the values that they amounted to.
BEFORE = {"resize": "squash"}


def conclude(
    args: argparse.Namespace,
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    result: TrainingResult,
    config: dict[str, Any],
) -> None:
    """Evaluates a trained model on the test images; writes metrics, figures and the report."""
    pyro.set_rng_seed(args.seed)  # so that a resumed run gives the same numbers
    exact = ccvae_pyro.ExactCCVAE_ELBO()  # the same bound for all objectives
    evaluation = ccvae_pyro.evaluate(ccvae, batches.held_out("test"), exact)
    bayes = ccvae_pyro.with_bayes_classifier(ccvae)
    metrics = evaluation.to_dict()
    metrics["by_bayes_rule"] = label_metrics(bayes, batches.held_out("test")).means()
    metrics |= {"seconds_per_epoch": result.seconds / len(result.history), "config": config}
    write_json(args.out / "metrics.json", metrics)
    folder = args.out / "figures"
    figures = draw(ccvae, batches, result, evaluation.per_label, folder)
    title = f"{args.out.name}: {len(ccvae.labels)} labels, {args.epochs} epochs"
    write_report(args.out / "report.html", title, metrics, figures, config)
    report(metrics, args.out)


def report(metrics: dict[str, Any], out: Path) -> None:
    """Prints the main metrics and where the results are."""
    names = {
        "accuracy": "accuracy",
        "majority_accuracy": "accuracy of the more frequent value",
        "balanced_accuracy": "balanced accuracy",
        "average_precision": "average precision",
        "r_squared": "R squared of continuous labels",
        "reconstruction_error": "reconstruction error",
    }
    known = [(name, metrics.get(key, math.nan)) for key, name in names.items()]
    values = [f"{name} {value:.3f}" for name, value in known if not math.isnan(value)]
    print(f"test images: {', '.join(values)}, bound {metrics['bound']:.1f} nats")
    by_bayes_rule = metrics["by_bayes_rule"]["accuracy"]
    if not math.isnan(by_bayes_rule):
        print(f"labels predicted by Bayes' rule from the priors: accuracy {by_bayes_rule:.3f}")
    print(f"report: {out / 'report.html'}, metrics: {out / 'metrics.json'}")


def check_config(path: Path, config: dict[str, Any], resume: bool) -> None:
    """Writes the config of a run; checks that a resumed run has the config of its first part.

    The number of epochs may differ.

    :raises ValueError: if another option differs.
    """
    if resume and path.exists():
        before = migrate_config(json.loads(path.read_text()))
        for key in (before.keys() | config.keys()) - {"epochs"}:
            if before.get(key, BEFORE.get(key)) != config.get(key, BEFORE.get(key)):
                option = f"--{key.replace('_', '-')}"
                raise ValueError(
                    f"{path.parent} was trained with {option} {before.get(key)}, not "
                    f"{config.get(key)}: resume it with the former, or choose another --out"
                )
    write_json(path, config)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Writes valid JSON, atomically: NaN, such as of a label without images, becomes null."""
    text = json.dumps(finite_or_none(values), indent=2, allow_nan=False)
    with atomic_write(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def finite_or_none(value: Any) -> Any:
    """Plain values with None in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: finite_or_none(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
