"""What an objective reads off a trace."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions.util import scale_and_mask
from pyro.poutine import Trace
from torch import Tensor


def log_joint(trace: Trace, shape: torch.Size) -> Tensor:
    """Sums the log-probabilities of all sample sites for each label, shape ``(batch,)``.

    :raises ValueError: if a site lies outside of the label's plates: no one weight is its own.
    """
    total = torch.zeros(())
    for name, site in trace.nodes.items():
        if site["type"] == "sample":
            log_prob = site["log_prob"]
            try:
                total = total + log_prob.sum_to_size(shape)
            except RuntimeError as error:
                raise ValueError(
                    f"each image has a weight of its own, but {name!r}, of shape "
                    f"{tuple(log_prob.shape)}, is outside of the plates of 'y', {tuple(shape)}"
                ) from error
    return total


def check_pathwise(guide_trace: Trace) -> None:
    """Refuses latents of a guide whose gradient would be a score function's, which no weight has.

    :raises ValueError: if one but the label has no ``rsample``.
    """
    for name in guide_trace.stochastic_nodes:
        fn: Any = guide_trace.nodes[name]["fn"]
        if name != "y" and not fn.has_rsample:
            raise ValueError(
                f"wanted latents of the guide that have rsample, got {name!r}, {fn}: "
                "where labels are known, no gradient would reach it"
            )


def scaled(term: Tensor, site: Any) -> Tensor:
    """A term of a bound, scaled and masked as the site that it is about."""
    return scale_and_mask(term, site["scale"], site["mask"])
