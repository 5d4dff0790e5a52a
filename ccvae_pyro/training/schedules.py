"""What steps are taken with as training goes on: the rate, and the weight of classification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyro.infer import SVI


def schedule(
    svi: SVI, decay_fraction: float, final_weight: float | None
) -> Callable[[float], None]:
    """Makes what is to be called before each step with the share of all steps that is done.

    :param decay_fraction: as :func:`~ccvae_pyro.train` has it.
    :param final_weight: as there.
    :raises ValueError: if ``decay_fraction`` is no share, or a weight that is to change not positive.
    """
    if not 0 <= decay_fraction <= 1:
        raise ValueError(f"decay_fraction must be between 0 and 1, got {decay_fraction}")
    # An SVI keeps its objective's methods alone.
    objective: Any = getattr(svi.loss_and_grads, "__self__", None)
    first = getattr(objective, "classification_weight", 0.0)
    if final_weight is not None and not min(first, final_weight) > 0:
        raise ValueError(
            f"a weight goes from a positive one to another, got classification_weight {first} and "
            f"final_weight {final_weight}"
        )

    def prepare(share: float) -> None:
        if decay_fraction:
            _set_rate(svi.optim, min(1.0, (1 - share) / decay_fraction))
        if final_weight is not None:
            halfway = min(1.0, 2 * share)
            objective.classification_weight = first * (final_weight / first) ** halfway

    return prepare


def _set_rate(optim: Any, factor: float) -> None:
    """Sets the rate of the next step, as a share of what it was at first."""
    for optimizer in set(optim.optim_objs.values()):  # Pyro's have one for each parameter
        for group in getattr(optimizer, "param_groups", ()):  # a scheduler of the user's has none
            group["lr"] = factor * group.setdefault("initial_lr", group["lr"])
