"""Shared by the examples: a run from the data to metrics and figures."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import _console  # noqa: F401 -- first: it sets what the others see
import pyro
import torch
from budget import batches_of
from outcome import (
    NOT_IN_CONFIG,
    Predict,
    conclude,
    load_best,
    read_config,
    refuse_other_config,
)
from pyro.infer import SVI, Trace_ELBO

import ccvae_pyro
from ccvae_pyro.components import ChowLiuLabelPrior
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.errors import CCVAEError
from ccvae_pyro.labels import Label
from ccvae_pyro.training import TrainingResult, distributed, pick_device, pick_precision
from ccvae_pyro.training.interrupts import SIGTERM_CODE, sigterm_exits
from ccvae_pyro.training.run_folder import check_folder, lock_folder

# The default weight of each objective; docs/objective.md has the measurements behind them.
CLASSIFICATION_WEIGHT = {"exact": 300.0, "paper": 0.0, "paper-true-gradient": 0.0}


def guarded(
    run: Callable[[argparse.Namespace], None], args: argparse.Namespace, name: str, again: str
) -> int:
    """Runs an example; prints an error of the user as one line, without a traceback.

    :returns: the exit code: 0; 2 after an error; 130 after Ctrl-C, and 143 after SIGTERM.
    """
    try:
        with sigterm_exits():
            run(args)
    except KeyboardInterrupt:
        say(f"\nstopped; resume with {again}")
        return 130
    except SystemExit as stop:
        if stop.code != SIGTERM_CODE:
            raise
        say(f"\nstopped by SIGTERM; resume with {again}")
        return SIGTERM_CODE
    except (ValueError, OSError, ImportError, FloatingPointError, CCVAEError) as error:
        say(f"{name}: error: {first_line(error)}")
        return 2
    return 0


def first_line(error: Exception) -> str:
    """The first line of an error: PyTorch's have tensors and shapes on further lines."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def say(message: str) -> None:
    """Prints to standard error, in the process of rank 0 only."""
    if os.environ.get("RANK", "0") == "0":
        print(message, file=sys.stderr)


def fit(
    args: argparse.Namespace,
    load: Callable[[argparse.Namespace], LabeledImages],
    make_model: Callable[[argparse.Namespace, LabeledImages], ccvae_pyro.CCVAE],
    predict: Predict | None = None,
) -> None:
    """Loads the data, trains, evaluates and plots.

    Under ``torchrun`` the process of rank 0 does; the others take part in the training only.

    :param predict: writes predictions of the trained model, before figures are drawn.
    """
    with distributed.process_group(pick_device(args.device)) as device:
        fit_on(args, load, make_model, device, predict)


def fit_on(
    args: argparse.Namespace,
    load: Callable[[argparse.Namespace], LabeledImages],
    make_model: Callable[[argparse.Namespace, LabeledImages], ccvae_pyro.CCVAE],
    device: torch.device,
    predict: Predict | None = None,
) -> None:
    """As :func:`fit`, in one of the processes that train the model."""
    if args.cuda_graph == "on" and device.type != "cuda":
        raise ValueError(f"--cuda-graph on needs a CUDA device, got {device.type}")
    with distributed.raising_together():  # before the data are decoded, which may take long
        if distributed.rank() == 0:
            check_folder(args.out, resume=args.resume, overwrite=args.overwrite)
    precision = pick_precision(args.precision, device)
    pyro.set_rng_seed(args.seed)
    with distributed.local_main_process_first():
        data = load(args)
    batches = batches_of(args, data, device)
    set_weight(args, batches)
    set_label_prior(args, data)
    config = {k: v for k, v in vars(args).items() if k not in NOT_IN_CONFIG}
    config |= {"device": device.type, "precision": str(precision).removeprefix("torch.")}
    ccvae = make_model(args, data).to(device)
    ccvae_pyro.set_precision(ccvae, precision)
    if args.compile:
        ccvae_pyro.compile_networks(ccvae)
    with ExitStack() as stack:
        with distributed.raising_together():
            if distributed.rank() == 0:
                stack.enter_context(lock_folder(args.out))
                check_run(args, config)
        result = train(args, ccvae, batches, args.out, resume=args.resume, settings_to_keep=config)
        if distributed.rank() == 0:
            if args.final_model == "best":
                load_best(args.out, ccvae, result)
            conclude(args, ccvae, batches, result, config, predict)


