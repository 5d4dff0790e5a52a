"""Objectives under a label prior that is a tree, against sums over all configurations."""

from itertools import product

import helpers
import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import (
    BATCH,
    MIXED_LABELS,
    NUM_PIXELS,
    make_ccvae,
    make_mixed,
    seeded,
    standard_normal_pixels,
    with_missing,
)
from pyro import poutine
from pyro.infer import TraceEnum_ELBO
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO, Categorical, ExactCCVAE_ELBO, with_bayes_classifier
from ccvae_pyro.components import ChowLiuLabelPrior
from ccvae_pyro.components.bayes_classifier import mixture_log_prob
from ccvae_pyro.labels import Binary

NAN = torch.nan
LATENTS = ("z_c", "z_style")
MIXED = (*MIXED_LABELS, Categorical("Eyes", ("blue", "green"), (0.5, 0.5)))
MODELS = {"binary": lambda: make_ccvae(5), "kinds": lambda: make_mixed(MIXED)}


def correlated_labels(labels, num_rows=400):
    """Labels that depend on one number, some of them missing."""
    hidden, columns = torch.randn(num_rows), []
    for label in labels:
        noisy = hidden + 0.5 * torch.randn(num_rows)
        num_classes = 2 if isinstance(label, Binary) else max(len(label.classes), 1)
        cuts = torch.linspace(-1, 1, num_classes + 1)[1:-1]
        columns.append((noisy[:, None] > cuts).sum(-1).double() if num_classes > 1 else noisy)
    y = torch.stack(columns, dim=-1)
    return torch.where(torch.rand(y.shape) < 0.1, NAN, y)


def with_tree(ccvae):
    """The model with a label prior that is a tree, and a decoder that ignores the latents."""
    ccvae.label_prior = ChowLiuLabelPrior.fit(
        correlated_labels(ccvae.labels), ccvae.labels
    ).double()
    assert len(ccvae.label_prior.edges) >= 3
    ccvae.decoder.forward = standard_normal_pixels
    return ccvae


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def ccvae(request):
    return with_tree(request.param().double())


@pytest.fixture
def x():
    return torch.rand(BATCH, NUM_PIXELS)


def losses_and_log_q(ccvae, x, y):
    """The bound's loss, and log q(y|x) of the known labels; the same for each call."""
    loss = seeded(ExactCCVAE_ELBO().loss, ccvae.model, ccvae.guide, x, y)
    return loss, loss - seeded(ExactCCVAE_ELBO(1.0).loss, ccvae.model, ccvae.guide, x, y)


def test_the_labeled_bound_has_the_log_density_of_the_tree(ccvae, x):
    y = ccvae.label_prior().sample((BATCH,))
    loss, _ = losses_and_log_q(ccvae, x, y)
    tree = ccvae.label_prior
    ccvae.label_prior = tree.independent
    independent, _ = losses_and_log_q(ccvae, x, y)
    added = tree().log_prob(y).sum() - tree.independent().log_prob(y).sum()
    assert abs(added) > 0.1
    assert_close(loss, independent - added.item())


@pytest.mark.parametrize("missing", [[0, 1], [1, 3, 4], [0, 1, 3, 4]])
def test_missing_labels_are_summed_out_over_all_configurations(ccvae, x, missing):
    # sum over y of q(y|x) (l(y) - log q(y|x)), where q is a product over labels
    x, known = x[:1], ccvae.label_prior().sample((1,))
    known[0, missing] = NAN
    _, log_q_known = losses_and_log_q(ccvae, x, known)
    expected, total = 0.0, 0.0
    sizes = [max(len(ccvae.labels[column].classes), 2) for column in missing]
    for values in product(*map(range, sizes)):
        y = known.clone()
        y[0, missing] = torch.tensor(values, dtype=y.dtype)
        loss, log_q = losses_and_log_q(ccvae, x, y)
        log_q -= log_q_known
        expected += torch.tensor(log_q).exp().item() * (loss + log_q)
        total += torch.tensor(log_q).exp().item()
    assert total == pytest.approx(1)
    assert losses_and_log_q(ccvae, x, known)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("pattern", ["labeled", "unlabeled", "partly"])
@pytest.mark.parametrize("elbo", [ExactCCVAE_ELBO(2.0), CCVAE_ELBO(5, stop_gradient=False)])
def test_the_gradient_is_that_of_finite_differences(ccvae, x, pattern, elbo):
    if pattern == "partly" and isinstance(elbo, CCVAE_ELBO):
        return
    y = with_missing(ccvae.label_prior().sample((BATCH,))[:, :5], pattern)
    y = torch.cat([y, *[torch.full((BATCH, 1), NAN)] * (len(ccvae.labels) - 5)], dim=-1)
    if pattern == "labeled":
        y = y.nan_to_num()
    parameters = list(ccvae.encoder.parameters()) + list(ccvae.classifier.parameters())
    loss = seeded(elbo.differentiable_loss, ccvae.model, ccvae.guide, x, y)
    gradients = torch.autograd.grad(loss, parameters)
    directions = [torch.randn_like(each) for each in parameters]
    losses = []
    for step in (1e-5, -2e-5):
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.data += step * direction
        losses.append(seeded(elbo.loss, ccvae.model, ccvae.guide, x, y))
    expected = (losses[0] - losses[1]) / 2e-5
    actual = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True)).item()
    assert actual == pytest.approx(expected, rel=1e-5, abs=1e-5)


