"""Reconstruct, generate, edit and swap: functions of images and latents, without gradients.

Images ``x`` have shape ``(batch, channels, height, width)`` and are encoded to the posterior mean
of their latents. A label is given by its name, which is text, or its index, a whole number; so is
a class. If a model lacks what a function needs, it raises :class:`~ccvae_pyro.UnsupportedError`.
A model runs in evaluation mode, and is left in the mode that it had.

Labels may exclude each other: nobody has both black and blond hair. If an intervention sets a
label to 1, the labels that it excludes are set to 0 in the images that are predicted to have them.
With ``keep_conflicting=True`` they are not changed.

To set a label is an intervention, as by Pearl's do-operator: what is not set stays as it is. With
``mode="condition"``, all other labels follow the label as they would if it had been observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor

from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.interventions._dependent_labels import fill_missing, following_labels
from ccvae_pyro.interventions._latent_targets import (
    check_as_many,
    conflicting_in_swap,
    encoded,
    excluded_labels,
    indices_of,
    latent_target,
    latent_targets,
    resolve_exclusions,
    sample_latent_targets,
    unit_shift,
)
from ccvae_pyro.interventions.predict import predict
from ccvae_pyro.labels import index_of, value_of
from ccvae_pyro.labels._plain_values import plain_float, plain_int
from ccvae_pyro.models import ImageModel, evaluation


class ExplainedEdit(NamedTuple):
    """Edited images, and what was changed in each.

    :param images: shape ``(batch, channels, height, width)``.
    :param changes: for each image, the labels whose characteristics were changed by their names,
        and for each the value that the image was predicted to have and the one that it was given.
    """

    images: Tensor
    changes: list[dict[str, tuple[float, float]]]


@evaluation
def reconstruct(model: ImageModel, x: Tensor) -> Tensor:
    """The images, encoded and decoded."""
    return model.decode(*model.encode(x))


@evaluation
def generate(
    model: ImageModel, y: Tensor, *, sampler: str | None = None, seed: int | None = None
) -> Tensor:
    r"""Images generated from target labels.

    :param y: target labels, shape ``(batch, num_labels)``; those of a binary label in [0, 1]. A
        missing label, NaN, is sampled from the label prior given the others, if the model has one.
    :param sampler: where latents are sampled from. ``"prior"``: ``z_c`` from the conditional prior
        and ``z_style`` from the style prior, as in the paper. ``"fitted"``: both from the model's
        fitted sampler, see :func:`~ccvae_pyro.fit_sampler`. By default from the fitted sampler if
        the model has one, and from the priors otherwise.
    :param seed: the seed of the samples; by default they are from the global generator.
    :raises ValueError: if they are no labels of the model, or one is missing that it needs; if
        there is no such sampler, or the model has no fitted one.
    """
    if sampler not in (None, "prior", "fitted"):
        raise ValueError(f"sampler must be 'prior' or 'fitted', got {sampler!r}")
    y = model.checked_labels(y, soft=True)
    if not len(y):
        raise ValueError("wanted labels of at least one image to generate, got none")
    y = fill_missing(model, y)
    if sampler is None:
        sampler = "prior" if model.sampler is None else "fitted"
    is_fitted = sampler == "fitted"
    with seeded(seed):
        latents = model.sample_fitted_latents(y) if is_fitted else model.sample_latents(y)
    return model.decode(*latents)


@overload
def edit(
    model: ImageModel,
    x: Tensor,
    label: str | int | Mapping[str | int, float | str],
    value: float | str | None = None,
    *,
    mode: str = "do",
    num_std: float = 0.0,
    sample: bool = False,
    seed: int | None = None,
    keep_conflicting: bool = False,
    explain: Literal[False] = False,
) -> Tensor: ...
@overload
def edit(
    model: ImageModel,
    x: Tensor,
    label: str | int | Mapping[str | int, float | str],
    value: float | str | None = None,
    *,
    mode: str = "do",
    num_std: float = 0.0,
    sample: bool = False,
    seed: int | None = None,
    keep_conflicting: bool = False,
    explain: Literal[True],
) -> ExplainedEdit: ...
@evaluation
def edit(
    model: ImageModel,
    x: Tensor,
    label: str | int | Mapping[str | int, float | str],
    value: float | str | None = None,
    *,
    mode: str = "do",
    num_std: float = 0.0,
    sample: bool = False,
    seed: int | None = None,
    keep_conflicting: bool = False,
    explain: bool = False,
) -> Tensor | ExplainedEdit:
    """The images with one or several labels set to target values.

    The characteristics of these labels are set to the mean of their conditional prior, to a point
    beyond it (``num_std``), or to a sample of it (``sample``). All other latents are kept; with
    ``mode="condition"``, other labels follow.

    :param label: a label; or a mapping from several labels to their target values.
    :param value: the target value. For a binary label 0, 1 or a value between, which interpolates;
        for a categorical or ordinal label the name or the index of a class; for a continuous label
        a number within its bounds.
    :param mode: ``"do"``: only these labels are set. ``"condition"``: the other labels take their
        most likely values given the image and the target values, by a label prior that is a tree.
        The characteristics of those that change are set to the mean of their conditional prior.
    :param num_std: how many standard deviations beyond the mean to go, away from the other values
        of the label. About 2 makes an edit easy to see, but no longer typical.
    :param sample: sample the characteristics for each image, rather than set them to the mean.
    :param seed: the seed of these samples, as in :func:`generate`.
    :param keep_conflicting: do not change the labels that the target labels exclude.
    :param explain: return which labels of each image were changed as well.
    :raises ValueError: if there is no such label, value or mode.
    :raises UnsupportedError: with ``mode="condition"``, if labels are independent.
    """
    targets, num_std = _target_values(model, label, value), plain_float(num_std, "num_std")
    if mode not in ("do", "condition"):
        raise ValueError(f"mode must be 'do' or 'condition', got {mode!r}")
    z_c, z_style = encoded(model, x)
    following = following_labels(model, x, targets) if mode == "condition" else {}
    for index, (images, values) in following.items():
        z_c[images, model.latent_slice(index)] = latent_targets(model, index, values)
    if not keep_conflicting:
        resolve_exclusions(model, x, z_c, targets)
    with seeded(seed):
        for index, target in targets.items():
            z_c[:, model.latent_slice(index)] = (
                sample_latent_targets(model, index, target, len(x))
                if sample
                else latent_target(model, index, target, num_std)
            )
    edited = model.decode(z_c, z_style)
    if not explain:
        return edited
    present = predict(model, x)[0]
    after = present.clone()
    for index, (images, values) in following.items():
        after[images, index] = values
    if not keep_conflicting:
        for index in excluded_labels(model, targets):
            after[:, index] = 0.0
    for index, target in targets.items():
        after[:, index] = target
    return ExplainedEdit(edited, _changes(model, present, after))


@evaluation
def shift(model: ImageModel, x: Tensor, label: str | int, amount: float) -> Tensor:
    """The images with the characteristics of one label shifted by an amount.

    :param amount: for a binary label, in units of the difference between the prior means of the
        values 0 and 1: 1 turns an image typical of value 0 into one typical of value 1, and -1
        the reverse. For a continuous label, the change of its value; for an ordinal one, of its
        rank.
    :raises ValueError: if there is no such label, or it is categorical.
    """
    index = index_of(label, model.label_names)
    amount = plain_float(amount, "amount")
    z_c, z_style = encoded(model, x)
    z_c[:, model.latent_slice(index)] += amount * unit_shift(model, index)
    return model.decode(z_c, z_style)


@evaluation
def sample_variations(
    model: ImageModel,
    x: Tensor,
    label: str | int,
    value: float | str,
    *,
    num_samples: int = 8,
    seed: int | None = None,
    keep_conflicting: bool = False,
) -> Tensor:
    """The images with several samples of one label's characteristics, given its value.

    :param value: the target value, as in :func:`edit`.
    :param num_samples: the number of samples, which are the same for all images.
    :param seed: the seed of the samples, as in :func:`generate`.
    :param keep_conflicting: as in :func:`edit`.
    :returns: shape ``(batch, num_samples, channels, height, width)``.
    :raises ValueError: if there is no such label, or no such value.
    """
    targets = _target_values(model, label, value)
    num_samples = plain_int(num_samples, "num_samples", minimum=1)
    z_c, z_style = (z[:, None].repeat(1, num_samples, 1) for z in model.encode(x))
    if not keep_conflicting:
        resolve_exclusions(model, x, z_c, targets)
    ((index, target),) = targets.items()
    with seeded(seed):
        samples = sample_latent_targets(model, index, target, num_samples)
    z_c[..., model.latent_slice(index)] = samples
    return model.decode(z_c, z_style)


@evaluation
def swap(
    model: ImageModel,
    x: Tensor,
    donor: Tensor,
    label: str | int | Sequence[str | int] | None = None,
    *,
    keep_conflicting: bool = False,
) -> Tensor:
    """The images with the characteristics of some labels taken from a donor image.

    If image and donor differ in a swapped label, the labels that it excludes are swapped too: an
    image that loses its hat gets the donor's hair.

    :param donor: images of the same shape as ``x``, or a single one for all.
    :param label: the label whose characteristics are swapped, or several; by default all.
    :param keep_conflicting: do not swap the labels that the swapped labels exclude.
    :raises ValueError: if there is no such label, or there are more donors than one, but not as
        many as images.
    """
    indices = [*range(len(model.labels))] if label is None else indices_of(model, label)
    check_as_many(x, donor, "donor")
    z_c, z_style = encoded(model, x)
    donor_z_c = model.encode(donor)[0].expand_as(z_c)
    is_swapped = torch.zeros(len(x), len(model.labels), dtype=torch.bool, device=x.device)
    is_swapped[:, indices] = True
    if not keep_conflicting:
        is_swapped |= conflicting_in_swap(model, x, donor, indices)
    for index, images in enumerate(is_swapped.T):
        block = model.latent_slice(index)
        z_c[images, block] = donor_z_c[images, block]
    return model.decode(z_c, z_style)


def _changes(
    model: ImageModel, before: Tensor, after: Tensor
) -> list[dict[str, tuple[float, float]]]:
    """The labels of each image whose values differ, with both."""
    rows = zip(before.tolist(), after.tolist(), strict=True)
    return [
        {
            name: (was, is_now)
            for name, was, is_now in zip(model.label_names, *row, strict=True)
            if was != is_now
        }
        for row in rows
    ]


def _target_values(
    model: ImageModel,
    label: str | int | Mapping[str | int, float | str],
    value: float | str | None,
) -> dict[int, float]:
    """The target values by the index of the label."""
    if not isinstance(label, Mapping):
        if value is None:
            raise ValueError(f"wanted a value for {label!r}, got none")
        label = {label: value}
    elif value is not None:
        raise ValueError(f"a mapping holds the values of its labels, got another: {value!r}")
    targets = {}
    for name, wanted in label.items():
        index = index_of(name, model.label_names)
        if index in targets:
            raise ValueError(f"{model.label_names[index]!r} is set to two values")
        targets[index] = value_of(model.labels[index], wanted)
    return targets
