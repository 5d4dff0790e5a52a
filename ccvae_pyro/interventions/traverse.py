"""Images on their way: through a label's values, to one of them, to another image.

Shapes and terms are those of :mod:`~ccvae_pyro.interventions.edit`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ccvae_pyro.interventions._latent_targets import characteristic, path, resolve_exclusions
from ccvae_pyro.labels import index_of, value_of
from ccvae_pyro.models.base import ImageModel


@torch.no_grad()
def walk(
    model: ImageModel,
    x: Tensor,
    label: str | int | Sequence[str | int],
    *,
    num_steps: int = 9,
    keep_conflicting: bool = False,
) -> Tensor:
    """The images while one label's characteristics go through its values, or two labels' do.

    A walk leads from two deviations beyond the mean of the conditional prior without the label to
    two beyond with it; from class to class, in their order; or from two deviations of a number
    below its mean to two above. Labels that exclude one of these are away from start to end,
    unless ``keep_conflicting``.

    :param label: a label, or two.
    :returns: shape ``(batch, num_steps, ...)``; for two labels ``(batch, num_steps, num_steps,
        ...)``, the first label along the first of these.
    :raises ValueError: if there is no such label.
    """
    labels = [label] if isinstance(label, str | int) else list(label)
    indices = [index_of(name, model.label_names) for name in labels]
    z_c, z_style = model.encode(x)
    paths = [path(model, index, num_steps) for index in indices]
    if not keep_conflicting:
        resolve_exclusions(model, x, z_c, dict.fromkeys(indices, 1.0))
    places = torch.cartesian_prod(*[torch.arange(num_steps)] * len(paths)).view(-1, len(paths))
    z_c = z_c[:, None].repeat(1, len(places), 1)
    for way, index, place in zip(paths, indices, places.T, strict=True):
        z_c[:, :, model.latent_slice(index)] = way[place]
    z_style = z_style[:, None].expand(-1, len(places), -1)
    return model.decode(z_c, z_style).unflatten(1, (num_steps,) * len(indices))


@torch.no_grad()
def interpolate_to_label(
    model: ImageModel,
    x: Tensor,
    label: str | int,
    value: float | str,
    *,
    num_steps: int = 9,
    keep_conflicting: bool = False,
) -> Tensor:
    """The images on their way from what they are to one value of a label, all else kept.

    A way ends where :func:`edit` does.

    :param value: as in :func:`edit`, and so is ``keep_conflicting``.
    :returns: shape ``(batch, num_steps, ...)``.
    :raises ValueError: if there is no such label, or no such value.
    """
    z_c, z_style = model.encode(x)
    index = index_of(label, model.label_names)
    end, goal = value_of(model.labels[index], value), z_c.clone()
    if not keep_conflicting:
        resolve_exclusions(model, x, goal, {index: end})
    goal[:, model.latent_slice(index)] = characteristic(model, index, end)
    share = torch.linspace(0, 1, num_steps).to(z_c)[:, None]
    z_c = torch.lerp(z_c[:, None], goal[:, None], share)
    return model.decode(z_c, z_style[:, None].expand(-1, num_steps, -1))


@torch.no_grad()
def interpolate(model: ImageModel, x: Tensor, other: Tensor, *, num_steps: int = 9) -> Tensor:
    """The images on their way to others, all latents together, in a line.

    :param other: images of the same shape as ``x``, or one for all.
    :returns: shape ``(batch, num_steps, ...)``, from ``x`` to ``other``, both reconstructed.
    """
    share = torch.linspace(0, 1, num_steps).to(x)[:, None]
    ends = zip(model.encode(x), model.encode(other), strict=True)
    ways = [torch.lerp(a[:, None], b[:, None], share) for a, b in ends]
    return model.decode(*ways)
