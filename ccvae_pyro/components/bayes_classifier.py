"""The classifier that a generative model implies, by Bayes' rule."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
from torch import Tensor, nn
from torch.distributions import Bernoulli

from ccvae_pyro.distributions.bernoulli import LogitBernoulli
from ccvae_pyro.distributions.label_vector import (
    LabelGroup,
    LabelVector,
    class_log_probs,
    label_groups,
    most_likely,
    take_latents,
)
from ccvae_pyro.distributions.labelwise_prior import AffineFactors, ClassFactors, LabelwisePrior
from ccvae_pyro.distributions.tree_labels import TreeLabels


class BayesClassifier(nn.Module):
    r"""The classifier that label prior and conditional prior imply:

    .. math:: p(y \mid z_c) = \prod_i \frac{p(y_i) \, p_\psi(z_c^i \mid y_i)}
              {\sum_{y'} p(y') \, p_\psi(z_c^i \mid y')}

    Under a label prior that is a tree, see :class:`~ccvae_pyro.distributions.TreeLabels`, the
    labels depend on each other, and all latents bear on each of them.

    It has no parameters of its own, and it uses all characteristics of a label, also those that
    :class:`~ccvae_pyro.components.NestedClassifier` does not read. As the classifier of a CCVAE it
    makes the guide's :math:`q(y \mid z_c)` the model's own posterior. Its logits are not affine in
    the characteristics, so :class:`~ccvae_pyro.CCVAE_ELBO` is the objective to train it by.

    :param label_prior: :math:`p(y)`, a label vector.
    :param conditional_prior: :math:`p_\psi(z_c \mid y)`, which returns a
        :class:`~ccvae_pyro.distributions.LabelwisePrior`.
    :raises ValueError: when called, if the conditional prior does not.
    """

    def __init__(self, label_prior: nn.Module, conditional_prior: nn.Module) -> None:
        super().__init__()
        # In a tuple, so that parameters and checkpoints have the priors once, as the model's.
        self.priors = (label_prior, conditional_prior)

    def forward(self, z_c: Tensor) -> LabelVector:
        """From shape ``(..., num_characteristics)`` to a label vector of that batch shape."""
        label_prior, conditional_prior = self.priors
        p_y = label_prior()
        p_z_c = conditional_prior(z_c.new_zeros(p_y.event_shape))
        if not isinstance(p_z_c, LabelwisePrior):
            raise ValueError(
                "Bayes' rule is applied label by label: wanted a conditional prior that returns "
                f"a LabelwisePrior, got {p_z_c}"
            )
        pairs = zip(label_groups(p_y), p_z_c.given_each_value, strict=True)
        labels = LabelVector(
            [group._replace(distribution=_posterior(group, f, z_c)) for group, f in pairs]
        )
        return p_y.given(labels) if isinstance(p_y, TreeLabels) else labels


def _posterior(group: LabelGroup, factors: ClassFactors | AffineFactors, z_c: Tensor) -> Any:
    """The posterior of the labels of one kind."""
    if isinstance(factors, AffineFactors):
        return _posterior_of_continuous(group.distribution, factors, z_c)
    log_p_y = class_log_probs(group.distribution)
    log_p_y = log_p_y.view(len(log_p_y), *[1] * (z_c.dim() - 1), -1)
    log_joint = log_p_y + factors.log_prob(z_c)
    if isinstance(group.distribution, Bernoulli):
        return LogitBernoulli(logits=log_joint[1] - log_joint[0], validate_args=False)
    return dist.Categorical(logits=log_joint.movedim(0, -1), validate_args=False)


def _posterior_of_continuous(p_y: Any, factors: AffineFactors, z_c: Tensor) -> dist.Normal:
    """A Normal prior and Normal latents, whose means are affine in the label, are conjugate."""
    z = take_latents(z_c, factors.latents)
    at_mean = factors.given(p_y.mean)
    weight = factors.slope / factors.scale**2
    precision = 1 / p_y.variance + (factors.slope * weight).sum(-1)
    shift = (weight * (z - at_mean.loc)).sum(-1) / precision
    scale = precision.rsqrt().expand(shift.shape)
    return dist.Normal(p_y.mean + shift, scale, validate_args=False)


def mixture_log_prob(label_prior: nn.Module, conditional_prior: nn.Module, z_c: Tensor) -> Tensor:
    r""":math:`\log p(z_c)`, the prior of characteristics whose labels are missing.

    Bayes' rule gives it at any labels (Chib, 1995); here at the most likely ones,

    .. math:: \log p(z_c) = \log p(y) + \log p_\psi(z_c \mid y) - \log p(y \mid z_c) .
    """
    posterior = BayesClassifier(label_prior, conditional_prior)(z_c)
    y = most_likely(posterior)
    log_joint: Tensor = label_prior().log_prob(y) + conditional_prior(y).log_prob(z_c)
    mixture_log_prob: Tensor = log_joint - posterior.log_prob(y)
    return mixture_log_prob
