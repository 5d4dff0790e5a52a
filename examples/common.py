"""Shared by the examples: a run from the data to metrics and figures."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import _console  # noqa: F401 -- first: it sets what the others see
import pyro
import torch
from outcome import NOT_IN_CONFIG, check_config, conclude
from pyro.infer import SVI, Trace_ELBO

import ccvae_pyro
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.training import TrainingResult, distributed, pick_device, pick_precision

# The default weight of each objective; docs/objective.md has the measurements behind them.
CLASSIFICATION_WEIGHT = {"exact": 300.0, "paper": 0.0, "paper-true-gradient": 0.0}


def guarded(
    run: Callable[[argparse.Namespace], None], args: argparse.Namespace, name: str, again: str
) -> int:
    """Runs an example; prints an error of the user as one line, without a traceback."""
    try:
        run(args)
    except KeyboardInterrupt:
        say(f"\nstopped; resume with {again}")
        return 130
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        say(f"{name}: error: {error}")
        return 2
    return 0


def say(message: str) -> None:
    """Prints to standard error, in the process of rank 0 only."""
    if os.environ.get("RANK", "0") == "0":
        print(message, file=sys.stderr)


def fit(
    args: argparse.Namespace,
    load: Callable[[argparse.Namespace], LabeledImages],
    make_model: Callable[[argparse.Namespace, LabeledImages], ccvae_pyro.CCVAE],
) -> tuple[ccvae_pyro.CCVAE, LabeledImages] | None:
    """Loads the data, trains, evaluates and plots; returns the model and its data.

    Under ``torchrun`` the process of rank 0 does; the others take part in the training only and
    return None.
    """
    with distributed.process_group(pick_device(args.device)) as device:
        return fit_on(args, load, make_model, device)


def fit_on(
    args: argparse.Namespace,
    load: Callable[[argparse.Namespace], LabeledImages],
    make_model: Callable[[argparse.Namespace, LabeledImages], ccvae_pyro.CCVAE],
    device: torch.device,
) -> tuple[ccvae_pyro.CCVAE, LabeledImages] | None:
    """As :func:`fit`, in one of the processes that train the model."""
    precision = pick_precision(args.precision, device)
    pyro.set_rng_seed(args.seed)
    with distributed.local_main_process_first():
        data = load(args)
    batches = Batches(
        data,
        args.batch_size,
        shift=args.shift,
        warp=args.warp,
        device=device,
        seed=args.seed,
        rank=distributed.rank(),
        world_size=distributed.world_size(),
    )
    set_weight(args, batches)
    config = {k: v for k, v in vars(args).items() if k not in NOT_IN_CONFIG}
    config |= {"device": device.type, "precision": str(precision).removeprefix("torch.")}
    ccvae = make_model(args, data).to(device)
    ccvae_pyro.set_precision(ccvae, precision)
    if args.compile:
        ccvae_pyro.compile_networks(ccvae)
    if distributed.rank() == 0:
        check_config(args.out / "config.json", config, args.resume)
    result = train(args, ccvae, batches, args.out, resume=args.resume)
    if distributed.rank():
        return None
    conclude(args, ccvae, batches, result, config)
    return ccvae, data


def train(
    settings: argparse.Namespace,
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    out: Path,
    *,
    resume: bool,
) -> TrainingResult:
    """Trains a model with the objective, the learning rate and the epochs of the settings."""
    adam, objective = ccvae_pyro.make_adam(settings.learning_rate), make_objective(settings)
    svi = SVI(ccvae.model, ccvae.guide, adam, loss=objective)
    return ccvae_pyro.train(
        ccvae,
        svi,
        batches,
        settings.epochs,
        out,
        decay_fraction=settings.decay_fraction,
        final_weight=settings.final_weight,
        resume=resume,
    )


def set_weight(args: argparse.Namespace, batches: Batches) -> None:
    """Sets the default classification weight: inversely to the share of labels in a batch."""
    if args.classification_weight is None:
        share = batches.label_fraction or 1.0
        args.classification_weight = CLASSIFICATION_WEIGHT[args.objective] / share


def make_objective(args: argparse.Namespace) -> Trace_ELBO:
    """The objective of the settings."""
    if args.objective == "exact":
        weight = args.consistency_weight
        return ccvae_pyro.ExactCCVAE_ELBO(args.classification_weight, consistency_weight=weight)
    if args.consistency_weight:
        raise ValueError(f"--consistency-weight needs --objective exact, got {args.objective}")
    return ccvae_pyro.CCVAE_ELBO(
        num_label_samples=args.num_label_samples,
        stop_gradient=args.objective == "paper",
        classification_weight=args.classification_weight,
    )
