"""How long an example trains, on batches of what size, with what augmentation."""

from __future__ import annotations

import argparse

import torch
from outcome import read_config

from ccvae_pyro.data import Batches, LabeledImages, why_not_flip, why_not_warp
from ccvae_pyro.training import (
    default_batch_size,
    default_epochs,
    default_epochs_per_evaluation,
    distributed,
    epochs_for_steps,
)

WARP = 0.05  # of images that are not mirrored: rotations of up to 3 degrees


def batches_of(args: argparse.Namespace, data: LabeledImages, device: torch.device) -> Batches:
    """The batches of a run. Options that were not given get a default by the data, and it is said.

    A run that is resumed keeps its own.
    """
    before = read_config(args.out) if args.resume else {}
    num_images, side = len(data.splits["train"]), min(data.images.shape[1:3])
    if args.batch_size is None:
        args.batch_size = before.get("batch_size", default_batch_size(num_images))
    args.batch_size = max(1, min(args.batch_size, num_images))
    reason = None
    if args.flip == "auto" and not before:
        reason = why_not_flip(data)
        args.flip = reason is None
    elif args.flip == "auto":
        args.flip = before.get("flip", False)
    else:
        args.flip = args.flip == "on"
    if args.shift is None:  # shifts cost accuracy where images are aligned, as faces are
        args.shift = before.get("shift", 0 if args.flip else side // 16)
    if args.warp is None:
        is_warped = not args.flip and why_not_warp(data) is None
        args.warp = before.get("warp", WARP if is_warped else 0.0)
    batches = Batches(
        data,
        args.batch_size,
        shift=args.shift,
        warp=args.warp,
        flip=args.flip,
        balance=args.balance,
        device=device,
        resident={"auto": None, "on": True, "off": False}[args.resident],
        seed=args.seed,
        rank=distributed.rank(),
        world_size=distributed.world_size(),
    )
    if args.steps is not None:
        args.epochs = epochs_for_steps(args.steps, len(batches))
    args.epochs = args.epochs or before.get("epochs") or default_epochs(len(batches))
    if args.epochs_per_evaluation is None:
        args.epochs_per_evaluation = default_epochs_per_evaluation(args.epochs)
    if distributed.rank() == 0:
        print(describe_length(args, batches), describe_augmentation(args, reason), sep="\n")
    return batches


def describe_length(args: argparse.Namespace, batches: Batches) -> str:
    """The length of a run in words."""
    num_images, num_steps = len(batches.data.splits["train"]), args.epochs * len(batches)
    epochs = "1 epoch" if args.epochs == 1 else f"{args.epochs} epochs"
    every = args.epochs_per_evaluation
    evaluated = f", evaluated after every {every}" if every > 1 else ""
    return (
        f"{num_images:,} training images: batches of {args.batch_size}, {epochs}{evaluated}, "
        f"{num_steps:,} step{'s' * (num_steps > 1)} (--batch-size, --epochs or --steps to choose)"
    )


def describe_augmentation(args: argparse.Namespace, reason: str | None) -> str:
    """How training images are changed at random, in words.

    :param reason: the reason why they are not mirrored, if there is one.
    """
    parts = ["flips"] * args.flip
    parts += [f"shifts of up to {args.shift} pixels"] * (args.shift > 0)
    parts += [f"warps of up to {args.warp:g}"] * (args.warp > 0)
    text = f"augmentation: {', '.join(parts) or 'none'}"
    return text if reason is None else f"{text}; no flips, since {reason} (--flip on to flip)"
