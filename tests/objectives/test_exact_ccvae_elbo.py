"""The exact objective: quadrature, enumeration, the paper's estimate, and Pyro's contract."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import BATCH, NUM_LABELS, assert_mean_close, enumerated, make_ccvae, seeded
from pyro import poutine
from pyro.infer import SVI, TraceEnum_ELBO
from pyro.optim import Adam
from scipy.integrate import quad
from torch import nn
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.models.ccvae import CCVAE

NAN = math.nan
PATTERNS = {
    "labeled": [[0.0] * NUM_LABELS] * BATCH,
    "unlabeled": [[NAN] * NUM_LABELS] * BATCH,
    "partly": [[0, NAN, 0], [NAN, NAN, NAN], [0, 0, 0], [NAN, 0, 0]],
}


def masked(y, pattern):
    """The labels, missing where a pattern has NaN."""
    return y + torch.tensor(PATTERNS[pattern])


def blind(ccvae):
    """A decoder that does not look at z: the bound is then free of draws."""
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
    # l_i = sum_y q(y|x) (l_i(y) - log q(y|x)), for a row that is known but for one label
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


# Enumeration


@pytest.mark.parametrize("num_labels", [1, 2, 3, 4, 5, 6])
def test_the_papers_unlabeled_bound_and_gradient_are_those_of_enumeration(num_labels, batch):
    # At the same draw of z, to the last digits.
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
    draws = [loss_and_gradients(oracle, *enumerated(ccvae), parameters, x) for _ in range(200)]
    losses = torch.stack([loss for loss, _ in draws])
    gradients = torch.stack([torch.cat([g.flatten() for g in grads]) for _, grads in draws])
    assert_within_error(exact, losses)
    assert_within_error(torch.cat([g.flatten() for g in gradient]), gradients)


def assert_within_error(exact, draws):
    """To five standard errors of the mean, with a little for what is exact up to rounding."""
    error = 5 * draws.std(0) / len(draws) ** 0.5 + 1e-6
    assert ((draws.mean(0) - exact).abs() < 1.2 * error).all()


# The paper's estimate


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_papers_estimate_converges_to_it(ccvae, batch, pattern):
    x, y = batch[0], masked(batch[1], pattern)
    exact = ExactCCVAE_ELBO(num_particles=20_000, vectorize_particles=True)
    paper = CCVAE_ELBO(2_000, stop_gradient=False)
    expected = exact.loss(ccvae.model, ccvae.guide, x, y)
    assert_mean_close(lambda: paper.loss(ccvae.model, ccvae.guide, x, y), expected, 400)


def test_a_row_of_missing_labels_is_a_row_without(ccvae, batch):
    x, y = batch[0], masked(batch[1], "unlabeled")
    for elbo in (ExactCCVAE_ELBO(), CCVAE_ELBO()):
        parameters = list(ccvae.parameters())
        given = seeded(loss_and_gradients, elbo, ccvae.model, ccvae.guide, parameters, x, y)
        none = seeded(loss_and_gradients, elbo, ccvae.model, ccvae.guide, parameters, x)
        assert_close(given, none)


def test_rows_of_a_batch_add_up(ccvae, batch):
    # Labeled, unlabeled and partly labeled rows together are what they are on their own.
    x, y = batch[0], masked(batch[1], "partly")
    elbo = ExactCCVAE_ELBO(classification_weight=3.0)
    blind(ccvae)
    together = elbo.loss(ccvae.model, ccvae.guide, x, y)
    alone = [elbo.loss(ccvae.model, ccvae.guide, x[i : i + 1], y[i : i + 1]) for i in range(BATCH)]
    assert together == pytest.approx(sum(alone), abs=1e-5)


# The classification weight


def test_classification_weight_adds_log_q_of_the_known_labels(ccvae, batch):
    x, y = batch[0], masked(batch[1], "partly")
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


# Pyro's contract


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("vectorize", [False, True], ids=["loop", "vectorized"])
@pytest.mark.parametrize("num_particles", [1, 3])
def test_all_ways_to_the_loss_agree(ccvae, batch, pattern, num_particles, vectorize):
    args = (ccvae.model, ccvae.guide, batch[0], masked(batch[1], pattern))
    elbo = ExactCCVAE_ELBO(
        2.0, num_particles=num_particles, vectorize_particles=vectorize and num_particles > 1
    )
    loss = seeded(elbo.loss, *args)
    assert_close(seeded(elbo.loss_and_grads, *args), loss)
    assert_close(seeded(elbo.differentiable_loss, *args).item(), loss)
    assert_close(seeded(elbo(*args[:2]), *args[2:]).item(), loss)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_gradient_matches_finite_differences(ccvae, batch, pattern):
    args = (ccvae.model, ccvae.guide, batch[0], masked(batch[1], pattern))
    elbo = ExactCCVAE_ELBO(2.0)
    parameters = list(ccvae.parameters())
    _, gradients = seeded(loss_and_gradients, elbo, *args[:2], parameters, *args[2:])
    directions = [torch.randn_like(parameter) for parameter in parameters]
    losses = []
    for step in (1e-4, -2e-4):
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.data += step * direction
        losses.append(seeded(elbo.loss, *args))
    expected = (losses[0] - losses[1]) / 2e-4
    actual = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True)).item()
    assert actual == pytest.approx(expected, rel=1e-3)


def test_a_gradient_reaches_every_parameter(ccvae, batch):
    loss = ExactCCVAE_ELBO().differentiable_loss(ccvae.model, ccvae.guide, *batch)
    loss.backward()
    for name, parameter in ccvae.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("pattern", PATTERNS)
def test_is_linear_in_a_scale(ccvae, batch, pattern):
    args = (batch[0], masked(batch[1], pattern))
    elbo = ExactCCVAE_ELBO(2.0)
    scaled = (poutine.scale(part, scale=0.5) for part in (ccvae.model, ccvae.guide))
    plain = seeded(elbo.loss, ccvae.model, ccvae.guide, *args)
    assert seeded(elbo.loss, *scaled, *args) == pytest.approx(plain / 2)


def test_drives_svi(ccvae, batch):
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 0.01}), loss=ExactCCVAE_ELBO(5.0))
    x, y = batch
    losses = [svi.step(x, masked(y, "partly")) for _ in range(200)]
    assert sum(losses[-20:]) < sum(losses[:20])


def test_leaves_the_labels_as_they_were(ccvae, batch):
    y = masked(batch[1], "partly")
    before = y.clone()
    ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, batch[0], y)
    assert_close(y, before, equal_nan=True)


def test_a_value_that_is_no_label_is_an_error(ccvae, batch):
    with pytest.raises(ValueError, match="0, 1, or NaN"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, batch[0], batch[1] * 0.3)


# Other parts


class MixturePrior(nn.Module):
    """A prior without a formula for the divergence."""

    def forward(self, y):
        weights = dist.Categorical(torch.tensor([0.3, 0.7]))
        locs = torch.stack([2 * y - 1, 3 * y - 2], dim=-1)
        return dist.MixtureSameFamily(weights, dist.Normal(locs, 1.0)).to_event(1)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_prior_that_is_no_normal_is_scored_at_draws(ccvae, batch, pattern):
    blind(ccvae).conditional_prior = MixturePrior()
    x, y = batch[0], masked(batch[1], pattern)
    paper = CCVAE_ELBO(2_000, stop_gradient=False)
    exact = ExactCCVAE_ELBO()
    draws = torch.tensor([exact.loss(ccvae.model, ccvae.guide, x, y) for _ in range(400)])
    others = torch.tensor([paper.loss(ccvae.model, ccvae.guide, x, y) for _ in range(400)])
    error = 5 * ((draws.var() + others.var()) / 400) ** 0.5
    assert abs(draws.mean() - others.mean()) < error


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
def test_a_classifier_that_is_not_a_line_for_each_label_is_an_error(ccvae, batch, classifier):
    ccvae.classifier = classifier()
    with pytest.raises(NotFactorizedError, match=r"no line in its own z_c.*CCVAE_ELBO"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)


def test_a_posterior_that_is_joint_is_an_error(ccvae, batch):
    ccvae.encoder = JointEncoder(ccvae.encoder)
    with pytest.raises(NotFactorizedError, match=r"'z_c'.*MultivariateNormal.*CCVAE_ELBO"):
        ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)


def test_characteristics_that_mix_labels_in_the_last_image_alone_are_an_error(ccvae, batch):
    def model(x, y=None):
        with pyro.plate("data", len(x)):
            is_last = torch.arange(len(x))[:, None] == len(x) - 1
            y = pyro.sample("y", ccvae.label_prior(), obs=y)
            prior = ccvae.conditional_prior(y).at_y.base_dist
            loc = prior.loc + torch.where(is_last, y.sum(-1, keepdim=True), 0.0)
            z_c = pyro.sample("z_c", dist.Normal(loc, prior.scale).to_event(1))
            z = torch.cat([z_c, pyro.sample("z_style", ccvae.style_prior())], -1)
            pyro.sample("x", ccvae.decoder(z), obs=x)

    with pytest.raises(NotFactorizedError, match=r"'z_c'.*depend on others.*CCVAE_ELBO"):
        ExactCCVAE_ELBO().loss(model, ccvae.guide, *batch)


def test_an_image_that_depends_on_the_label_is_an_error(ccvae, batch):
    decoder = LabelDecoder(ccvae.decoder)

    def model(x, y=None):
        with pyro.plate("data", len(x)):
            y = pyro.sample("y", ccvae.label_prior(), obs=y)
            z_c = pyro.sample("z_c", ccvae.conditional_prior(y))
            z = torch.cat([z_c, pyro.sample("z_style", ccvae.style_prior())], -1)
            pyro.sample("x", decoder(z, y), obs=x)

    with pytest.raises(NotFactorizedError, match=r"'x'.*CCVAE_ELBO"):
        ExactCCVAE_ELBO().loss(model, ccvae.guide, *batch)


def test_is_of_a_ccvae_with_its_parts_in_any_order(ccvae, batch):
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


def with_another(ccvae, q):
    """The guide, with a latent that the model does not have."""

    def guide(x, y):
        with pyro.plate("data", len(x)):
            q_z_c, q_z_style = ccvae.encoder(x)
            z_c = pyro.sample("z_c", q_z_c)
            pyro.sample("y", ccvae.classifier(z_c), obs=y, infer={"is_auxiliary": True})
            pyro.sample("z_style", q_z_style)
            pyro.sample("another", q, infer={"is_auxiliary": True})

    return guide


def test_a_latent_without_a_pathwise_gradient_is_an_error(ccvae, batch):
    guide = with_another(ccvae, dist.Bernoulli(torch.tensor(0.5)))
    with pytest.raises(NotFactorizedError, match=r"'another'.*pathwise"):
        ExactCCVAE_ELBO().loss(ccvae.model, guide, *batch)


def test_an_auxiliary_latent_costs_its_log_density(ccvae, batch):
    q = dist.Normal(torch.tensor(0.0), torch.tensor(0.5))
    guide = with_another(blind(ccvae), q)
    loss = ExactCCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)
    draws = [ExactCCVAE_ELBO().loss(ccvae.model, guide, *batch) for _ in range(500)]
    assert sum(draws) / 500 == pytest.approx(loss - BATCH * q.entropy().item(), abs=0.4)
