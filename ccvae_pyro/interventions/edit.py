"""What one does with a trained model: tensors in, tensors out, no gradients.

Throughout, ``x`` has shape ``(batch, channels, height, width)``, an image is encoded to the mean
of its posterior, and a label is given by its name or its number. What a model has no part for, it
refuses with a :class:`~ccvae_pyro.UnsupportedError`.

Labels may exclude one another: nobody has black hair and blond. What puts one on takes away those
that it excludes, from the images that have them; ``keep_conflicting=True`` leaves them, come what may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ccvae_pyro.interventions._latent_targets import (
    characteristic,
    conflicting_in_swap,
    drawn,
    resolve_exclusions,
    step,
)
from ccvae_pyro.labels import index_of, value_of
from ccvae_pyro.models.base import ImageModel


@torch.no_grad()
def reconstruct(model: ImageModel, x: Tensor) -> Tensor:
    """The images, encoded and decoded again."""
    return model.decode(*model.encode(x))


@torch.no_grad()
def generate(model: ImageModel, y: Tensor) -> Tensor:
    r"""Images to order: ``z_c`` from the conditional prior, ``z_style`` from its own, decoded.

    :param y: labels, shape ``(batch, num_labels)``; a binary one anywhere in [0, 1].
    """
    return model.decode(*model.sample_latents(y))


@torch.no_grad()
def edit(
    model: ImageModel,
    x: Tensor,
    label: str | int | Mapping[str | int, float | str],
    value: float | str | None = None,
    *,
    num_std: float = 0.0,
    draw: bool = False,
    keep_conflicting: bool = False,
) -> Tensor:
    """The images with one label set, or several, and all else kept.

    A label's characteristics become the mean of their conditional prior, lie beyond it, or are
    drawn from it.

    :param label: a label; or several, each with its value.
    :param value: 0 for without, 1 for with, anything between interpolates; of a label with classes
        the name of one, or its index; of a number, its value.
    :param num_std: how many deviations beyond the mean to go, away from other values: some two
        make an edit plain, none is typical.
    :param draw: whether to draw, for each image, how the label holds.
    :param keep_conflicting: whether labels that exclude it stay as they are.
    :raises ValueError: if there is no such label, or no such value.
    """
    z_c, z_style = model.encode(x)
    orders = _orders(model, label, value)
    if not keep_conflicting:
        resolve_exclusions(model, x, z_c, orders)
    for index, number in orders.items():
        if draw:
            z_c[:, model.latent_slice(index)] = drawn(model, index, number, len(x))
        else:
            z_c[:, model.latent_slice(index)] = characteristic(model, index, number, num_std)
    return model.decode(z_c, z_style)


@torch.no_grad()
def shift(model: ImageModel, x: Tensor, label: str | int, amount: float) -> Tensor:
    """The images with one label's characteristics moved by an amount, and all else kept.

    :param amount: in ways from the mean without the label to the mean with it, so that 1 adds the
        label to an image typical of those without, and -1 takes it away; of a number, by how much
        it rises.
    :raises ValueError: if there is no such label, or it has classes.
    """
    z_c, z_style = model.encode(x)
    index = index_of(label, model.label_names)
    z_c[:, model.latent_slice(index)] += amount * step(model, index)
    return model.decode(z_c, z_style)


@torch.no_grad()
def sample_variations(
    model: ImageModel,
    x: Tensor,
    label: str | int,
    value: float | str,
    *,
    num_draws: int = 8,
    keep_conflicting: bool = False,
) -> Tensor:
    """The images with many ways for one label to hold, drawn from its prior, and all else kept.

    :param value: as in :func:`edit`, and so is ``keep_conflicting``.
    :returns: shape ``(batch, num_draws, ...)``; all images have the same draws.
    :raises ValueError: if there is no such label, or no such value.
    """
    orders = _orders(model, label, value)
    z_c, z_style = (z[:, None].repeat(1, num_draws, 1) for z in model.encode(x))
    if not keep_conflicting:
        resolve_exclusions(model, x, z_c, orders)
    ((index, number),) = orders.items()
    z_c[..., model.latent_slice(index)] = drawn(model, index, number, num_draws)
    return model.decode(z_c, z_style)


@torch.no_grad()
def swap(
    model: ImageModel,
    x: Tensor,
    donor: Tensor,
    label: str | int | Sequence[str | int] | None = None,
    *,
    keep_conflicting: bool = False,
) -> Tensor:
    """The images, each with characteristics of its donor, and its own style.

    Where a label is true of one of the two alone, the labels that exclude it come with it: off
    with a hat, on with the donor's hair.

    :param donor: images of the same shape as ``x``, or one for all.
    :param label: the label whose characteristics are taken, or several; by default, all.
    :param keep_conflicting: whether labels that exclude these stay as they are.
    :raises ValueError: if there is no such label.
    """
    labels = range(len(model.labels)) if label is None else label
    labels = [labels] if isinstance(labels, str | int) else labels
    z_c, z_style = model.encode(x)
    of_donor = model.encode(donor)[0].expand_as(z_c)
    indices = [index_of(name, model.label_names) for name in labels]
    is_taken = torch.zeros(len(x), len(model.labels), dtype=torch.bool, device=x.device)
    is_taken[:, indices] = True
    if not keep_conflicting:
        is_taken |= conflicting_in_swap(model, x, donor, indices)
    for index, rows in enumerate(is_taken.T):
        block = model.latent_slice(index)
        z_c[rows, block] = of_donor[rows, block]
    return model.decode(z_c, z_style)


def _orders(
    model: ImageModel,
    label: str | int | Mapping[str | int, float | str],
    value: float | str | None,
) -> dict[int, float]:
    """The values that labels are to have, by the labels' numbers."""
    if not isinstance(label, Mapping):
        if value is None:
            raise ValueError(f"{label!r} is to be set to a value: wanted one, got none")
        label = {label: value}
    elif value is not None:
        raise ValueError(f"several labels have their values with them, got {value!r} besides")
    orders = {}
    for name, wanted in label.items():
        index = index_of(name, model.label_names)
        orders[index] = value_of(model.labels[index], wanted)
    return orders
