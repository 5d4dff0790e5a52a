"""Latent traversals: through a label's values, to one value of a label, to another image.

The conventions are those of :mod:`~ccvae_pyro.interventions.edit`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ccvae_pyro.interventions._latent_targets import (
    check_as_many,
    encoded,
    indices_of,
    latent_path,
    latent_target,
    resolve_exclusions,
)
from ccvae_pyro.labels import index_of, value_of
from ccvae_pyro.labels._plain_values import plain_int
from ccvae_pyro.models import ImageModel, evaluation


@evaluation
def walk(
    model: ImageModel,
    x: Tensor,
    label: str | int | Sequence[str | int],
    *,
    num_steps: int = 9,
    keep_conflicting: bool = False,
) -> Tensor:
    """The images while the characteristics of one or two labels go through their values.

    For a binary label, the path leads from two standard deviations below the prior mean given 0 to
    two standard deviations above the prior mean given 1; for a categorical or ordinal label, from
    class to class; for a continuous label, from two standard deviations below its mean to two
    above, within its observed range and its bounds.

    Labels that these labels exclude are set to 0 in all images, unless ``keep_conflicting``.

    :param label: a label, or two.
    :param num_steps: the number of images along each path.
    :param keep_conflicting: as in :func:`edit`.
    :returns: shape ``(batch, num_steps, channels, height, width)``; for two labels
        ``(batch, num_steps, num_steps, channels, height, width)``, with the path of the first
        label along the second dimension.
    :raises ValueError: if there is no such label, or there are more than two.
    """
    indices = indices_of(model, label)
    if not 1 <= len(indices) <= 2 or len({*indices}) < len(indices):
        names = ", ".join(model.label_names[index] for index in indices)
        raise ValueError(f"a walk goes along one label or two others, got {names or 'none'}")
    num_steps = plain_int(num_steps, "num_steps", minimum=1)
    z_c, z_style = encoded(model, x)
    paths = [latent_path(model, index, num_steps) for index in indices]
    if not keep_conflicting:
        resolve_exclusions(model, x, z_c, dict.fromkeys(indices, 1.0))
    steps = torch.cartesian_prod(*[torch.arange(num_steps)] * len(paths)).view(-1, len(paths))
    z_c = z_c[:, None].repeat(1, len(steps), 1)
    for path, index, step in zip(paths, indices, steps.T, strict=True):
        z_c[:, :, model.latent_slice(index)] = path[step]
    images = model.decode(z_c, z_style[:, None].expand(-1, len(steps), -1))
    return images.reshape(len(x), *(num_steps,) * len(indices), *images.shape[2:])


@evaluation
def interpolate_to_label(
    model: ImageModel,
    x: Tensor,
    label: str | int,
    value: float | str,
    *,
    num_steps: int = 9,
    keep_conflicting: bool = False,
) -> Tensor:
    """The images interpolated from their reconstruction to the result of :func:`edit`.

    :param value: the target value, as in :func:`edit`.
    :param num_steps: the number of images along the path, its ends included.
    :param keep_conflicting: as in :func:`edit`.
    :returns: shape ``(batch, num_steps, channels, height, width)``.
    :raises ValueError: if there is no such label, or no such value.
    """
    index = index_of(label, model.label_names)
    target = value_of(model.labels[index], value)
    num_steps = plain_int(num_steps, "num_steps", minimum=1)
    z_c, z_style = model.encode(x)
    end = z_c.clone()
    if not keep_conflicting:
        resolve_exclusions(model, x, end, {index: target})
    end[:, model.latent_slice(index)] = latent_target(model, index, target)
    fraction = torch.linspace(0, 1, num_steps).to(z_c)[:, None]
    z_c = torch.lerp(z_c[:, None], end[:, None], fraction)
    return model.decode(z_c, z_style[:, None].expand(-1, num_steps, -1))


@evaluation
def interpolate(model: ImageModel, x: Tensor, other: Tensor, *, num_steps: int = 9) -> Tensor:
    """The images interpolated to other images, linearly in all latents.

    :param other: images of the same shape as ``x``, or a single one for all.
    :param num_steps: the number of images along the path, its ends included.
    :returns: shape ``(batch, num_steps, channels, height, width)``, from the reconstruction of
        ``x`` to that of ``other``.
    :raises ValueError: if there are more others than one, but not as many as images.
    """
    num_steps = plain_int(num_steps, "num_steps", minimum=1)
    check_as_many(x, other, "other")
    fraction = torch.linspace(0, 1, num_steps).to(x)[:, None]
    ends = zip(model.encode(x), model.encode(other), strict=True)
    z_c, z_style = (torch.lerp(a[:, None], b[:, None], fraction) for a, b in ends)
    return model.decode(z_c, z_style)