def enumerated(ccvae):
    """Model and guide with a site for each label."""
    num_labels = len(ccvae.labels)
    configurations = torch.tensor(list(product([0.0, 1.0], repeat=num_labels)))
    joint = ccvae.label_prior().log_prob(configurations).exp().view([2] * num_labels)

    _, guide = helpers.enumerated(ccvae)

    def model(x):
        columns = []
        with pyro.plate("data", len(x)):
            for i in range(num_labels):  # given those before
                later = [*range(i + 1, num_labels)]
                of_both = joint.sum(later) if later else joint
                of_both = of_both[tuple(column.long() for column in columns)]
                p = of_both[..., 1] / of_both.sum(-1)
                columns.append(pyro.sample(f"y_{i}", dist.Bernoulli(p)))
            y = torch.broadcast_tensors(*columns)
            pyro.sample("z_c", ccvae.conditional_prior(torch.stack(y, dim=-1)))
            pyro.sample("z_style", ccvae.style_prior())
            pyro.sample("x", ccvae.decoder(x.new_zeros(len(x), 1)), obs=x)

    return model, guide


def loss_and_gradients(elbo, model, guide, parameters, *batch):
    loss = elbo.differentiable_loss(model, guide, *batch)
    return loss, torch.autograd.grad(loss, parameters)


def test_the_papers_unlabeled_bound_and_gradient_are_those_of_enumeration(x, monkeypatch):
    monkeypatch.setattr(torch, "bernoulli", lambda probs: (probs > 0.5).to(probs))
    ccvae = with_tree(make_ccvae(5))
    parameters = [p for part in (ccvae.encoder, ccvae.classifier) for p in part.parameters()]
    parameters += ccvae.conditional_prior.parameters()
    elbo = CCVAE_ELBO(1, share_sample=True, stop_gradient=False)
    actual = seeded(loss_and_gradients, elbo, ccvae.model, ccvae.guide, parameters, x)
    oracle = TraceEnum_ELBO(max_plate_nesting=1)
    expected = seeded(loss_and_gradients, oracle, *enumerated(ccvae), parameters, x)
    assert_close(actual, expected, rtol=1e-5, atol=1e-6)


def test_the_two_objectives_agree(ccvae, x):
    y = ccvae.label_prior().sample((BATCH,))
    exact = ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    elbo = CCVAE_ELBO(2000, stop_gradient=False)
    estimates = torch.tensor([elbo.loss(ccvae.model, ccvae.guide, x, y) for _ in range(60)])
    assert abs(estimates.mean() - exact) < 5 * estimates.std() / 60**0.5 + 0.02


def test_bayes_rule_has_the_posterior_of_all_labels_together():
    ccvae = with_tree(make_ccvae(5))
    z_c = torch.randn(3, 5)
    bayes = with_bayes_classifier(ccvae).classifier(z_c)
    y = torch.tensor(list(product([0.0, 1.0], repeat=5)))[:, None]
    log_joint = ccvae.label_prior().log_prob(y) + ccvae.conditional_prior(y).log_prob(z_c)
    assert_close(bayes.log_prob(y), log_joint.log_softmax(0))
    marginals = (log_joint.softmax(0)[..., None] * y).sum(0)
    assert_close(bayes.mean, marginals)


def test_the_prior_of_latents_without_labels_is_a_sum_over_all_configurations():
    ccvae = with_tree(make_ccvae(5))
    z_c = torch.randn(3, 5)
    y = torch.tensor(list(product([0.0, 1.0], repeat=5)))[:, None]
    log_joint = ccvae.label_prior().log_prob(y) + ccvae.conditional_prior(y).log_prob(z_c)
    actual = mixture_log_prob(ccvae.label_prior, ccvae.conditional_prior, z_c)
    assert_close(actual, log_joint.logsumexp(0))


def test_a_guide_with_the_models_own_posterior_of_dependent_labels_needs_no_luck(x):
    # log p(y) p(z_c|y) - log q(y|z_c) is log p(z_c), whichever labels are sampled.
    bayes = with_bayes_classifier(with_tree(make_ccvae(5)))
    elbo = CCVAE_ELBO(5, stop_gradient=False)
    actual = seeded(elbo.loss, bayes.model, bayes.guide, x)
    trace = seeded(poutine.trace(bayes.guide).get_trace, x)
    log_q = sum(trace.nodes[name]["fn"].log_prob(trace.nodes[name]["value"]) for name in LATENTS)
    z_c, z_style = (trace.nodes[name]["value"] for name in LATENTS)
    log_p = mixture_log_prob(bayes.label_prior, bayes.conditional_prior, z_c)
    log_p = log_p + bayes.style_prior().log_prob(z_style) + bayes.decoder(z_style).log_prob(x)
    assert actual == pytest.approx((log_q - log_p).sum().item())
