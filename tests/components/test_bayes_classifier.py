"""The classifier by Bayes' rule, against enumeration, a grid, and what must follow from it."""

import copy

import numpy as np
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
    predict,
    with_bayes_classifier,
)
from ccvae_pyro.components.bayes_classifier import mixture_log_prob
from ccvae_pyro.errors import NotFactorizedError

MIXED = (Continuous("Age", 3.0, 2.0, 1), Categorical("Hair", ("a", "b", "c")), Binary("Hat"))


@pytest.fixture
def mixed():
    """A model of labels of all kinds, away from its start."""
    ccvae = ccvae_pyro.mnist(z_dim=8, labels=MIXED)
    for parameter in ccvae.conditional_prior.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return ccvae


def test_binary_labels_have_the_odds_of_their_joint_density(ccvae):
    z_c = torch.randn(6, 3)
    y = torch.tensor([0.0, 1.0])[:, None, None]
    p_y = ccvae.label_prior().base_dist
    p_z = ccvae.conditional_prior(y.expand(2, 6, 3)).at_y.base_dist
    joint = (p_y.log_prob(y) + p_z.log_prob(z_c)).exp()
    found = with_bayes_classifier(ccvae).classifier(z_c).groups[0].distribution.probs
    assert_close(found, joint[1] / joint.sum(0))


def test_labels_of_every_kind_match_a_grid(mixed):
    z_c = torch.randn(6, 5)
    labels = BayesClassifier(mixed.label_prior, mixed.conditional_prior)(z_c)
    age = torch.linspace(-15, 21, 4001)
    y = torch.cartesian_prod(age, torch.arange(3.0), torch.arange(2.0))
    log_joint = mixed.label_prior().log_prob(y) + mixed.conditional_prior(y).log_prob(z_c[:, None])
    joint = log_joint.exp().unflatten(1, (4001, 3, 2))
    joint = joint / joint.sum((1, 2, 3), keepdim=True)
    of_hat, of_age, of_hair = (  # binary labels come first
        group.distribution for group in labels.groups
    )
    mean = (joint.sum((2, 3)) * age).sum(1)
    variance = (joint.sum((2, 3)) * (age - mean[:, None]) ** 2).sum(1)
    assert_close(of_age.mean[:, 0], mean)
    assert_close(of_age.variance[:, 0], variance)
    assert_close(of_hair.probs[:, 0], joint.sum((1, 3)))
    assert_close(of_hat.probs[:, 0], joint.sum((1, 2))[:, 1])


def test_takes_any_number_of_dimensions(mixed):
    z_c = torch.randn(2, 4, 6, 5)
    classifier = BayesClassifier(mixed.label_prior, mixed.conditional_prior)
    y = classifier(z_c).sample()
    assert y.shape == (2, 4, 6, 3)
    assert_close(classifier(z_c).log_prob(y)[1, 2], classifier(z_c[1, 2]).log_prob(y[1, 2]))


def test_the_rule_holds_at_any_labels(mixed):
    z_c = torch.randn(6, 5)
    y = torch.tensor([[4.0, 2, 1], [1, 0, 0], [3, 1, 0], [-2, 1, 1], [9, 0, 1], [3, 2, 0]])
    posterior = with_bayes_classifier(mixed).classifier(z_c).log_prob(y)
    joint = mixed.label_prior().log_prob(y) + mixed.conditional_prior(y).log_prob(z_c)
    assert_close(
        joint - posterior, mixture_log_prob(mixed.label_prior, mixed.conditional_prior, z_c)
    )


def test_it_makes_the_bound_without_labels_one_of_a_mixture_prior(ccvae, batch):
    """A sample of y adds log p(z_c) to the bound, whatever its value."""
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


def test_the_papers_objective_trains_the_priors_through_it(mixed):
    bayes = with_bayes_classifier(mixed)
    before = copy.deepcopy(mixed.conditional_prior.state_dict())
    svi = SVI(bayes.model, bayes.guide, Adam({"lr": 1e-2}), CCVAE_ELBO(3, stop_gradient=False))
    y = torch.tensor([[4.0, 2, 1], [torch.nan] * 3])
    svi.step(torch.rand(2, 1, 28, 28), y)
    after = mixed.conditional_prior.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("labels", [None, [Categorical("Hair", ("a", "b", "c"))]])
def test_the_exact_objective_refuses_it(ccvae, batch, labels):
    if labels:
        ccvae = ccvae_pyro.mnist(z_dim=8, labels=labels)
        batch = (torch.rand(2, 1, 28, 28), torch.tensor([[0.0], [2.0]]))
    bayes = with_bayes_classifier(ccvae)
    with pytest.raises(NotFactorizedError, match="declares no slopes and offsets"):
        ExactCCVAE_ELBO().loss(bayes.model, bayes.guide, *batch)


def test_it_needs_a_prior_that_declares_its_factors(ccvae):
    given = ccvae.conditional_prior.given
    ccvae.conditional_prior.forward = lambda y: given(y).to_event(1)
    with pytest.raises(ValueError, match="wanted a conditional prior that returns"):
        with_bayes_classifier(ccvae).classifier(torch.zeros(1, 3))


def test_all_parts_are_shared_and_none_is_twice(ccvae):
    bayes = with_bayes_classifier(ccvae)
    assert bayes.conditional_prior is ccvae.conditional_prior
    assert not any(name.startswith("classifier") for name in bayes.state_dict())
    single = copy.deepcopy(bayes).float()
    for model, dtype in ((single, torch.float), (bayes, torch.double)):
        labels = model.classifier(torch.zeros(1, 3, dtype=dtype))
        assert labels.groups[0].distribution.logits.dtype == dtype


@pytest.mark.parametrize("slopes", [(2.0, 1.5), (2.0, -1.5), (-1.0, -2.0)])
def test_the_deviation_of_a_continuous_label_is_that_over_all_its_characteristics(slopes):
    ccvae = ccvae_pyro.mnist(z_dim=5, labels=[Continuous("Age", 3.0, 2.0, 1), Binary("Hat")])
    ccvae.conditional_prior.of_group[1].slope.data = torch.tensor(slopes)
    bayes, x = with_bayes_classifier(ccvae), torch.rand(2, 1, 28, 28)
    q_z_c = ccvae.encoder(x)[0].base_dist
    # Gauss and Hermite's nodes, over the two characteristics of the label.
    nodes, weights = map(torch.tensor, np.polynomial.hermite_e.hermegauss(9))
    t = torch.cartesian_prod(nodes, nodes)
    weight = torch.cartesian_prod(weights, weights).prod(-1) / (2 * np.pi)
    z_c = q_z_c.loc + q_z_c.scale * torch.cat([t, torch.zeros(81, 1)], dim=1)[:, None]
    _, age = (group.distribution for group in bayes.classifier(z_c).groups)
    mean, square = (
        torch.einsum("t,tb->b", weight, moment[..., 0])
        for moment in (age.mean, age.mean**2 + age.variance)
    )
    value, deviation = (each[:, 0] for each in predict(bayes, x))
    assert_close(value, mean)
    assert_close(deviation, (square - mean**2).sqrt())
