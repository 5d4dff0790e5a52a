"""The exact objective: quadrature, enumeration, the paper's estimate, and what it refuses."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import (
    BATCH,
    MISSING,
    NUM_LABELS,
    assert_mean_close,
    enumerated,
    make_ccvae,
    seeded,
    with_missing,
)
from pyro.infer import SVI, TraceEnum_ELBO
from pyro.optim import Adam
from scipy.integrate import quad
from torch import nn
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO
from ccvae_pyro.distributions import AffineBinary, AffineLabels, LabelwisePrior, _tilted_quadrature
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.models.ccvae import CCVAE

NAN = math.nan


def blind(ccvae):
    """A decoder that ignores z: the bound then depends on no sample."""
    for parameter in ccvae.decoder.parameters():
        nn.init.zeros_(parameter)
    return ccvae


def loss_and_gradients(elbo, model, guide, parameters, *args):
    loss = elbo.differentiable_loss(model, guide, *args)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return loss, [torch.zeros(()) if gradient is None else gradient for gradient in gradients]


# Quadrature


def bound_by_quadrature(ccvae, x, y):
    """Eq. (4) for one image and a decoder that ignores z, by SciPy, label by label."""
    q_z_c, q_z_style = ccvae.encoder(x)
    p_style = ccvae.style_prior().base_dist
    total = ccvae.decoder(torch.zeros(1, NUM_LABELS + 2)).log_prob(x).item()
    total -= torch.distributions.kl_divergence(q_z_style.base_dist, p_style).sum().item()
    total += ccvae.label_prior().log_prob(y).item()
    prior = ccvae.conditional_prior(y).at_y.base_dist
    for i in range(NUM_LABELS):
        loc, scale = q_z_c.base_dist.loc[0, i], q_z_c.base_dist.scale[0, i]
        q, p = dist.Normal(loc, scale), dist.Normal(prior.loc[0, i], prior.scale[0, i])
        weight, bias = ccvae.classifier.weight[i], ccvae.classifier.bias[i]

        def terms(z, q=q, p=p, weight=weight, bias=bias, truth=y[0, i]):
            z = torch.tensor(z)
            q_y = dist.Bernoulli(logits=weight * z + bias).log_prob(truth)
            return (q.log_prob(z) + q_y).exp().item(), (q_y + q.log_prob(z) - p.log_prob(z)).item()

        ends = ((loc - 9 * scale).item(), (loc + 9 * scale).item())
        q_y_x = quad(lambda z: terms(z)[0], *ends, epsabs=1e-12)[0]
        mean = quad(lambda z: math.prod(terms(z)) / q_y_x, *ends, epsabs=1e-12)[0]  # noqa: B023
        total += math.log(q_y_x) - mean
    return total


@torch.no_grad()
def test_the_labeled_bound_matches_quadrature(ccvae, batch):
    x, y = (part[:1] for part in batch)
    actual = -ExactCCVAE_ELBO().loss(blind(ccvae).model, ccvae.guide, x, y)
    assert actual == pytest.approx(bound_by_quadrature(ccvae, x, y), abs=1e-6)


def test_a_missing_label_is_averaged_over_and_leaves_its_entropy(ccvae, batch):
    # l_i = sum_y q(y|x) (l_i(y) - log q(y|x)), for a label vector of which one label is missing
    x, y = (part[:1] for part in batch)
    elbo, without = ExactCCVAE_ELBO(), ExactCCVAE_ELBO(classification_weight=1.0)
    blind(ccvae)
    losses, logs = [], []
    for value in (0.0, 1.0):
        y[0, 1] = value
        losses.append(elbo.loss(ccvae.model, ccvae.guide, x, y))
        logs.append(losses[-1] - without.loss(ccvae.model, ccvae.guide, x, y))
    y[0, 1] = NAN
    known = elbo.loss(ccvae.model, ccvae.guide, x, y)
    known -= without.loss(ccvae.model, ccvae.guide, x, y)
    q = [math.exp(log - known) for log in logs]
    assert sum(q) == pytest.approx(1)
    expected = sum(p * (loss + math.log(p)) for p, loss in zip(q, losses, strict=True))
    assert elbo.loss(ccvae.model, ccvae.guide, x, y) == pytest.approx(expected, abs=1e-6)


def test_in_double_precision_the_gradient_is_that_of_finer_nodes(ccvae, batch, monkeypatch):
    parameters, gradients = list(ccvae.parameters()), []
    for nodes in (_tilted_quadrature.FINE, (0.015, 9.0, 5.0)):
        monkeypatch.setattr(_tilted_quadrature, "FINE", nodes)
        args = (ccvae.model, ccvae.guide, parameters, *batch)
        _, gradient = seeded(loss_and_gradients, ExactCCVAE_ELBO(), *args)
        gradients.append(torch.cat([each.flatten() for each in gradient]))
    assert (gradients[0] - gradients[1]).norm() < 1e-6 * gradients[1].norm()


# Enumeration


@pytest.mark.parametrize("num_labels", [1, 2, 3, 4, 5, 6])
def test_the_papers_unlabeled_bound_and_gradient_are_those_of_enumeration(
    num_labels, batch, monkeypatch
):
    # At the same sample of z, to the last digits. Labels are sampled before the style, also where
    # they are summed out: here without taking of the noise.
    monkeypatch.setattr(torch, "bernoulli", lambda probs: (probs > 0.5).to(probs))
    ccvae, x = make_ccvae(num_labels), batch[0]
    elbo = CCVAE_ELBO(1, share_sample=True, stop_gradient=False)
    parameters = list(ccvae.parameters())
    actual = seeded(loss_and_gradients, elbo, ccvae.model, ccvae.guide, parameters, x)
    oracle = TraceEnum_ELBO(max_plate_nesting=1)
    expected = seeded(loss_and_gradients, oracle, *enumerated(ccvae), parameters, x)
    assert_close(actual, expected)


@pytest.mark.parametrize("num_labels", [1, 2, 3, 4, 5, 6])
def test_the_exact_unlabeled_bound_and_gradient_are_the_mean_of_enumeration(num_labels, batch):
    ccvae, x = make_ccvae(num_labels), batch[0]
    parameters = [*ccvae.classifier.parameters(), *ccvae.conditional_prior.parameters()]
    parameters += [list(ccvae.encoder.parameters())[-1]]
    num_particles = 2_000
    elbo = ExactCCVAE_ELBO(num_particles=num_particles, vectorize_particles=True)
    exact, gradient = loss_and_gradients(elbo, ccvae.model, ccvae.guide, parameters, x)
    oracle = TraceEnum_ELBO(max_plate_nesting=1)
    estimates = [loss_and_gradients(oracle, *enumerated(ccvae), parameters, x) for _ in range(200)]
    losses = torch.stack([loss for loss, _ in estimates])
    gradients = torch.stack([torch.cat([g.flatten() for g in grads]) for _, grads in estimates])
    assert_within_error(exact, losses)
    assert_within_error(torch.cat([g.flatten() for g in gradient]), gradients)


def assert_within_error(exact, estimates):
    """To five standard errors of the mean, with a little for what is exact up to rounding."""
    error = 5 * estimates.std(0) / len(estimates) ** 0.5 + 1e-6
    assert ((estimates.mean(0) - exact).abs() < 1.2 * error).all()


# The paper's estimate


@pytest.mark.parametrize("pattern", ["labeled", "unlabeled", "mixed"])
def test_the_papers_estimate_converges_to_it(ccvae, batch, pattern):
    x, y = batch[0], with_missing(batch[1], pattern)
    exact = ExactCCVAE_ELBO(num_particles=20_000, vectorize_particles=True)
    paper = CCVAE_ELBO(2_000, stop_gradient=False)
    expected = exact.loss(ccvae.model, ccvae.guide, x, y)
    assert_mean_close(lambda: paper.loss(ccvae.model, ccvae.guide, x, y), expected, 400)


def test_images_of_a_batch_add_up(ccvae, batch):
    """Images with any labels missing are together what they are on their own."""
    x, y = batch[0], with_missing(batch[1], "partly")
    elbo = ExactCCVAE_ELBO(classification_weight=3.0)
    blind(ccvae)
    together = elbo.loss(ccvae.model, ccvae.guide, x, y)
    alone = [elbo.loss(ccvae.model, ccvae.guide, x[i : i + 1], y[i : i + 1]) for i in range(BATCH)]
    assert together == pytest.approx(sum(alone), abs=1e-5)


# The classification weight


def test_classification_weight_adds_log_q_of_the_known_labels(ccvae, batch):
    x, y = batch[0], with_missing(batch[1], "partly")
    plain, weighted = (
        seeded(ExactCCVAE_ELBO(weight).loss, ccvae.model, ccvae.guide, x, y)
        for weight in (0.0, 10.0)
    )
    noise = torch.randn(200_000, 1, NUM_LABELS)
    q_z_c = ccvae.encoder(x)[0].base_dist
    z_c = q_z_c.loc + q_z_c.scale * noise
    probability = ccvae.classifier(z_c).mean.mean(0)
    log_q = dist.Bernoulli(probability).log_prob(y.nan_to_num())[~y.isnan()].sum()
    assert (plain - weighted) / 10 == pytest.approx(log_q.item(), abs=0.01)


# Training and errors


def test_drives_svi(ccvae, batch):
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 0.01}), loss=ExactCCVAE_ELBO(5.0))
    x, y = batch
    losses = [svi.step(x, with_missing(y, "partly")) for _ in range(200)]
    assert sum(losses[-20:]) < sum(losses[:20])


@pytest.mark.parametrize("value", [0.3, -1.0, 2.0])
def test_a_value_that_is_not_one_of_the_label_is_an_error(ccvae, batch, value, monkeypatch):
    # As in a model that does not check its labels.
    monkeypatch.setattr(type(ccvae), "checked_batch", lambda self, x, y: y)
    batch[1][2, 1] = value
    wanted = f"row 2, column 1 of 'y' is {value:g}: wanted 0 or 1, or NaN where it is missing"
    with pytest.raises(ValueError, match=wanted):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)


# Other parts


class MixturePrior(nn.Module):
    """A prior without a formula for the divergence."""

    def given(self, y):
        weights = dist.Categorical(torch.tensor([0.3, 0.7]))
        locs = torch.stack([2 * y - 1, 3 * y - 2], dim=-1)
        return dist.MixtureSameFamily(weights, dist.Normal(locs, 1.0))

    def forward(self, y):
        return LabelwisePrior(self.given, y)


def bound_at_a_grid(ccvae, x, y):
    """Eq. (4) and (5) for one image and a decoder that ignores z, by sums over a grid of z_c^i."""
    q_z_c, q_z_style = (q.base_dist for q in ccvae.encoder(x))
    total = ccvae.decoder(torch.zeros(1, NUM_LABELS + 2)).log_prob(x).item()
    p_style = ccvae.style_prior().base_dist
    total -= torch.distributions.kl_divergence(q_z_style, p_style).sum().item()
    z = q_z_c.loc[0] + q_z_c.scale[0] * torch.linspace(-9, 9, 4001)[:, None]
    log_width = (z[1] - z[0]).log()
    log_q_z = dist.Normal(q_z_c.loc[0], q_z_c.scale[0]).log_prob(z) + log_width
    ones, p_y = torch.ones_like(z), ccvae.label_prior().base_dist
    q_y = ccvae.classifier(z).groups[0].distribution
    ells, logs = [], []
    for value in (0.0, 1.0):
        log_q = log_q_z + q_y.log_prob(value * ones)
        log_q_y_x = log_q.logsumexp(0)
        log_p = ccvae.conditional_prior.given(value * ones).log_prob(z) + log_width
        kl = ((log_q - log_q_y_x).exp() * (log_q - log_q_y_x - log_p)).sum(0)
        ells.append(p_y.log_prob(torch.tensor(value)) - kl)
        logs.append(log_q_y_x)
    ell, log_q_y_x = torch.stack(ells), torch.stack(logs)
    summed = (log_q_y_x.exp() * (ell - log_q_y_x)).sum(0)
    at_label = torch.where(y[0] == 1, ell[1], ell[0])
    return total + torch.where(y[0].isnan(), summed, at_label).sum().item()


@pytest.mark.parametrize("pattern", MISSING)
def test_a_prior_that_is_not_normal_is_evaluated_at_samples(ccvae, batch, pattern):
    blind(ccvae).conditional_prior = MixturePrior()
    x, y = batch[0], with_missing(batch[1], pattern)
    with torch.no_grad():
        expected = -sum(bound_at_a_grid(ccvae, x[i : i + 1], y[i : i + 1]) for i in range(BATCH))
    elbo = ExactCCVAE_ELBO(num_particles=100, vectorize_particles=True)
    assert_mean_close(lambda: elbo.loss(ccvae.model, ccvae.guide, x, y), expected, 100)


class NormalPrior(nn.Module):
    """Normals that are declared for both values of all labels by ``given`` alone."""

    def given(self, y):
        loc = (4 * y - 2) * torch.tensor([0.2, 0.6, 1.0])
        return dist.Normal(loc, torch.tensor([0.7, 1.0, 1.3]))

    def forward(self, y):
        return LabelwisePrior(self.given, y)


@pytest.mark.parametrize("pattern", MISSING)
def test_a_normal_prior_that_is_declared_by_its_values_alone_matches_a_grid(ccvae, batch, pattern):
    blind(ccvae).conditional_prior = NormalPrior()
    x, y = batch[0], with_missing(batch[1], pattern)
    with torch.no_grad():
        expected = -sum(bound_at_a_grid(ccvae, x[i : i + 1], y[i : i + 1]) for i in range(BATCH))
    actual = ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    assert actual == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("pattern", MISSING)
def test_any_pattern_of_missing_labels_matches_a_grid(ccvae, batch, pattern):
    x, y = batch[0], with_missing(batch[1], pattern)
    with torch.no_grad():
        images = [(x[i : i + 1], y[i : i + 1]) for i in range(BATCH)]
        expected = -sum(bound_at_a_grid(blind(ccvae), *image) for image in images)
    actual = ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, x, y)
    assert actual == pytest.approx(expected, abs=1e-5)


class JointClassifier(nn.Module):
    """A classifier in which every label sees all characteristics."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(NUM_LABELS, NUM_LABELS)

    def forward(self, z_c):
        return dist.Bernoulli(logits=self.linear(z_c)).to_event(1)


