"""What one does with a trained model: tensors in, tensors out, no gradients.

Throughout, ``x`` has shape ``(batch, channels, height, width)``, an image is encoded to the mean
of its posterior, and a label is given by its name or its number. What a model has no part for, it
refuses with a :class:`~ccvae_pyro.family.CannotError`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ccvae_pyro.family import ImageModel
from ccvae_pyro.labels import Binary, Categorical, Continuous, index_of, value_of


@torch.no_grad()
def reconstruct(model: ImageModel, x: Tensor) -> Tensor:
    """The images, encoded and decoded again."""
    return model.decode(*model.encode(x))


@torch.no_grad()
def generate(model: ImageModel, y: Tensor) -> Tensor:
    r"""Images to order: ``z_c`` from the conditional prior, ``z_style`` from its own, decoded.

    :param y: labels, shape ``(batch, num_labels)``; a binary one anywhere in [0, 1].
    """
    return model.decode(*model.draw(y))


@torch.no_grad()
def edit(
    model: ImageModel, x: Tensor, label: str | int, value: float | str, *, deviations: float = 0.0
) -> Tensor:
    """The images with one label set and all else kept.

    The label's characteristics become the mean of their conditional prior, or lie beyond it.

    :param value: 0 for without, 1 for with, anything between interpolates; of a label with classes
        the name of one, or its index; of a number, its value.
    :param deviations: how many deviations beyond the mean to go, away from other values: some two
        make an edit plain, none is typical.
    :raises ValueError: if there is no such label, or no such value.
    """
    z_c, z_style = model.encode(x)
    index = index_of(label, model.label_names)
    number = value_of(model.labels[index], value)
    z_c[:, model.block(index)] = _characteristic(model, index, number, deviations)
    return model.decode(z_c, z_style)


@torch.no_grad()
def swap(model: ImageModel, x: Tensor, donor: Tensor, label: str | int) -> Tensor:
    """The images, each with one label's characteristics of its donor.

    :param donor: images of the same shape as ``x``, or one for all.
    :raises ValueError: if there is no such label.
    """
    z_c, z_style = model.encode(x)
    block = model.block(index_of(label, model.label_names))
    z_c[:, block] = model.encode(donor)[0][:, block]
    return model.decode(z_c, z_style)


@torch.no_grad()
def walk(
    model: ImageModel, x: Tensor, label: str | int | Sequence[str | int], *, num_steps: int = 9
) -> Tensor:
    """The images while one label's characteristics go through its values, or two labels' do.

    A walk leads from two deviations beyond the mean of the conditional prior without the label to
    two beyond with it; from class to class, in their order; or from two deviations of a number
    below its mean to two above.

    :param label: a label, or two.
    :returns: shape ``(batch, num_steps, ...)``; for two labels ``(batch, num_steps, num_steps,
        ...)``, the first label along the first of these.
    :raises ValueError: if there is no such label.
    """
    labels = [label] if isinstance(label, str | int) else list(label)
    indices = [index_of(name, model.label_names) for name in labels]
    z_c, z_style = model.encode(x)
    paths = [_path(model, index, num_steps) for index in indices]
    places = torch.cartesian_prod(*[torch.arange(num_steps)] * len(paths)).view(-1, len(paths))
    z_c = z_c[:, None].repeat(1, len(places), 1)
    for path, index, place in zip(paths, indices, places.T, strict=True):
        z_c[:, :, model.block(index)] = path[place]
    z_style = z_style[:, None].expand(-1, len(places), -1)
    return model.decode(z_c, z_style).unflatten(1, (num_steps,) * len(indices))


@torch.no_grad()
def approach(
    model: ImageModel, x: Tensor, label: str | int, value: float | str, *, num_steps: int = 9
) -> Tensor:
    """The images on their way from what they are to one value of a label, all else kept.

    A way ends at the mean of the label's conditional prior.

    :param value: as in :func:`edit`.
    :returns: shape ``(batch, num_steps, ...)``.
    :raises ValueError: if there is no such label, or no such value.
    """
    z_c, z_style = model.encode(x)
    index = index_of(label, model.label_names)
    end, block = value_of(model.labels[index], value), model.block(index)
    goal = _characteristic(model, index, end)
    share = torch.linspace(0, 1, num_steps).to(z_c)[:, None]
    z_c = z_c[:, None].repeat(1, num_steps, 1)
    z_c[..., block] = torch.lerp(z_c[..., block], goal.expand_as(z_c[..., block]), share)
    return model.decode(z_c, z_style[:, None].expand(-1, num_steps, -1))


def _characteristic(
    model: ImageModel, index: int, value: float, deviations: float = 0.0
) -> Tensor:
    """What stands for a label's value: the mean of its conditional prior, or so much beyond it."""
    mean, deviation = model.prior_of(index, value)
    if not deviations:
        return mean
    kind = model.labels[index]
    if isinstance(kind, Binary):
        others = [0.0 if value >= 0.5 else 1.0]
    elif isinstance(kind, Continuous):
        others = [kind.mean]
    else:
        others = [float(i) for i in range(len(kind.classes))]
    center = torch.stack([model.prior_of(index, other)[0] for other in others]).mean(0)
    outward = torch.nn.functional.normalize(mean - center, dim=-1)
    return mean + deviations * outward * deviation


def _path(model: ImageModel, index: int, num_steps: int) -> Tensor:
    """Characteristics along a walk, shape ``(num_steps, dim)``."""
    kind, deviations = model.labels[index], 0.0
    if isinstance(kind, Binary):
        values, deviations = [0.0, 1.0], 2.0
    elif isinstance(kind, Categorical):
        values = [float(i) for i in range(len(kind.classes))]
    else:
        values = [kind.mean - 2 * kind.deviation, kind.mean + 2 * kind.deviation]
    stops = torch.stack([_characteristic(model, index, v, deviations) for v in values])
    at = torch.linspace(0, len(stops) - 1, num_steps).to(stops)
    before = at.long().clamp(max=len(stops) - 2)
    return torch.lerp(stops[before], stops[before + 1], (at - before)[:, None])
