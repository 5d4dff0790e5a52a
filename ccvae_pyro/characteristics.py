"""What stands for the values of a label: places, ways and draws among its characteristics."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ccvae_pyro.family import ImageModel
from ccvae_pyro.labels import Binary, Categorical, Continuous


def characteristic(model: ImageModel, index: int, value: float, deviations: float = 0.0) -> Tensor:
    """The mean of a label's conditional prior, or so many deviations beyond it, shape ``(dim,)``.

    Beyond is away from where the label's other values are.
    """
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
    return mean + deviations * F.normalize(mean - center, dim=-1) * deviation


def drawn(model: ImageModel, index: int, value: float, num_draws: int) -> Tensor:
    """Draws from a label's conditional prior, shape ``(num_draws, dim)``."""
    of_labels, _ = model.draw(model.row_with(index, value).expand(num_draws, -1))
    return of_labels[:, model.block(index)]


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
    before, after = (model.prior_of(index, value)[0] for value in (start, start + 1))
    return after - before


def path(model: ImageModel, index: int, num_steps: int) -> Tensor:
    """Characteristics on the way through a label's values, shape ``(num_steps, dim)``."""
    kind, deviations = model.labels[index], 0.0
    if isinstance(kind, Binary):
        values, deviations = [0.0, 1.0], 2.0
    elif isinstance(kind, Categorical):
        values = [float(i) for i in range(len(kind.classes))]
    else:
        values = [kind.mean - 2 * kind.deviation, kind.mean + 2 * kind.deviation]
    stops = torch.stack([characteristic(model, index, v, deviations) for v in values])
    at = torch.linspace(0, len(stops) - 1, num_steps).to(stops)
    before = at.long().clamp(max=len(stops) - 2)
    return torch.lerp(stops[before], stops[before + 1], (at - before)[:, None])