class CurvedClassifier(nn.Module):
    def forward(self, z_c):
        return dist.Bernoulli(logits=z_c**3).to_event(1)


class JointEncoder(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, x):
        q_z_c, q_z_style = self.encoder(x)
        loc, scale = q_z_c.base_dist.loc, q_z_c.base_dist.scale
        return dist.MultivariateNormal(loc, scale_tril=torch.diag_embed(scale)), q_z_style


class LabelDecoder(nn.Module):
    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, z, y):
        return self.decoder(z + y.sum(-1, keepdim=True))


@pytest.mark.parametrize("classifier", [JointClassifier, CurvedClassifier])
def test_a_classifier_that_declares_no_affine_labels_is_an_error(ccvae, batch, classifier):
    ccvae.classifier = classifier()
    with pytest.raises(
        NotFactorizedError,
        match=r"'y' of the guide is .*declares no slopes and offsets.*CCVAE_ELBO takes any",
    ):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)


def test_affine_labels_of_something_other_than_a_latent_are_an_error(ccvae, batch):
    affine = ccvae.classifier.forward
    ccvae.classifier.forward = lambda z_c: affine(z_c**3)
    with pytest.raises(NotFactorizedError, match=r"that no latent of the guide returned.*z_c"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)


def test_slopes_that_depend_on_the_latents_are_an_error(ccvae, batch):
    ccvae.classifier.forward = lambda z_c: AffineLabels(z_c, AffineBinary(z_c**2, 0 * z_c))
    with pytest.raises(NotFactorizedError, match="slopes of 'y' of the guide depend on 'z_c'"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)


