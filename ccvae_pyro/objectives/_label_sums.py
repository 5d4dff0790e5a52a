"""The bound's terms about labels at one draw of the characteristics, missing labels summed out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from pyro.poutine import Trace
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.distributions.label_vector import LabelPart
from ccvae_pyro.distributions.reading import class_log_probs, num_classes_of
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.objectives._sampling import LabelDraws
from ccvae_pyro.objectives.prior_probe import PriorProbe


class Terms(NamedTuple):
    r"""What single labels add to a bound at a draw, summed over these, shape ``(batch,)`` each.

    :param log_p_y: of the labels that are known.
    :param entropy: of those that are not, :math:`\sum_y q(y) (\log p(y) - \log q(y))`.
    :param log_p_z: of their characteristics, by the name of the model's site, with the labels that
        are not known summed out.
    """

    log_p_y: Tensor
    entropy: Tensor
    log_p_z: dict[str, Tensor]


def label_terms(draws: LabelDraws, priors: PriorProbe, model_trace: Trace) -> Terms:
    """The terms of a bound that are about single labels."""
    log_p_y = entropy = torch.zeros(())
    log_p_z = dict.fromkeys(priors.priors, torch.zeros(()))
    for part, of_prior in zip(draws.parts, priors.parts, strict=True):
        num_classes = num_classes_of(part.distribution)
        if num_classes != num_classes_of(of_prior.distribution):
            raise NotFactorizedError(f"of 'y', model and guide differ in the part {part}")
        terms = _of_classes if num_classes else _of_numbers
        of_known, of_missing, chances = terms(draws, part, of_prior)
        log_p_y, entropy = log_p_y + of_known, entropy + of_missing
        for name in priors.priors:
            of_values = _log_p_z(name, part, priors, model_trace)[: len(chances)]
            log_p_z[name] = log_p_z[name] + (chances * of_values).sum((0, -1))
    return Terms(log_p_y, entropy, log_p_z)


def _log_p_z(name: str, part: LabelPart, priors: PriorProbe, model_trace: Trace) -> Tensor:
    """Of each label's characteristics, for every value, shape ``(num_rows, batch, num)``."""
    prior, z_c = priors.prior_of(name, part), model_trace.nodes[name]["value"]
    if not isinstance(prior, Normal):
        return prior.log_prob(z_c)
    return prior.log_prob(part.characteristics(z_c)).sum(-1)


def _of_classes(
    draws: LabelDraws, part: LabelPart, of_prior: LabelPart
) -> tuple[Tensor, Tensor, Tensor]:
    """The terms of labels with classes, and the chance of each, shape ``(num_classes, ...)``."""
    y = part.labels(draws.y)
    log_q = class_log_probs(part.distribution)
    log_p = class_log_probs(of_prior.distribution)
    log_p = log_p.view(len(log_p), *[1] * (log_q.dim() - log_p.dim()), *log_p.shape[1:])
    classes = torch.arange(len(log_q), device=y.device).view(-1, *[1] * y.dim())
    given = (y == classes).to(log_q)
    missing = log_q.exp() * y.isnan()
    entropy = (missing * (log_p - log_q)).sum((0, -1))
    return (given * log_p).sum((0, -1)), entropy, given + missing


def _of_numbers(
    draws: LabelDraws, part: LabelPart, of_prior: LabelPart
) -> tuple[Tensor, Tensor, Tensor]:
    """The terms of labels that are numbers, which are known or drawn, and a chance of one."""
    known, drawn = ~part.labels(draws.y).isnan(), part.labels(draws.filled)
    log_p = of_prior.distribution.log_prob(drawn)
    log_q = part.distribution.log_prob(drawn)
    entropy = torch.where(known, torch.zeros_like(log_q), log_p - log_q).sum(-1)
    return (log_p * known).sum(-1), entropy, torch.ones_like(log_p)[None]
