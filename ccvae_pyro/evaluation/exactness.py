"""Which of an objective's terms are computed exactly, and how."""

from __future__ import annotations

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.distributions.label_vector import missing_labels, parts_of
from ccvae_pyro.distributions.nested_categorical import NestedCategorical
from ccvae_pyro.distributions.reading import in_order
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.models.ccvae import CCVAE
from ccvae_pyro.objectives.exact_ccvae_elbo import ExactCCVAE_ELBO


def how_exact(ccvae: CCVAE, x: Tensor) -> dict[str, str]:
    r"""How :class:`~ccvae_pyro.ExactCCVAE_ELBO` computes what each label adds to the bound.

    It is found out by a run: with parts of one's own, too, it is what happens.

    :param x: some images.
    :returns: for each label by its name how :math:`q(y \mid x)` and the divergence from the prior
        come about.

    Example:

        >>> from ccvae_pyro import Continuous, celeba
        >>> how_exact(celeba(z_dim=3, labels=[Continuous("Age")]), torch.zeros(2, 3, 64, 64))
        {'Age': 'in closed form'}
    """
    label_prior = ccvae.label_prior()
    y = missing_labels(label_prior).expand(len(x), -1)
    try:
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    except NotFactorizedError as error:
        return dict.fromkeys(ccvae.label_names, f"at draws ({error})")
    prior = ccvae.conditional_prior(torch.zeros_like(y)).base_dist
    at_draw = "" if isinstance(prior, Normal) else ", its divergence from the prior at a draw"
    parts = parts_of(ccvae.classifier(ccvae.encoder(x)[0].mean))
    ways = [
        [_way(part.distribution) + at_draw] * part.distribution.batch_shape[-1] for part in parts
    ]
    return dict(zip(ccvae.label_names, in_order(parts, ways), strict=True))


def _way(fn: TorchDistribution) -> str:
    if isinstance(fn, NestedCategorical):
        return "by a sum over classes, and quadrature for each decision between them"
    return "in closed form" if isinstance(fn, Normal) else "by quadrature"