def check_run(args: argparse.Namespace, config: dict[str, Any]) -> None:
    """Checks that the run may go on in its folder.

    :raises ValueError: if a run there was begun with other options, or must not be overwritten.
    """
    check_folder(args.out, resume=args.resume, overwrite=args.overwrite)
    if args.resume and (args.out / "checkpoint.pt").exists():
        refuse_other_config(args.out, read_config(args.out), config)


def train(
    settings: argparse.Namespace,
    ccvae: ccvae_pyro.CCVAE,
    batches: Batches,
    out: Path,
    *,
    resume: bool,
    settings_to_keep: dict[str, Any] | None = None,
) -> TrainingResult:
    """Trains a model with the objective, the learning rate and the epochs of the settings.

    :param settings_to_keep: what the checkpoint keeps of them.
    """
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
        overwrite=settings.overwrite,
        checkpoint_minutes=settings.checkpoint_minutes,
        settings=settings_to_keep,
        epochs_per_evaluation=settings.epochs_per_evaluation,
        keep_best=settings.final_model == "best",
        patience=settings.patience,
        cuda_graph=settings.cuda_graph,
    )


def image_model(
    args: argparse.Namespace, data: LabeledImages, labels: Sequence[Label], z_dim: int | None
) -> ccvae_pyro.CCVAE:
    """The model of the options for the networks, for images and labels of this kind."""
    scale, label_prior = args.likelihood_scale, "independent"
    if args.label_prior == "tree":
        label_prior = ChowLiuLabelPrior.fit(data.labels[data.splits["train"]], labels)
    if args.network == "paper":
        side, channels = data.images.shape[-2:]
        return ccvae_pyro.celeba(
            labels=labels,
            z_dim=z_dim,
            label_prior=label_prior,
            likelihood_scale=scale,
            channels=channels,
            side=side,
        )
    mean_image = data.mean_image()
    return ccvae_pyro.photographs(
        labels,
        tuple(mean_image.shape),
        z_dim,
        width=args.width,
        family=args.likelihood,
        likelihood_scale=scale,
        mean_image=mean_image,
        label_prior=label_prior,
    )


def set_weight(args: argparse.Namespace, batches: Batches) -> None:
    """Sets the default classification weight: inversely to the share of labels in a batch.

    :raises ValueError: if the weight is to be annealed, and is zero.
    """
    if args.classification_weight is None:
        share = batches.label_fraction or 1.0
        args.classification_weight = CLASSIFICATION_WEIGHT[args.objective] / share
    if args.final_weight is not None and not args.classification_weight:
        raise ValueError("--final-weight needs a positive --classification-weight, got 0")


def set_label_prior(args: argparse.Namespace, data: LabeledImages) -> None:
    """Sets the default label prior: the tree, if validation labels are more likely under it.

    More likely by more than a standard error, that is. A run that is resumed keeps its own.
    """
    before = read_config(args.out) if args.resume else {}
    if before and args.label_prior is None:
        args.label_prior = before.get("label_prior", "independent")
    if args.label_prior is not None:
        return
    args.label_prior = "independent"
    y, y_valid = (data.labels[data.splits[split]] for split in ("train", "valid"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what keeps labels independent: so they are by default
        prior = ChowLiuLabelPrior.fit(y, data.label_types)
    if len(prior.edges) and len(y_valid) > 1:
        gain = prior.gain(torch.from_numpy(y_valid).float())
        if gain.mean() > gain.std() / len(gain) ** 0.5:
            args.label_prior = "tree"
            if distributed.rank() == 0:
                print(
                    f"labels depend on each other: a tree of {len(prior.edges)} edges makes "
                    f"validation labels more likely by {gain.mean():.2f} nats an image "
                    "(--label-prior to choose)"
                )


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
