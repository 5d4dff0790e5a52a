"""The posterior of latents whose labels are known or missing, by its samples and its terms."""

import math

import pytest
import torch
from helpers import (
    BATCH,
    MISSING,
    MIXED_LABEL_VECTORS,
    NUM_PIXELS,
    make_ccvae,
    make_mixed,
    with_missing,
)
from torch.distributions import Normal
from torch.testing import assert_close

from ccvae_pyro.objectives._posterior import LabelPosterior

NUM_SAMPLES, NUM_PROPOSALS = 4_000, 200_000
MODELS = {"binary": make_ccvae, "kinds": make_mixed}


def make_posterior(ccvae, pattern, sample_shape=()):
    """The posterior of a batch, and the parts that it is made of."""
    y = with_missing(torch.tensor(MIXED_LABEL_VECTORS), pattern)
    y = y[:, 1:4].clamp(0, 1) if len(ccvae.labels) == 3 else y
    q_z_c = ccvae.encoder(torch.rand(BATCH, NUM_PIXELS))[0].base_dist
    q_z_c = Normal(*(p.detach().expand(*sample_shape, -1, -1) for p in (q_z_c.loc, q_z_c.scale)))
    q_y = ccvae.classifier(q_z_c.mean)
    return LabelPosterior(q_z_c, q_y, y), q_z_c, y


def known_log_prob(q_y, y):
    """The log-probability of the known labels, of those of each group."""
    for group in q_y.groups:
        labels = group.labels(y)
        yield group.distribution.log_prob(labels.nan_to_num()) * ~labels.isnan()


@pytest.mark.parametrize("pattern", MISSING)
@pytest.mark.parametrize("make_model", MODELS.values(), ids=MODELS)
@torch.no_grad()
def test_samples_follow_the_posterior(make_model, pattern):
    """Their means and variances, against samples of q(z | x) weighted by the classifier."""
    ccvae = make_model()
    posterior, q_z_c, y = make_posterior(ccvae, pattern, (NUM_SAMPLES,))
    samples = posterior.rsample()
    assert samples.shape == q_z_c.loc.shape
    proposals = Normal(q_z_c.loc[0], q_z_c.scale[0]).sample((NUM_PROPOSALS,))
    q_y = ccvae.classifier(proposals)
    for group, log_weight in zip(q_y.affine_groups, known_log_prob(q_y, y), strict=True):
        weight = log_weight.softmax(0)[..., None]
        actual, proposed = group.block(samples), group.block(proposals)
        for power in (1, 2):
            moments = actual**power
            expected = (weight * proposed**power).sum(0)
            error = 5 * moments.std(0) / NUM_SAMPLES**0.5 + 0.02 * (1 + expected.abs())
            assert ((moments.mean(0) - expected).abs() < error).all()


@pytest.mark.parametrize("make_model", MODELS.values(), ids=MODELS)
@torch.no_grad()
def test_the_marginal_is_the_mean_of_the_classifier(make_model):
    ccvae = make_model()
    posterior, q_z_c, y = make_posterior(ccvae, "partly")
    factors = ccvae.conditional_prior(y.nan_to_num()).given_each_value
    p_y = ccvae.label_prior().expand([BATCH])
    with_weight, without = (posterior.terms(p_y, factors, alpha).log_q_y_x for alpha in (1.0, 0.0))
    q_y = ccvae.classifier(q_z_c.sample((NUM_PROPOSALS,)))
    log_probs = known_log_prob(q_y, y)
    expected = sum(
        (log_prob.logsumexp(0) - math.log(NUM_PROPOSALS)).sum(-1) for log_prob in log_probs
    )
    assert_close(with_weight - without, expected, atol=0.05, rtol=0)


def test_the_gradient_of_samples_is_that_of_their_mean():
    """Pathwise: along the encoder's mean, against finite differences of many samples' mean."""
    ccvae, x = make_mixed(), torch.rand(BATCH, NUM_PIXELS)
    y = with_missing(torch.tensor(MIXED_LABEL_VECTORS), "partly")
    with torch.no_grad():
        q_z_c = ccvae.encoder(x)[0].base_dist

    def mean(shift):
        torch.manual_seed(0)
        loc = (q_z_c.loc + shift).expand(2_000, -1, -1)
        normal = Normal(loc, q_z_c.scale.expand(2_000, -1, -1))
        return LabelPosterior(normal, ccvae.classifier(q_z_c.mean), y).rsample().mean(0).sum()

    shift = torch.zeros((), requires_grad=True)
    mean(shift).backward()
    slope = (mean(torch.tensor(1e-3)) - mean(torch.tensor(-1e-3))) / 2e-3
    assert_close(shift.grad, slope.detach(), rtol=1e-3, atol=0)
