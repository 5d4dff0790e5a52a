"""Target values of the latents z_c for given label values, and labels that exclude each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ccvae_pyro.interventions.predict import predict
from ccvae_pyro.labels import Binary, Categorical, Continuous, index_of
from ccvae_pyro.models import ImageModel


def indices_of(model: ImageModel, labels: Any) -> list[int]:
    """The indices of one label or several."""
    is_scalar = getattr(labels, "ndim", 1) == 0  # of an array
    if is_scalar or isinstance(labels, str) or not isinstance(labels, Iterable):
        return [index_of(labels, model.label_names)]
    return [index_of(label, model.label_names) for label in labels]


def encoded(model: ImageModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Latents of images that may be written into: a part may return its own parameters."""
    z_c, z_style = model.encode(x)
    return z_c.clone(), z_style


def check_as_many(x: Tensor, others: Tensor, what: str) -> None:
    """Refuses other images that are neither one for all nor one for each."""
    if others.shape[:1] not in (x.shape[:1], (1,)):
        got = tuple(others.shape)
        raise ValueError(f"wanted one {what} for all images or {len(x)}, one for each, got {got}")


def latent_target(model: ImageModel, index: int, value: float, num_std: float = 0.0) -> Tensor:
    """The mean of a label's conditional prior, or a point beyond it, shape ``(dim,)``.

    :param num_std: the distance from the mean in standard deviations, in the direction away from
        the label's other values.
    """
    mean, std = model.latent_prior(index, value)
    if not num_std:
        return mean
    label = model.labels[index]
    if isinstance(label, Binary):
        others = [0.0 if value >= 0.5 else 1.0]
    elif isinstance(label, Continuous):
        others = [label.mean]
    else:
        others = [float(i) for i in range(len(label.classes))]
    center = torch.stack([model.latent_prior(index, other)[0] for other in others]).mean(0)
    return mean + num_std * F.normalize(mean - center, dim=-1) * std


def latent_targets(model: ImageModel, index: int, values: Tensor) -> Tensor:
    """The means of a label's conditional prior at several values, a row for each."""
    means = {value: latent_target(model, index, value) for value in set(values.tolist())}
    return torch.stack([means[value] for value in values.tolist()])


def sample_latent_targets(model: ImageModel, index: int, value: float, num_samples: int) -> Tensor:
    """Samples from a label's conditional prior, shape ``(num_samples, dim)``."""
    y = model.label_vector_with(index, value).expand(num_samples, -1)
    z_c, _ = model.sample_latents(y)
    return z_c[:, model.latent_slice(index)]


def unit_shift(model: ImageModel, index: int) -> Tensor:
    """The difference of prior means between values 0 and 1, or per unit of a continuous label.

    The unit of an ordinal label is a rank.

    :raises ValueError: if the label is categorical: its classes have no order.
    """
    label = model.labels[index]
    if isinstance(label, Categorical):
        raise ValueError(
            f"{label.name!r} is categorical and cannot be shifted by an amount: set it to a class "
            "with edit, or use interpolate_to_label"
        )
    start = label.mean if isinstance(label, Continuous) else 0.0
    before, after = (model.latent_prior(index, value)[0] for value in (start, start + 1))
    return after - before


def latent_path(model: ImageModel, index: int, num_steps: int) -> Tensor:
    """A piecewise linear path of latents through a label's values, shape ``(num_steps, dim)``."""
    label, num_std = model.labels[index], 0.0
    if isinstance(label, Binary):
        values, num_std = [0.0, 1.0], 2.0
    elif isinstance(label, Continuous):
        values = [*label.interval(2)]
    else:
        values = [float(i) for i in range(len(label.classes))]
    knots = torch.stack([latent_target(model, index, value, num_std) for value in values])
    position = torch.linspace(0, len(knots) - 1, num_steps).to(knots)
    before = position.long().clamp(max=len(knots) - 2)
    return torch.lerp(knots[before], knots[before + 1], (position - before)[:, None])


def excluded_labels(model: ImageModel, targets: Mapping[int, float]) -> list[int]:
    """The labels that the labels set to 1 exclude, and that have no target value themselves.

    :param targets: target values by the index of the label.
    """
    others = (
        index_of(other, model.label_names)
        for index, value in targets.items()
        if value >= 0.5
        for other in model.labels[index].excludes
    )
    return sorted({*others} - {*targets})


def resolve_exclusions(
    model: ImageModel, x: Tensor, z_c: Tensor, targets: Mapping[int, float]
) -> None:
    """Sets excluded labels to 0, in place, in the images that are predicted to have them.

    :param x: the images that were encoded, to predict their labels.
    :param z_c: their latents, shape ``(batch, ..., dim)``.
    :param targets: target values by the index of the label.
    """
    if not (excluded := excluded_labels(model, targets)):
        return
    is_true = predict(model, x)[0] == 1
    for index in excluded:
        z_c[is_true[:, index], ..., model.latent_slice(index)] = latent_target(model, index, 0.0)


def conflicting_in_swap(
    model: ImageModel, x: Tensor, donor: Tensor, swapped: Sequence[int]
) -> Tensor:
    """The labels to swap in addition, because a swapped label excludes them.

    They are swapped in those images whose label differs from that of the donor.

    :param swapped: the indices of the swapped labels.
    :returns: booleans, shape ``(batch, num_labels)``.
    """
    conflicting = torch.zeros(len(x), len(model.labels), dtype=torch.bool, device=x.device)
    # A label that is swapped itself conflicts with none: no prediction is needed to swap all.
    targets = dict.fromkeys(swapped, 0.0)
    excluded = {index: excluded_labels(model, targets | {index: 1.0}) for index in swapped}
    if any(excluded.values()):
        differs = predict(model, x)[0] != predict(model, donor)[0]
        for index, others in excluded.items():
            conflicting[:, others] |= differs[:, index, None]
    return conflicting
