"""The results of a run: its config, metrics, figures and a report."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyro
import torch
from figures import draw
from samples import choose_sampler

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.evaluation import (
    Evaluation,
    Finding,
    PredictorChoice,
    choose_predictor,
    label_metrics,
    trivial_reconstructions,
    verdict,
    verdict_messages,
)
from ccvae_pyro.io import checkpoint, migrate_config, save_choices
from ccvae_pyro.io.checkpoint import BEST, model_file
from ccvae_pyro.models.evaluation_mode import evaluating
from ccvae_pyro.plotting import write_report
from ccvae_pyro.training import TrainingResult

# Options that do not affect the result, and may differ when a run is resumed.
NOT_IN_CONFIG = ("out", "resume", "overwrite", "checkpoint_minutes")
NOT_IN_CONFIG += ("root", "labels", "download", "compile", "cache")
NOT_IN_CONFIG += ("cuda_graph", "resident")
NOT_IN_CONFIG += ("steps", "epochs_per_evaluation")  # the number of epochs follows from --steps
NOT_IN_CONFIG += ("at_least",)  # of what is written in the end
# Options that earlier versions did not have, with the values that they amounted to.
BEFORE = {"resize": "squash", "size": 64, "network": "paper", "flip": False, "balance": False}
BEFORE |= {"label_prior": "independent"}

# Writes the predictions of a trained model for its data.
Predict = Callable[[ccvae_pyro.CCVAE, LabeledImages], None]


def conclude(
    args: argparse.Namespace,
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    result: TrainingResult,
    config: dict[str, Any],
    predict: Predict | None = None,
) -> None:
    """Evaluates a trained model on the test images; writes metrics, figures and the report.

    :param predict: writes predictions; called before figures, which matter less.
    """
    pyro.set_rng_seed(args.seed)  # so that a resumed run gives the same numbers
    # What is predicted here, the model from the checkpoint predicts, which is in float32.
    ccvae_pyro.set_precision(ccvae, torch.float32)
    config = config | {"epochs": result.num_epochs}  # those of a resumed run may be more
    choice = choose_predictor(ccvae, batches)
    if choice.calibrations:
        print(describe(choice))
    metrics, evaluation = measure(ccvae, batches)
    metrics["predictor"] = asdict(choice)
    metrics["verdict"] = [asdict(each) for each in findings(ccvae, batches, result, evaluation)]
    metrics |= {"seconds_per_epoch": result.seconds / result.num_epochs, "config": config}
    write_json(args.out / "metrics.json", metrics)
    if predict is not None:
        predict(ccvae, batches.data)
    save_choices(model_file(args.out), ccvae)
    num_steps, path = result.num_epochs * len(batches), model_file(args.out)
    metrics["samples"] = choose_sampler(ccvae, batches, path, num_steps=num_steps, seed=args.seed)
    write_json(args.out / "metrics.json", metrics)
    pyro.set_rng_seed(args.seed)
    per_label = {} if evaluation is None else evaluation.per_label
    figures, failures = draw(ccvae, batches, result, per_label, args.out / "figures")
    for failure in failures:
        print(failure, file=sys.stderr)
    title = f"{args.out.name}: {len(ccvae.labels)} labels, {config['epochs']} epochs"
    write_report(args.out / "report.html", title, metrics, figures, config)
    report(metrics, args.out)


def describe(choice: PredictorChoice) -> str:
    """How labels are predicted, and what calibration changed, in words."""
    names = {"classifier": "the classifier", "bayes_rule": "Bayes' rule from the priors"}
    names["probe"] = "a linear probe of all latents"
    of_each = {
        names[key]: f"{each.log_loss:.3f} to {each.calibrated_log_loss:.3f}"
        for key, each in choice.calibrations.items()
    }
    losses = ", ".join(f"{name} {text}" for name, text in of_each.items())
    return (
        f"labels are predicted by {names[choice.predictor]}; log losses of validation labels "
        f"before and after calibration: {losses}"
    )


def load_best(out: Path, ccvae: ccvae_pyro.CCVAE, result: TrainingResult) -> None:
    """Loads the model of the best evaluation into the trained model, if there was one."""
    path = out / BEST
    if not path.exists():
        print("the model is that of the last epoch: there is no best.pt")
        return
    contents = checkpoint.read(path)
    checkpoint.restore(ccvae, contents, path)
    print(f"best checkpoint: epoch {contents['epoch']} of {result.num_epochs}, {path}")


def measure(ccvae: ccvae_pyro.CCVAE, batches: Batches) -> tuple[dict[str, Any], Evaluation | None]:
    """The metrics of a model on the test images, as plain values and typed, if there are any."""
    if not len(batches.data.splits["test"]):
        print("there are no test images: the metrics are without them")
        return {}, None
    exact = ccvae_pyro.ExactCCVAE_ELBO()  # the same bound for all objectives
    evaluation = ccvae_pyro.evaluate(ccvae, batches.held_out("test"), exact)
    bayes = ccvae_pyro.with_bayes_classifier(ccvae)
    metrics = evaluation.to_dict()
    metrics["by_bayes_rule"] = label_metrics(bayes, batches.held_out("test")).means()
    return metrics, evaluation


def findings(
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    result: TrainingResult,
    evaluation: Evaluation | None,
) -> list[Finding]:
    """The verdict on a run, by its history and by its metrics on the test images, if any."""
    num_validation_images, baselines = len(batches.data.splits["valid"]), None
    if evaluation is not None:
        x, _ = next(batches.held_out("test"))
        with torch.no_grad(), evaluating(ccvae):
            num_latents = sum(z.shape[-1] for z in ccvae.encode(x[:1]))
        baselines = trivial_reconstructions(batches.data, "test", num_latents)
    return verdict(
        result.history, evaluation, baselines, num_validation_images=num_validation_images
    )


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
    if "bound" in metrics:
        print(f"test images: {', '.join(values)}, bound {metrics['bound']:.1f} nats")
    by_bayes_rule = metrics.get("by_bayes_rule", {}).get("accuracy", math.nan)
    if not math.isnan(by_bayes_rule):
        print(f"labels predicted by Bayes' rule from the priors: accuracy {by_bayes_rule:.3f}")
    for message in verdict_messages(metrics):
        print(f"verdict: {message}")
    print(f"report: {out / 'report.html'}, metrics: {out / 'metrics.json'}")


def read_config(folder: Path) -> dict[str, Any]:
    """The config of the run in a folder, empty if there is none.

    A checkpoint has that of its run; before version 0.2 only ``config.json`` had.
    """
    path = folder / "checkpoint.pt"
    config = checkpoint.read(path).get("settings") if path.exists() else None
    if not config and (folder / "config.json").exists():
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return migrate_config(config or {})


def refuse_other_config(folder: Path, before: dict[str, Any], config: dict[str, Any]) -> None:
    """Checks that a resumed run has the config of its first part.

    The number of epochs may differ, and options may be new that do not change what was before.

    :raises ValueError: if another option differs.
    """
    if config.get("network") in ("conv", "mlp"):  # of digits, which never had the paper's
        before = {"network": "conv"} | before
    before = {key: value for key, value in BEFORE.items() if key in config} | before
    # In the order of the command line, where defaults follow from options further in front.
    for key in dict.fromkeys([*config, *before]):
        if key in before and key != "epochs" and before[key] != config.get(key):
            option, was, is_now = f"--{key.replace('_', '-')}", before[key], config.get(key)
            difference = f"with {option} {was}, not {'without' if is_now is None else is_now}"
            if was is None:
                difference = f"without {option}, not with {is_now}"
            raise ValueError(
                f"{folder} was trained {difference}: resume it with the former, or choose another "
                "--out"
            )


def check_config(path: Path, config: dict[str, Any]) -> None:
    """Writes the config of a comparison; checks that a resumed one has that of its first part.

    :raises ValueError: if an option other than the number of epochs differs.
    """
    if path.exists():
        before = migrate_config(json.loads(path.read_text(encoding="utf-8")))
        refuse_other_config(path.parent, before, config)
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
