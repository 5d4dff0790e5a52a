"""Which terms of the exact objective are computed exactly, and how."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.distributions.label_vector import (
    AffineCategorical,
    AffineContinuous,
    AffineGroup,
    column_numbers,
)
from ccvae_pyro.distributions.labelwise_prior import AffineFactors, Factors
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.models import CCVAE, evaluation
from ccvae_pyro.objectives.exact_ccvae_elbo import ExactCCVAE_ELBO


@evaluation
def how_exact(ccvae: CCVAE, x: Tensor) -> dict[str, str]:
    r"""How :class:`~ccvae_pyro.ExactCCVAE_ELBO` computes what each label adds to the bound.

    :param x: some images.
    :returns: for each label by its name, how :math:`q(y \mid x)` and the divergence from the prior
        are computed.

    Example:

        >>> from ccvae_pyro import Continuous, celeba
        >>> how_exact(celeba(z_dim=3, labels=[Continuous("Age")]), torch.zeros(2, 3, 64, 64))
        {'Age': 'in closed form'}
    """
    y = x.new_full((len(x), len(ccvae.labels)), torch.nan)
    try:
        with seeded(0):  # the generator goes on as if nothing had been sampled
            ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    except NotFactorizedError as error:
        return dict.fromkeys(ccvae.label_names, f"at samples ({error})")
    q_y = ccvae.classifier(ccvae.encoder(x)[0].mean)
    factors = ccvae.conditional_prior(y.nan_to_num()).given_each_value
    names, methods = list(ccvae.label_names), dict[str, str]()
    for group, of_prior in zip(q_y.affine_groups, factors, strict=True):
        columns = column_numbers(group.columns, len(names))
        methods |= dict.fromkeys((names[column] for column in columns), _method(group, of_prior))
    return {name: methods[name] for name in names}


def _method(group: AffineGroup, factors: Factors) -> str:
    if isinstance(group, AffineContinuous):
        return "in closed form"
    method = "by quadrature"
    if isinstance(group, AffineCategorical):
        method = "by a sum over classes, and quadrature for each dichotomy"
    if isinstance(factors, AffineFactors) or isinstance(factors.distribution, Normal):
        return method
    return f"{method}, its divergence from the prior at a sample"
