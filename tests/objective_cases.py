"""Every objective, with the models that it trains and the batches that it takes."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from helpers import (
    BATCH,
    MIXED_LABEL_VECTORS,
    NUM_PIXELS,
    make_ccvae,
    make_mixed,
    with_missing,
)

from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO, components, networks, objectives
from ccvae_pyro.models import baselines

Z_DIM = 3


def make_diva():
    ccvae = make_ccvae()
    parts = (ccvae.encoder, ccvae.decoder, ccvae.classifier)
    parts += (ccvae.conditional_prior, ccvae.style_prior, ccvae.label_prior)
    return baselines.DIVA(*parts, ccvae.labels, beta=0.5)


def make_m2():
    labels = make_ccvae().labels
    num_features = components.LabelCode(labels).num_features
    num_logits = components.LabelHead(labels).num_features
    return baselines.M2(
        components.NetworkClassifier(networks.mlp(NUM_PIXELS, num_logits, hidden=16), labels),
        components.ConditionalEncoder(
            networks.mlp(NUM_PIXELS, 6, hidden=16),
            networks.mlp(6 + num_features, 2 * Z_DIM, hidden=16),
            Z_DIM,
        ),
        components.LaplaceDecoder(
            networks.mlp(Z_DIM + num_features, NUM_PIXELS, hidden=16), event_dim=1
        ),
        components.StandardNormal(Z_DIM),
        make_ccvae().label_prior,
        labels,
    )


def make_mvae():
    labels = make_ccvae().labels
    num_logits = components.LabelHead(labels).num_features
    return baselines.MVAE(
        components.GaussianEncoder(networks.mlp(NUM_PIXELS, 2 * Z_DIM, hidden=16), (Z_DIM,)),
        components.LaplaceDecoder(networks.mlp(Z_DIM, NUM_PIXELS, hidden=16), event_dim=1),
        components.LabelExperts(labels, Z_DIM),
        components.NetworkClassifier(networks.mlp(Z_DIM, num_logits, hidden=16), labels),
        components.StandardNormal(Z_DIM),
        labels,
    )


def paper(**kwargs):
    return CCVAE_ELBO(7, **kwargs)


def paper_true_gradient(**kwargs):
    return CCVAE_ELBO(7, stop_gradient=False, classification_weight=2.0, **kwargs)


def exact_with_weights(**kwargs):
    return ExactCCVAE_ELBO(2.0, consistency_weight=3.0, **kwargs)


def diva(**kwargs):
    return objectives.DIVA_ELBO(2.0, **kwargs)


def m2(**kwargs):
    return objectives.M2_ELBO(2.0, **kwargs)


MODELS = {"binary": make_ccvae, "kinds": make_mixed}
WHOLE_OR_MISSING = ("labeled", "unlabeled", "mixed")


class Case(NamedTuple):
    """An objective of a model, and which labels of the batch are missing."""

    objective: Callable
    make_model: Callable
    pattern: str

    @property
    def y(self):
        """The label vectors of the batch, none of them missing."""
        if self.make_model is make_mixed:
            return torch.tensor(MIXED_LABEL_VECTORS)
        return torch.tensor([[0.0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]])

    @property
    def batch(self):
        """Images and label vectors; images alone, if all labels are missing."""
        x = torch.rand(BATCH, NUM_PIXELS)
        return (x,) if self.pattern == "unlabeled" else (x, with_missing(self.y, self.pattern))


CASES = (
    (paper, MODELS, WHOLE_OR_MISSING),
    (paper_true_gradient, MODELS, WHOLE_OR_MISSING),
    (ExactCCVAE_ELBO, MODELS, (*WHOLE_OR_MISSING, "partly")),
    (exact_with_weights, MODELS, (*WHOLE_OR_MISSING, "partly")),
    (diva, {"diva": make_diva}, WHOLE_OR_MISSING),
    (m2, {"m2": make_m2}, (*WHOLE_OR_MISSING, "partly")),
    # Images without labels do not reach the experts on labels.
    (objectives.MVAE_ELBO, {"mvae": make_mvae}, ("labeled", "mixed", "partly")),
)


def cases(*objectives):
    """The cases of these objectives."""
    return [
        pytest.param(
            Case(objective, make_model, pattern), id=f"{objective.__name__}-{name}-{pattern}"
        )
        for objective, models, patterns in CASES
        for name, make_model in models.items()
        for pattern in patterns
        if objective in objectives
    ]


OF_THE_PAPER, EXACT = (paper, paper_true_gradient), (ExactCCVAE_ELBO, exact_with_weights)
SUMS_OF_ELBOS = (m2, objectives.MVAE_ELBO)
ALL = (*OF_THE_PAPER, *EXACT, diva, *SUMS_OF_ELBOS)
