"""The classifier that a generative model implies, by Bayes' rule."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal

from ccvae_pyro.distributions.label_vector import LabelPart, LabelVector, is_row_of, parts_of
from ccvae_pyro.distributions.reading import class_log_probs, most_likely, num_classes_of
from ccvae_pyro.objectives.prior_rows import of_values, prior_of_part, values_to_try, with_mixtures


class BayesClassifier(nn.Module):
    r"""The classifier that label prior and conditional prior imply:

    .. math:: p(y \mid z_c) = \prod_i \frac{p(y_i) \, p_\psi(z_c^i \mid y_i)}
              {\sum_{y'} p(y') \, p_\psi(z_c^i \mid y')}

    It has no parameters of its own, and reads all characteristics of a label, also those that no
    decision of :class:`~ccvae_pyro.components.conditional_priors.NestedClassifier` does. In the place of a
    classifier it makes the guide's :math:`q(y \mid z_c)` the model's own; what it makes of
    characteristics is not a line in each, so that :class:`~ccvae_pyro.CCVAE_ELBO` is the objective
    to train it by.

    :param label_prior: :math:`p(y)`, of a row of labels.
    :param conditional_prior: :math:`p_\psi(z_c \mid y)`, a Normal for each characteristic; of a
        label that is a number, its mean is a line in that. Of binary labels alone it may be any
        row of distributions, one for each label.
    :raises ValueError: when called, if the conditional prior has no factor for each label.
    """

    def __init__(self, label_prior: nn.Module, conditional_prior: nn.Module) -> None:
        super().__init__()
        # In a tuple, so that parameters and checkpoints have the priors once, as the model's.
        self.priors = (label_prior, conditional_prior)

    def forward(self, z_c: Tensor) -> Any:
        """From shape ``(..., num_characteristics)`` to a row of labels of that batch shape."""
        label_prior, conditional_prior = self.priors
        row = label_prior()
        values = values_to_try(row)
        # Values to the left of the batch.
        tried = with_mixtures(values)
        fn = conditional_prior(tried.view(len(tried), *[1] * (z_c.dim() - 1), -1))
        prior = None
        if is_row_of(fn, Distribution):
            prior = of_values(fn.base_dist, values, parts_of(row))
        if prior is None:
            raise ValueError(
                "Bayes' rule is taken label by label: wanted a conditional prior with a factor "
                f"for each, that depends on it alone, got {fn}"
            )
        parts = [
            part._replace(distribution=_posterior(part, prior, z_c)) for part in parts_of(row)
        ]
        if isinstance(row, Independent):
            return parts[0].distribution.to_event(1)
        return LabelVector(parts)


def _posterior(part: LabelPart, priors: Any, z_c: Tensor) -> Any:
    """Of some labels of one kind."""
    if not num_classes_of(part.distribution):
        prior = prior_of_part(priors, part)
        return _posterior_of_numbers(part.distribution, prior, part.characteristics(z_c))
    log_p_y = class_log_probs(part.distribution)
    log_p_y = log_p_y.view(len(log_p_y), *[1] * (z_c.dim() - 1), -1)
    log_joint = log_p_y + _log_p_z(part, priors, z_c)
    if isinstance(part.distribution, Bernoulli):
        return dist.Bernoulli(logits=log_joint[1] - log_joint[0])
    return dist.Categorical(logits=log_joint.movedim(0, -1))


def _log_p_z(part: LabelPart, priors: Any, z_c: Tensor) -> Tensor:
    """Of each label's characteristics, for every class, shape ``(num_classes, ..., num)``."""
    if isinstance(priors, Normal) or part.latents is not None:
        return prior_of_part(priors, part).log_prob(part.characteristics(z_c)).sum(-1)
    return priors.log_prob(z_c)


def _posterior_of_numbers(label_prior: Any, prior: Any, z: Tensor) -> Any:
    """A number is Normal, and so is it given characteristics whose means are lines in it."""
    mean, variance = label_prior.mean, label_prior.variance
    slope = (prior.loc[1] - prior.loc[0]) / label_prior.stddev[:, None]
    weight = slope / prior.scale[0] ** 2
    precision = 1 / variance + (slope * weight).sum(-1)
    shift = (weight * (z - prior.loc[0])).sum(-1) / precision
    return dist.Normal(mean + shift, precision.rsqrt().expand(shift.shape))


def mixture_log_prob(label_prior: nn.Module, conditional_prior: nn.Module, z_c: Tensor) -> Tensor:
    r""":math:`\log p(z_c)`, the prior of characteristics whose labels are not known.

    Bayes' rule gives it at any labels (Chib, 1995): here at the likeliest,

    .. math:: \log p(z_c) = \log p(y) + \log p_\psi(z_c \mid y) - \log p(y \mid z_c) .
    """
    posterior = BayesClassifier(label_prior, conditional_prior)(z_c)
    y = most_likely(posterior)
    log_joint = label_prior().log_prob(y) + conditional_prior(y).log_prob(z_c)
    return log_joint - posterior.log_prob(y)