def test_offsets_that_depend_on_the_latents_are_an_error(ccvae, batch):
    slope = torch.ones(NUM_LABELS)
    ccvae.classifier.forward = lambda z_c: AffineLabels(z_c, AffineBinary(slope, z_c**2))
    with pytest.raises(NotFactorizedError, match="offsets of 'y' of the guide depend on 'z_c'"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)


def test_a_posterior_that_is_joint_is_an_error(ccvae, batch):
    ccvae.encoder = JointEncoder(ccvae.encoder)
    with pytest.raises(NotFactorizedError, match=r"'z_c'.*MultivariateNormal.*CCVAE_ELBO"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)


def test_a_conditional_prior_that_declares_no_factors_is_an_error(ccvae, batch):
    def model(x, y=None):
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", ccvae.label_prior(), obs=y)
            prior = ccvae.conditional_prior(y).at_y.base_dist
            loc = prior.loc + y.sum(-1, keepdim=True)
            z_c = pyro.sample("z_c", dist.Normal(loc, prior.scale).to_event(1))
            z = torch.cat([z_c, pyro.sample("z_style", ccvae.style_prior())], -1)
            pyro.sample("x", ccvae.decoder(z), obs=x)

    with pytest.raises(
        NotFactorizedError,
        match=r"'z_c'.*declares no factor for each label.*LabelwisePrior.*CCVAE_ELBO",
    ):
        ExactCCVAE_ELBO().loss(model, ccvae.guide, *batch)


