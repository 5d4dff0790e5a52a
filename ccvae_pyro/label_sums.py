"""The bound's terms about labels at one draw of the characteristics, missing labels summed out."""

from __future__ import annotations

import torch
from pyro.poutine import Trace
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.label_draws import LabelDraws
from ccvae_pyro.labels.reading import log_prob_of_classes, num_classes_of
from ccvae_pyro.labels.rows import LabelPart
from ccvae_pyro.prior_probe import PriorProbe
from ccvae_pyro.row_messenger import NotFactorizedError


def label_terms(
    draws: LabelDraws, priors: PriorProbe, model_trace: Trace
) -> tuple[Tensor, Tensor]:
    """The terms of a bound that are about single labels, summed over these, shape ``(batch,)``.

    :returns: log p(y) of the known labels, and what the expectation over z is taken of.
    """
    log_p_y = inside = torch.zeros(())
    for part, of_prior in zip(draws.parts, priors.parts, strict=True):
        num_classes = num_classes_of(part.distribution)
        if num_classes != num_classes_of(of_prior.distribution):
            raise NotFactorizedError(f"of 'y', model and guide differ in the part {part}")
        log_p_z = _log_p_z(part, priors, model_trace)
        terms = _of_classes if num_classes else _of_numbers
        of_known, of_draw = terms(draws, part, of_prior, log_p_z)
        log_p_y, inside = log_p_y + of_known, inside + of_draw
    return log_p_y, inside


def _log_p_z(part: LabelPart, priors: PriorProbe, model_trace: Trace) -> Tensor:
    """Of each label's characteristics, for every value, shape ``(num_rows, batch, num)``."""
    num_classes = num_classes_of(part.distribution) or None
    total = torch.zeros_like(part.labels(priors.values))[:num_classes]
    for name in priors.priors:
        prior, z_c = priors.prior_of(name, part), model_trace.nodes[name]["value"]
        is_normal = isinstance(prior, Normal)
        log_p = prior.log_prob(part.characteristics(z_c) if is_normal else z_c)
        total = total + (log_p.sum(-1) if is_normal else log_p)
    return total


def _of_classes(
    draws: LabelDraws, part: LabelPart, of_prior: LabelPart, log_p_z: Tensor
) -> tuple[Tensor, Tensor]:
    """The terms of labels with classes, which are enumerated."""
    y = part.labels(draws.y)
    log_q = log_prob_of_classes(part.distribution)
    log_p = log_prob_of_classes(of_prior.distribution)
    log_p = log_p.view(len(log_p), *[1] * (log_q.dim() - log_p.dim()), *log_p.shape[1:])
    classes = torch.arange(len(log_q), device=y.device).view(-1, *[1] * y.dim())
    given = (y == classes).to(log_q)
    missing = log_q.exp() * (log_p + log_p_z - log_q)
    inside = torch.where(y.isnan(), missing, given * log_p_z)
    return (given * log_p).sum((0, -1)), inside.sum((0, -1))


def _of_numbers(
    draws: LabelDraws, part: LabelPart, of_prior: LabelPart, log_p_z: Tensor
) -> tuple[Tensor, Tensor]:
    """The terms of labels that are numbers, which are known or drawn."""
    known, drawn = ~part.labels(draws.y).isnan(), part.labels(draws.filled)
    log_p = of_prior.distribution.log_prob(drawn)
    log_q = part.distribution.log_prob(drawn)
    inside = log_p_z[0] + torch.where(known, torch.zeros_like(log_q), log_p - log_q)
    return (log_p * known).sum(-1), inside.sum(-1)
