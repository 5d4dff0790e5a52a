"""What stands for the values of a label: places, ways and draws among its characteristics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ccvae_pyro.interventions.predict import predict
from ccvae_pyro.labels import Binary, Categorical, Continuous, index_of
from ccvae_pyro.models.base import ImageModel


def characteristic(model: ImageModel, index: int, value: float, num_std: float = 0.0) -> Tensor:
    """The mean of a label's conditional prior, or so many deviations beyond it, shape ``(dim,)``.

    Beyond is away from where the label's other values are.
    """
    mean, deviation = model.latent_prior(index, value)
    if not num_std:
        return mean
    kind = model.labels[index]
    if isinstance(kind, Binary):
        others = [0.0 if value >= 0.5 else 1.0]
    elif isinstance(kind, Continuous):
        others = [kind.mean]
    else:
        others = [float(i) for i in range(len(kind.classes))]
    center = torch.stack([model.latent_prior(index, other)[0] for other in others]).mean(0)
    return mean + num_std * F.normalize(mean - center, dim=-1) * deviation


def drawn(model: ImageModel, index: int, value: float, num_draws: int) -> Tensor:
    """Draws from a label's conditional prior, shape ``(num_draws, dim)``."""
    z_c, _ = model.sample_latents(model.label_vector_with(index, value).expand(num_draws, -1))
    return z_c[:, model.latent_slice(index)]


def step(model: ImageModel, index: int) -> Tensor:
    """The way from a label's absence to its presence, or for a number to rise by one.

    :raises ValueError: if the label has classes, which lie in no line.
    """
    kind = model.labels[index]
    if isinstance(kind, Categorical):
        raise ValueError(
            f"{kind.name!r} has classes, in no line that one could move along by an amount: "
            "set it to a class, or approach one"
        )
    start = kind.mean if isinstance(kind, Continuous) else 0.0
    before, after = (model.latent_prior(index, value)[0] for value in (start, start + 1))
    return after - before


def path(model: ImageModel, index: int, num_steps: int) -> Tensor:
    """Characteristics on the way through a label's values, shape ``(num_steps, dim)``."""
    kind, deviations = model.labels[index], 0.0
    if isinstance(kind, Binary):
        values, deviations = [0.0, 1.0], 2.0
    elif isinstance(kind, Categorical):
        values = [float(i) for i in range(len(kind.classes))]
    else:
        values = [kind.mean - 2 * kind.std, kind.mean + 2 * kind.std]
    stops = torch.stack([characteristic(model, index, v, deviations) for v in values])
    at = torch.linspace(0, len(stops) - 1, num_steps).to(stops)
    before = at.long().clamp(max=len(stops) - 2)
    return torch.lerp(stops[before], stops[before + 1], (at - before)[:, None])


def excluded(model: ImageModel, orders: Mapping[int, float]) -> list[int]:
    """The labels that are never true beside those that orders make true, and have no order."""
    names = model.label_names
    others = (
        index_of(other, names)
        for index, value in orders.items()
        if value >= 0.5
        for other in model.labels[index].excludes
    )
    return sorted({*others} - {*orders})


def resolve_exclusions(
    model: ImageModel, x: Tensor, z_c: Tensor, orders: Mapping[int, float]
) -> None:
    """Takes labels that orders exclude away, in place, from the images that have them.

    :param z_c: the latents of labels, ``(batch, ..., num)``.
    """
    if not (indices := excluded(model, orders)):
        return
    held = predict(model, x)[0] == 1
    for index in indices:
        z_c[held[:, index], ..., model.latent_slice(index)] = characteristic(model, index, 0.0)


def conflicting_in_swap(
    model: ImageModel, x: Tensor, donor: Tensor, indices: Sequence[int]
) -> Tensor:
    """Which labels go with those that are swapped: where these differ, all that they exclude.

    :returns: booleans, shape ``(batch, num_labels)``.
    """
    goes_along = torch.zeros(len(x), len(model.labels), dtype=torch.bool, device=x.device)
    # What is swapped itself need not go along, so that to swap all asks for no prediction.
    swapped = dict.fromkeys(indices, 0.0)
    exclusive = {index: excluded(model, swapped | {index: 1.0}) for index in indices}
    if any(exclusive.values()):
        differ = predict(model, x)[0] != predict(model, donor)[0]
        for index, others in exclusive.items():
            goes_along[:, others] |= differ[:, index, None]
    return goes_along