def test_an_image_that_depends_on_the_label_is_an_error(ccvae, batch):
    decoder = LabelDecoder(ccvae.decoder)

    def model(x, y=None):
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", ccvae.label_prior(), obs=y)
            z_c = pyro.sample("z_c", ccvae.conditional_prior(y))
            z = torch.cat([z_c, pyro.sample("z_style", ccvae.style_prior())], -1)
            pyro.sample("x", decoder(z, y), obs=x)

    with pytest.raises(NotFactorizedError, match=r"'x' of the model depends on 'y'.*CCVAE_ELBO"):
        ExactCCVAE_ELBO().loss(model, ccvae.guide, *batch)


def test_the_guide_may_sample_its_latents_in_any_order(ccvae, batch):
    class StyleFirst(CCVAE):
        def guide(self, x, y=None):
            with pyro.plate("data", len(x)):
                q_z_c, q_z_style = self.encoder(x)
                pyro.sample("z_style", q_z_style)
                z_c = pyro.sample("z_c", q_z_c)
                labeled = {"is_auxiliary": y is not None}
                pyro.sample("y", self.classifier(z_c), obs=y, infer=labeled)

    parts = (ccvae.encoder, ccvae.decoder, ccvae.classifier)
    parts += (ccvae.conditional_prior, ccvae.style_prior, ccvae.label_prior)
    other = StyleFirst(*parts)
    blind(ccvae)
    losses = [ExactCCVAE_ELBO().loss(m.model, m.guide, *batch) for m in (ccvae, other)]
    assert losses[0] == pytest.approx(losses[1])


