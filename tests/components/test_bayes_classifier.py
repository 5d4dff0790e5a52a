"""The classifier by Bayes' rule, against enumeration, a grid, and what must follow from it."""

import copy

import pyro
import pytest
import torch
from helpers import seeded
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro import (
    CCVAE_ELBO,
    BayesClassifier,
    Binary,
    Categorical,
    Continuous,
    ExactCCVAE_ELBO,
    with_bayes_classifier,
)
from ccvae_pyro.components.bayes_classifier import mixture_log_prob
from ccvae_pyro.errors import NotFactorizedError

MIXED = (Continuous("Age", 3.0, 2.0, 1), Categorical("Hair", ("a", "b", "c")), Binary("Hat"))


@pytest.fixture
def mixed():
    """A model of a number, a label with classes and a binary one, away from its start."""
    ccvae = ccvae_pyro.mnist(z_dim=8, labels=MIXED)
    for parameter in ccvae.conditional_prior.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return ccvae


def test_binary_labels_have_the_odds_of_their_joint_density(ccvae):
    z_c = torch.randn(6, 3)
    y = torch.tensor([0.0, 1.0])[:, None, None]
    p_y, p_z = (
        ccvae.label_prior().base_dist,
        ccvae.conditional_prior(y.expand(2, 6, 3)).at_y.base_dist,
    )
    joint = (p_y.log_prob(y) + p_z.log_prob(z_c)).exp()
    found = with_bayes_classifier(ccvae).classifier(z_c).groups[0].distribution.probs
    assert_close(found, joint[1] / joint.sum(0))


def test_labels_of_every_kind_have_what_a_grid_has(mixed):
    z_c = torch.randn(6, 5)
    row = BayesClassifier(mixed.label_prior, mixed.conditional_prior)(z_c)
    age = torch.linspace(-15, 21, 4001)
    y = torch.cartesian_prod(age, torch.arange(3.0), torch.arange(2.0))
    log_joint = mixed.label_prior().log_prob(y) + mixed.conditional_prior(y).log_prob(z_c[:, None])
    joint = log_joint.exp().unflatten(1, (4001, 3, 2))
    joint = joint / joint.sum((1, 2, 3), keepdim=True)
    of_hat, of_age, of_hair = (  # binary labels come first
        part.distribution for part in row.parts
    )
    mean = (joint.sum((2, 3)) * age).sum(1)
    variance = (joint.sum((2, 3)) * (age - mean[:, None]) ** 2).sum(1)
    assert_close(of_age.mean[:, 0], mean)
    assert_close(of_age.variance[:, 0], variance)
    assert_close(of_hair.probs[:, 0], joint.sum((1, 3)))
    assert_close(of_hat.probs[:, 0], joint.sum((1, 2))[:, 1])


def test_draws_of_any_number_of_dimensions(mixed):
    z_c = torch.randn(2, 4, 6, 5)
    row = BayesClassifier(mixed.label_prior, mixed.conditional_prior)
    y = row(z_c).sample()
    assert y.shape == (2, 4, 6, 3)
    assert_close(row(z_c).log_prob(y)[1, 2], row(z_c[1, 2]).log_prob(y[1, 2]))


def test_the_rule_holds_at_any_labels(mixed):
    z_c = torch.randn(6, 5)
    y = torch.tensor([[4.0, 2, 1], [1, 0, 0], [3, 1, 0], [-2, 1, 1], [9, 0, 1], [3, 2, 0]])
    posterior = with_bayes_classifier(mixed).classifier(z_c).log_prob(y)
    joint = mixed.label_prior().log_prob(y) + mixed.conditional_prior(y).log_prob(z_c)
    assert_close(
        joint - posterior, mixture_log_prob(mixed.label_prior, mixed.conditional_prior, z_c)
    )


def test_it_makes_the_bound_without_labels_one_of_a_mixture_prior(ccvae, batch):
    """What a draw of y adds to the bound is log p(z_c), whatever was drawn."""
    bayes, x = with_bayes_classifier(ccvae), batch[0]
    loss = seeded(lambda: Trace_ELBO().loss(bayes.model, bayes.guide, x))

    def by_hand():
        q_z_c, q_z_style = ccvae.encoder(x)
        z_c = pyro.sample("z_c", q_z_c)
        ccvae.classifier(z_c).sample()
        z_style = pyro.sample("z_style", q_z_style)
        log_p = ccvae.decoder(torch.cat([z_c, z_style], -1)).log_prob(x)
        log_p = (
            log_p
            + mixture_log_prob(ccvae.label_prior, ccvae.conditional_prior, z_c)
            + ccvae.style_prior().log_prob(z_style)
        )
        return (log_p - q_z_c.log_prob(z_c) - q_z_style.log_prob(z_style)).sum().item()

    assert loss == pytest.approx(-seeded(by_hand))


def test_it_is_trained_by_draws_through_the_priors(mixed):
    bayes = with_bayes_classifier(mixed)
    before = copy.deepcopy(mixed.conditional_prior.state_dict())
    svi = SVI(bayes.model, bayes.guide, Adam({"lr": 1e-2}), CCVAE_ELBO(3, stop_gradient=False))
    y = torch.tensor([[4.0, 2, 1], [torch.nan, 0, torch.nan]])
    svi.step(torch.rand(2, 1, 28, 28), y)
    after = mixed.conditional_prior.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_the_exact_objective_says_that_it_is_no_line(ccvae, batch):
    bayes = with_bayes_classifier(ccvae)
    with pytest.raises(NotFactorizedError, match="no line"):
        ExactCCVAE_ELBO().loss(bayes.model, bayes.guide, *batch)
    hair = Categorical("Hair", ("a", "b", "c"))
    bayes = with_bayes_classifier(ccvae_pyro.mnist(z_dim=8, labels=[hair]))
    with pytest.raises(NotFactorizedError, match="which no line decides"):
        ExactCCVAE_ELBO().loss(bayes.model, bayes.guide, torch.rand(2, 1, 28, 28))


def test_of_equal_scales_it_is_a_line_and_exact(ccvae, batch):
    prior = ccvae.conditional_prior
    for name, parameter in prior.named_parameters():
        if "scale" in name:
            parameter.data.fill_(0.5)
    bayes = with_bayes_classifier(ccvae)
    exact = ExactCCVAE_ELBO(num_particles=4000, vectorize_particles=True)
    drawn = CCVAE_ELBO(num_particles=4000, vectorize_particles=True)
    losses = [elbo.loss(bayes.model, bayes.guide, batch[0]) for elbo in (exact, drawn)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


def test_all_parts_are_shared_and_none_is_twice(ccvae):
    bayes = with_bayes_classifier(ccvae)
    assert bayes.conditional_prior is ccvae.conditional_prior
    assert not any(name.startswith("classifier") for name in bayes.state_dict())
    single = copy.deepcopy(bayes).float()
    assert single.classifier(torch.zeros(1, 3).float()).base_dist.logits.dtype == torch.float
    assert bayes.classifier(torch.zeros(1, 3)).base_dist.logits.dtype == torch.double
