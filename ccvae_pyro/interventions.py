"""What one does with a trained CCVAE: tensors in, tensors out, no gradients.

Throughout, ``x`` has shape ``(batch, channels, height, width)``, an image is encoded to the mean
of its posterior, and a label is given by its name or its number.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.classification import encode
from ccvae_pyro.labels import Binary, Categorical, Continuous, block_of, index_of, value_of
from ccvae_pyro.model import CCVAE


@torch.no_grad()
def decode(ccvae: CCVAE, z_c: Tensor, z_style: Tensor) -> Tensor:
    r"""The mean of :math:`p_\theta(x \mid z)`: images, of any leading shape."""
    return ccvae.decoder(torch.cat([z_c, z_style], dim=-1)).mean


@torch.no_grad()
def reconstruct(ccvae: CCVAE, x: Tensor) -> Tensor:
    """The images, encoded and decoded again."""
    return decode(ccvae, *encode(ccvae, x))


@torch.no_grad()
def generate(ccvae: CCVAE, y: Tensor) -> Tensor:
    r"""Images to order: ``z_c`` from the conditional prior, ``z_style`` from its own, decoded.

    :param y: labels, shape ``(batch, num_labels)``; a binary one anywhere in [0, 1].
    """
    z_c = ccvae.conditional_prior(y).sample()
    z_style = ccvae.style_prior().sample(z_c.shape[:1])
    return decode(ccvae, z_c, z_style)


@torch.no_grad()
def edit(
    ccvae: CCVAE, x: Tensor, label: str | int, value: float | str, *, deviations: float = 0.0
) -> Tensor:
    """The images with one label set and all else kept.

    The label's characteristics become the mean of their conditional prior, or lie beyond it.

    :param value: 0 for without, 1 for with, anything between interpolates; of a label with classes
        the name of one, or its index; of a number, its value.
    :param deviations: how many deviations beyond the mean to go, away from other values: some two
        make an edit plain, none is typical.
    :raises ValueError: if there is no such label, or no such value.
    """
    z_c, z_style = encode(ccvae, x)
    index = index_of(label, ccvae.label_names)
    number = value_of(ccvae.labels[index], value)
    z_c[:, block_of(ccvae.labels, index)] = _characteristic(ccvae, z_c, index, number, deviations)
    return decode(ccvae, z_c, z_style)


@torch.no_grad()
def swap(ccvae: CCVAE, x: Tensor, donor: Tensor, label: str | int) -> Tensor:
    """The images, each with one label's characteristics of its donor.

    :param donor: images of the same shape as ``x``, or one for all.
    :raises ValueError: if there is no such label.
    """
    z_c, z_style = encode(ccvae, x)
    block = block_of(ccvae.labels, index_of(label, ccvae.label_names))
    z_c[:, block] = encode(ccvae, donor)[0][:, block]
    return decode(ccvae, z_c, z_style)


@torch.no_grad()
def walk(
    ccvae: CCVAE, x: Tensor, label: str | int | Sequence[str | int], *, num_steps: int = 9
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
    indices = [index_of(name, ccvae.label_names) for name in labels]
    z_c, z_style = encode(ccvae, x)
    paths = [_path(ccvae, z_c, index, num_steps) for index in indices]
    places = torch.cartesian_prod(*[torch.arange(num_steps)] * len(paths)).view(-1, len(paths))
    z_c = z_c[:, None].repeat(1, len(places), 1)
    for path, index, place in zip(paths, indices, places.T, strict=True):
        z_c[:, :, block_of(ccvae.labels, index)] = path[place]
    z_style = z_style[:, None].expand(-1, len(places), -1)
    return decode(ccvae, z_c, z_style).unflatten(1, (num_steps,) * len(indices))


@torch.no_grad()
def approach(
    ccvae: CCVAE, x: Tensor, label: str | int, value: float | str, *, num_steps: int = 9
) -> Tensor:
    """The images on their way from what they are to one value of a label, all else kept.

    A way ends at the mean of the label's conditional prior.

    :param value: as in :func:`edit`.
    :returns: shape ``(batch, num_steps, ...)``.
    :raises ValueError: if there is no such label, or no such value.
    """
    z_c, z_style = encode(ccvae, x)
    index = index_of(label, ccvae.label_names)
    end, block = value_of(ccvae.labels[index], value), block_of(ccvae.labels, index)
    goal = _characteristic(ccvae, z_c, index, end, deviations=0.0)
    share = torch.linspace(0, 1, num_steps).to(z_c)[:, None]
    z_c = z_c[:, None].repeat(1, num_steps, 1)
    z_c[..., block] = torch.lerp(z_c[..., block], goal.expand_as(z_c[..., block]), share)
    return decode(ccvae, z_c, z_style[:, None].expand(-1, num_steps, -1))


def _prior(ccvae: CCVAE, like: Tensor, index: int, value: float) -> Normal:
    """The conditional prior of a label's characteristics, where it has a value."""
    y = like.new_zeros(len(ccvae.labels))
    y[index] = value
    normal, block = ccvae.conditional_prior(y), block_of(ccvae.labels, index)
    return Normal(normal.mean[block], normal.variance[block].sqrt())


def _characteristic(
    ccvae: CCVAE, z_c: Tensor, index: int, value: float, deviations: float
) -> Tensor:
    """What stands for a label's value: the mean of its conditional prior, or so much beyond it."""
    prior = _prior(ccvae, z_c, index, value)
    if not deviations:
        return prior.mean
    kind = ccvae.labels[index]
    if isinstance(kind, Binary):
        others = [0.0 if value >= 0.5 else 1.0]
    elif isinstance(kind, Continuous):
        others = [kind.mean]
    else:
        others = [float(i) for i in range(len(kind.classes))]
    center = torch.stack([_prior(ccvae, z_c, index, other).mean for other in others]).mean(0)
    outward = torch.nn.functional.normalize(prior.mean - center, dim=-1)
    return prior.mean + deviations * outward * prior.stddev


def _path(ccvae: CCVAE, z_c: Tensor, index: int, num_steps: int) -> Tensor:
    """Characteristics along a walk, shape ``(num_steps, dim)``."""
    kind, deviations = ccvae.labels[index], 0.0
    if isinstance(kind, Binary):
        values, deviations = [0.0, 1.0], 2.0
    elif isinstance(kind, Categorical):
        values = [float(i) for i in range(len(kind.classes))]
    else:
        values = [kind.mean - 2 * kind.deviation, kind.mean + 2 * kind.deviation]
    stops = torch.stack([_characteristic(ccvae, z_c, index, v, deviations) for v in values])
    at = torch.linspace(0, len(stops) - 1, num_steps).to(z_c)
    before = at.long().clamp(max=len(stops) - 2)
    return torch.lerp(stops[before], stops[before + 1], (at - before)[:, None])