def with_another(ccvae, q, obs=None):
    """The guide, with a site that the model does not have."""

    def guide(x, y):
        with pyro.plate("data", len(x)):
            q_z_c, q_z_style = ccvae.encoder(x)
            z_c = pyro.sample("z_c", q_z_c)
            pyro.sample("y", ccvae.classifier(z_c), obs=y, infer={"is_auxiliary": True})
            pyro.sample("z_style", q_z_style)
            pyro.sample("another", q, obs=obs, infer={"is_auxiliary": True})

    return guide


@pytest.mark.parametrize("elbo", [ExactCCVAE_ELBO(), CCVAE_ELBO()], ids=["exact", "paper"])
def test_a_latent_without_a_pathwise_gradient_is_an_error(ccvae, batch, elbo):
    """The same one for both objectives: neither sends to the other, as neither takes it."""
    guide = with_another(ccvae, dist.Bernoulli(torch.tensor(0.5)))
    with pytest.raises(ValueError, match=r"that have rsample, got 'another', Bernoulli") as error:
        elbo.loss(ccvae.model, guide, *batch)
    assert not isinstance(error.value, NotFactorizedError)
    assert "_ELBO" not in str(error.value)


def test_what_the_guide_observes_costs_its_log_density(ccvae, batch):
    """It is no latent: nothing is sampled, so that it needs no pathwise gradient."""
    logit = torch.tensor(0.3, requires_grad=True)
    value = torch.tensor([0.0, 1, 1, 0])
    q = dist.Bernoulli(logits=logit)
    guide = with_another(ccvae, q, obs=value)
    without = seeded(ExactCCVAE_ELBO().loss, ccvae.model, ccvae.guide, *batch)
    loss = seeded(ExactCCVAE_ELBO().differentiable_loss, ccvae.model, guide, *batch)
    assert_close(loss.item(), without + q.log_prob(value).sum().item())
    assert_close(torch.autograd.grad(loss, logit)[0], (value - q.probs).sum())


def test_what_guide_and_model_observe_costs_the_ratio_of_its_densities(ccvae, batch):
    value, p = torch.tensor([0.0, 1, 1, 0]), dist.Bernoulli(torch.tensor(0.2))
    q = dist.Bernoulli(torch.tensor(0.6))

    def model(x, y):
        ccvae.model(x, y)
        with pyro.plate("more", len(x)):
            pyro.sample("another", p, obs=value)

    without = seeded(ExactCCVAE_ELBO().loss, ccvae.model, ccvae.guide, *batch)
    loss = seeded(ExactCCVAE_ELBO().loss, model, with_another(ccvae, q, obs=value), *batch)
    assert_close(loss, without + (q.log_prob(value) - p.log_prob(value)).sum().item())


def test_an_auxiliary_latent_costs_its_log_density(ccvae, batch):
    q = dist.Normal(torch.tensor(0.0), torch.tensor(0.5))
    guide = with_another(blind(ccvae), q)
    loss = ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)
    losses = [ExactCCVAE_ELBO().loss(ccvae.model, guide, *batch) for _ in range(500)]
    assert sum(losses) / 500 == pytest.approx(loss - BATCH * q.entropy().item(), abs=0.4)
