"""What one does with a trained CCVAE: tensors in, tensors out, no gradients.

Throughout, ``x`` has shape ``(batch, channels, height, width)``, an image is encoded to the mean
of its posterior, and a label is given by its name or its number.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ccvae_pyro.labels import index_of
from ccvae_pyro.model import CCVAE


@torch.no_grad()
def encode(ccvae: CCVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""The posterior mean of the characteristics and of the style, ``z_c`` and ``z_style``."""
    q_z_c, q_z_style = ccvae.encoder(x)
    return q_z_c.mean, q_z_style.mean


@torch.no_grad()
def decode(ccvae: CCVAE, z_c: Tensor, z_style: Tensor) -> Tensor:
    r"""The mean of :math:`p_\theta(x \mid z)`: images, of any leading shape."""
    return ccvae.decoder(torch.cat([z_c, z_style], dim=-1)).mean


@torch.no_grad()
def classify(ccvae: CCVAE, x: Tensor) -> Tensor:
    r"""The probability of each label, :math:`q_\varphi(y \mid z_c)`.

    :returns: shape ``(batch, num_labels)``.
    """
    z_c, _ = encode(ccvae, x)
    return ccvae.classifier(z_c).mean


@torch.no_grad()
def impute(ccvae: CCVAE, x: Tensor, y: Tensor) -> Tensor:
    """The labels, those that are missing (NaN) as their probability.

    :param y: labels of ``x``, shape ``(batch, num_labels)``.
    """
    return torch.where(y.isnan(), classify(ccvae, x), y)


@torch.no_grad()
def reconstruct(ccvae: CCVAE, x: Tensor) -> Tensor:
    """The images, encoded and decoded again."""
    return decode(ccvae, *encode(ccvae, x))


@torch.no_grad()
def generate(ccvae: CCVAE, y: Tensor) -> Tensor:
    r"""Images to order: ``z_c`` from the conditional prior, ``z_style`` from its own, decoded.

    :param y: labels anywhere in [0, 1], shape ``(batch, num_labels)``.
    """
    z_c = ccvae.conditional_prior(y).sample()
    z_style = ccvae.style_prior().sample(z_c.shape[:1])
    return decode(ccvae, z_c, z_style)


@torch.no_grad()
def edit(
    ccvae: CCVAE, x: Tensor, label: str | int, value: float, *, deviations: float = 0.0
) -> Tensor:
    """The images with one label set and all else kept.

    The label's characteristic becomes the mean of its conditional prior, or lies beyond it.

    :param value: 0 for without, 1 for with; anything between interpolates.
    :param deviations: how many deviations beyond the mean to go, away from the other value: some
        two make an edit plain, none is typical.
    :raises ValueError: if there is no such label, or ``value`` is not in [0, 1].
    """
    if not 0 <= value <= 1:
        raise ValueError(f"a label is set to a value between 0 and 1, got {value}")
    z_c, z_style = encode(ccvae, x)
    index = index_of(label, ccvae.label_names)
    z_c[:, index] = _characteristic(ccvae, z_c, index, value, deviations)
    return decode(ccvae, z_c, z_style)


@torch.no_grad()
def swap(ccvae: CCVAE, x: Tensor, donor: Tensor, label: str | int) -> Tensor:
    """The images, each with one characteristic of its donor.

    :param donor: images of the same shape as ``x``, or one for all.
    :raises ValueError: if there is no such label.
    """
    z_c, z_style = encode(ccvae, x)
    index = index_of(label, ccvae.label_names)
    z_c[:, index] = encode(ccvae, donor)[0][:, index]
    return decode(ccvae, z_c, z_style)


@torch.no_grad()
def walk(
    ccvae: CCVAE, x: Tensor, label: str | int | Sequence[str | int], *, num_steps: int = 9
) -> Tensor:
    """The images while one characteristic goes from without its label to with it, or two do.

    A walk leads from two deviations beyond the mean of the conditional prior on one side to two
    beyond on the other.

    :param label: a label, or two.
    :returns: shape ``(batch, num_steps, ...)``; for two labels ``(batch, num_steps, num_steps,
        ...)``, the first label along the first of these.
    :raises ValueError: if there is no such label.
    """
    labels = [label] if isinstance(label, str | int) else list(label)
    indices = [index_of(name, ccvae.label_names) for name in labels]
    z_c, z_style = encode(ccvae, x)
    paths = [_path(ccvae, z_c, index, num_steps) for index in indices]
    grid = torch.cartesian_prod(*paths).view(-1, len(paths))  # (num_steps ** len(paths), ...)
    z_c = z_c[:, None].repeat(1, len(grid), 1)
    z_c[:, :, indices] = grid
    z_style = z_style[:, None].expand(-1, len(grid), -1)
    return decode(ccvae, z_c, z_style).unflatten(1, (num_steps,) * len(indices))


def _characteristic(
    ccvae: CCVAE, z_c: Tensor, index: int, value: float, deviations: float
) -> Tensor:
    """What stands for a label's value: the mean of its conditional prior, or so much beyond it."""
    without, there, with_it = (
        ccvae.conditional_prior(torch.full_like(z_c[0], at)) for at in (0.0, value, 1.0)
    )
    outward = (with_it.mean - without.mean).sign() * (1 if value >= 0.5 else -1)
    return (there.mean + deviations * outward * there.variance.sqrt())[index]


def _path(ccvae: CCVAE, z_c: Tensor, index: int, num_steps: int) -> Tensor:
    start, end = (_characteristic(ccvae, z_c, index, value, deviations=2) for value in (0.0, 1.0))
    return torch.lerp(start, end, torch.linspace(0, 1, num_steps).to(z_c))
