"""The paper's objective: limits, oracles, its gradient, and guides of other forms."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import (
    BATCH,
    MIXED_LABEL_VECTORS,
    MIXED_LABELS,
    NUM_LABELS,
    NUM_PIXELS,
    assert_mean_close,
    enumerated,
    make_ccvae,
    make_mixed,
    seeded,
    with_missing,
)
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO
from pyro.optim import Adam
from torch.nn.functional import logsigmoid
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO
from ccvae_pyro.components import LaplaceDecoder
from ccvae_pyro.labels import block_of
from ccvae_pyro.objectives.ccvae_elbo import MarginalSamples


def run_guide(guide, batch, *options, **kwargs):
    """Runs a guide for an objective; returns its samples of labels and the trace outside."""
    samples = MarginalSamples(CCVAE_ELBO(*options, **kwargs), is_missing=False)
    trace = poutine.trace(samples(guide)).get_trace(*batch)
    return samples, trace


def gradients(elbo, ccvae, batch):
    ccvae.zero_grad()
    seeded(elbo.loss_and_grads, ccvae.model, ccvae.guide, *batch)
    return {name: p.grad.clone() for name, p in ccvae.named_parameters() if p.grad is not None}


# Limits


def test_is_the_plain_elbo_when_the_classifier_ignores_z_c(ccvae, batch):
    # Then the weight is 1, and log q(y|z_c) cancels log q(y|x).
    torch.nn.init.zeros_(ccvae.classifier.weight)
    elbo = CCVAE_ELBO(num_label_samples=1)
    x, y = batch
    actual = seeded(elbo.loss, ccvae.model, ccvae.guide, x, y)

    pyro.set_rng_seed(1)
    q_z_c, q_z_style = ccvae.encoder(x)
    q_z_c.rsample((1,))  # for q(y|x)
    z_c, z_style = q_z_c.rsample(), q_z_style.rsample()
    log_p = ccvae.label_prior().log_prob(y) + ccvae.conditional_prior(y).log_prob(z_c)
    log_p += ccvae.style_prior().log_prob(z_style)
    log_p += ccvae.decoder(torch.cat([z_c, z_style], -1)).log_prob(x)
    log_q = q_z_c.log_prob(z_c) + q_z_style.log_prob(z_style)
    assert_close(actual, -(log_p - log_q).sum().item())


def test_is_the_plain_elbo_when_the_marginal_is_estimated_from_its_sample_alone(ccvae, batch):
    # Then q(y|x) is estimated by q(y|z_c) itself: the weight is 1, and the two cancel again.
    elbo = CCVAE_ELBO(num_label_samples=1, share_sample=True, stop_gradient=False)
    guide_without_y = poutine.block(ccvae.guide, hide=["y"])
    actual = seeded(elbo.loss, ccvae.model, ccvae.guide, *batch)
    expected = seeded(Trace_ELBO().loss, ccvae.model, guide_without_y, *batch)
    assert_close(actual, expected)


def test_weight_averages_to_one(ccvae, batch):
    samples, _ = run_guide(ccvae.guide, batch, 50_000, share_sample=True)
    x, y = batch
    z_c = ccvae.encoder(x)[0].sample((50_000,))
    weight = (ccvae.classifier(z_c).log_prob(y) - samples.log_q_y(y.shape[:1])[2]).exp()
    assert_close(weight.mean(0), torch.ones(BATCH), atol=0.05, rtol=0)


# Oracles


@pytest.mark.parametrize("share_sample", [False, True], ids=["apart", "shared"])
@pytest.mark.parametrize("classification_weight", [0.0, 7.0])
def test_is_equation_4_written_out(ccvae, batch, share_sample, classification_weight):
    num_samples = 5
    elbo = CCVAE_ELBO(
        num_samples, share_sample=share_sample, classification_weight=classification_weight
    )
    actual = seeded(elbo.loss, ccvae.model, ccvae.guide, *batch)

    x, y = batch
    pyro.set_rng_seed(1)
    q_z_c, q_z_style = ccvae.encoder(x)
    further = q_z_c.rsample((num_samples - share_sample,))
    z_c, z_style = q_z_c.rsample(), q_z_style.rsample()
    averaged = [z_c, *further] if share_sample else further
    q_y_x = sum(ccvae.classifier(z).log_prob(y).exp() for z in averaged) / num_samples
    q_y_z = ccvae.classifier(z_c).log_prob(y).exp()
    log_p_x = ccvae.decoder(torch.cat([z_c, z_style], -1)).log_prob(x)
    log_p_z = ccvae.conditional_prior(y).log_prob(z_c) + ccvae.style_prior().log_prob(z_style)
    log_q_z = q_z_c.log_prob(z_c) + q_z_style.log_prob(z_style)
    bound = q_y_z / q_y_x * (log_p_x + log_p_z - q_y_z.log() - log_q_z)
    bound = bound + (1 + classification_weight) * q_y_x.log() + ccvae.label_prior().log_prob(y)
    assert_close(actual, -bound.sum().item())


def test_log_q_y_x_matches_quadrature(ccvae, batch):
    x, y = batch
    samples, _ = run_guide(ccvae.guide, batch, 20_000)

    noise = torch.linspace(-9, 9, 1001)
    log_density = -(noise**2 + math.log(2 * math.pi)) / 2
    q_z_c = ccvae.encoder(x)[0].base_dist
    z_c = q_z_c.loc[..., None] + q_z_c.scale[..., None] * noise  # (batch, num_labels, grid)
    weight, bias = ccvae.classifier.weight[:, None], ccvae.classifier.bias[:, None]
    log_q_y_z = logsigmoid((2 * y[..., None] - 1) * (weight * z_c + bias))
    expected = torch.trapezoid((log_q_y_z + log_density).exp(), noise).log().sum(-1)
    assert_close(samples.log_q_y(y.shape[:1])[2], expected, atol=0.03, rtol=0)


def test_unlabeled_loss_averages_to_that_of_enumeration(ccvae, batch):
    x, _ = batch
    elbo = CCVAE_ELBO(num_label_samples=1, num_particles=500, vectorize_particles=True)
    with torch.no_grad():
        expected = _enumerated_loss(ccvae, x, ccvae.encoder(x)[0].sample((20_000,))).mean()
    assert_mean_close(lambda: elbo.loss(ccvae.model, ccvae.guide, x), expected)


def _enumerated_loss(ccvae, x, z_c):
    """Minus the unlabeled bound, Eq. (5), with the sum over y carried out for one sample of z."""
    q_z_c, q_z_style = ccvae.encoder(x)
    z_style = q_z_style.sample(z_c.shape[:-2])
    log_ratio = ccvae.decoder(torch.cat([z_c, z_style], -1)).log_prob(x)
    log_ratio += ccvae.style_prior().log_prob(z_style)
    log_ratio -= q_z_c.log_prob(z_c) + q_z_style.log_prob(z_style)
    for y in torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * NUM_LABELS):
        y = y.expand_as(z_c)
        log_q_y = ccvae.classifier(z_c).log_prob(y)
        log_p = ccvae.label_prior().log_prob(y) + ccvae.conditional_prior(y).log_prob(z_c)
        log_ratio = log_ratio + log_q_y.exp() * (log_p - log_q_y)
    return -log_ratio.sum(-1)


# The stopped gradient


def test_stopping_the_gradient_leaves_the_value(ccvae, batch):
    stopped, unstopped = (
        seeded(CCVAE_ELBO(9, stop_gradient=stop).loss, ccvae.model, ccvae.guide, *batch)
        for stop in (True, False)
    )
    assert_close(stopped, unstopped)


def test_stopped_gradient_is_that_of_z_detached_inside_q_y_z(ccvae, batch):
    actual = gradients(CCVAE_ELBO(num_label_samples=5), ccvae, batch)

    x, y = batch
    ccvae.zero_grad()
    pyro.set_rng_seed(1)
    q_z_c, q_z_style = ccvae.encoder(x)
    further = q_z_c.rsample((5,))
    z_c, z_style = q_z_c.rsample(), q_z_style.rsample()
    log_q_y_z = ccvae.classifier(z_c.detach()).log_prob(y)
    log_q_y_x = ccvae.classifier(further).log_prob(y).logsumexp(0) - math.log(5)
    log_ratio = ccvae.decoder(torch.cat([z_c, z_style], -1)).log_prob(x)
    log_ratio = log_ratio + ccvae.conditional_prior(y).log_prob(z_c) - q_z_c.log_prob(z_c)
    log_ratio = log_ratio + ccvae.style_prior().log_prob(z_style) - q_z_style.log_prob(z_style)
    weight = (log_q_y_z - log_q_y_x).exp()
    (-(weight * (log_ratio - log_q_y_z) + log_q_y_x).sum()).backward()
    for name, parameter in ccvae.named_parameters():
        assert_close(actual[name], parameter.grad)


def test_the_unlabeled_stopped_gradient_does_not_reach_the_encoder_through_the_classifier(ccvae):
    # With the prior flat in z and the decoder blind to it, only q(y|z_c) could tell z_c anything.
    x = torch.rand(BATCH, 8)
    noise = torch.randn(BATCH, NUM_LABELS, requires_grad=True)

    def model(x):
        with pyro.plate("data", len(x)):
            pyro.sample("z_c", dist.Normal(torch.zeros(NUM_LABELS), 1).to_event(1).mask(False))
            pyro.sample("y", ccvae.label_prior())

    def guide(x):
        with pyro.plate("data", len(x)):
            z_c = pyro.sample("z_c", dist.Delta(noise, event_dim=1))
            pyro.sample("y", ccvae.classifier(z_c))

    CCVAE_ELBO(3).differentiable_loss(model, guide, x).backward()
    assert_close(noise.grad, torch.zeros_like(noise))
    CCVAE_ELBO(3, stop_gradient=False).differentiable_loss(model, guide, x).backward()
    assert noise.grad.abs().min() > 0


# Batches


def test_subsampling_estimates_the_loss_of_all_images(ccvae):
    x, y = torch.rand(40, 8), torch.randint(2, (40, NUM_LABELS)).double()

    def model(x, y):
        with pyro.plate("rows", 40, subsample_size=10) as rows:
            pyro.sample("y", ccvae.label_prior(), obs=y[rows])
            z_c = pyro.sample("z_c", ccvae.conditional_prior(y[rows]))
            z_style = pyro.sample("z_style", ccvae.style_prior())
            pyro.sample("x", ccvae.decoder(torch.cat([z_c, z_style], -1)), obs=x[rows])

    def guide(x, y):
        with pyro.plate("rows", 40, subsample_size=10) as rows:
            q_z_c, q_z_style = ccvae.encoder(x[rows])
            z_c = pyro.sample("z_c", q_z_c)
            pyro.sample("z_style", q_z_style)
            q_y = ccvae.classifier(z_c)
            pyro.sample("y", q_y, obs=y[rows], infer={"is_auxiliary": True})

    elbo = CCVAE_ELBO(10)
    full = CCVAE_ELBO(10, num_particles=500, vectorize_particles=True)
    expected = full.loss(ccvae.model, ccvae.guide, x, y)
    assert_mean_close(lambda: elbo.loss(model, guide, x, y), expected, 500)


def test_one_svi_takes_labeled_and_unlabeled_batches(ccvae, batch):
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-2}), loss=CCVAE_ELBO())
    losses = [svi.step(*batch) + svi.step(batch[0]) for _ in range(150)]
    assert sum(losses[-20:]) < sum(losses[:20])


def test_the_trace_has_the_sample_of_the_elbo_alone(ccvae, batch):
    _, trace = run_guide(ccvae.guide, batch)
    shapes = {name: tuple(trace.nodes[name]["fn"].batch_shape) for name in ("z_c", "z_style")}
    assert shapes == dict.fromkeys(shapes, (BATCH,))
    assert trace.nodes["z_c"]["value"].shape == (BATCH, NUM_LABELS)
    assert trace.nodes["z_c"]["value"].requires_grad


def test_rejects_a_number_of_samples_that_is_not_positive():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        CCVAE_ELBO(num_label_samples=0)


# Other guides


def _chain_guide(ccvae):
    """A guide whose style depends on the characteristics, sampled after the label."""
    mix = torch.nn.Linear(NUM_LABELS, 2)

    def guide(x, y=None):
        pyro.module("mix", mix)
        with pyro.plate("data", len(x)):
            q_z_c, q_z_style = ccvae.encoder(x)
            z_c = pyro.sample("z_c", q_z_c)
            is_labeled = y is not None
            pyro.sample("y", ccvae.classifier(z_c), obs=y, infer={"is_auxiliary": is_labeled})
            loc = q_z_style.base_dist.loc + mix(z_c)
            pyro.sample("z_style", dist.Normal(loc, q_z_style.base_dist.scale).to_event(1))

    return guide, mix


def test_a_guide_may_let_style_depend_on_the_characteristics(ccvae, batch):
    guide, mix = _chain_guide(ccvae)
    kwargs = {"num_particles": 200, "vectorize_particles": True, "max_plate_nesting": 1}
    elbo = CCVAE_ELBO(1, share_sample=True, stop_gradient=False, **kwargs)
    kwargs["num_particles"] = 20_000
    plain = Trace_ELBO(**kwargs).loss(ccvae.model, poutine.block(guide, hide=["y"]), *batch)
    assert_mean_close(lambda: elbo.loss(ccvae.model, guide, *batch), plain)
    CCVAE_ELBO().loss_and_grads(ccvae.model, guide, *batch)
    assert mix.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("stop_gradient", [True, False], ids=["stopped", "paper-true-gradient"])
def test_a_label_may_depend_on_a_chain_of_latents(ccvae, batch, stop_gradient):
    # One sample, which is shared: q(y|x) is then q(y|z) at the sample of the ELBO alone.
    def guide(x, y):
        with pyro.plate("data", len(x)):
            z_c = pyro.sample("z_c", ccvae.encoder(x)[0])
            z_style = pyro.sample("z_style", dist.Normal(z_c[..., :2], 1.0).to_event(1))
            q_y = ccvae.classifier(z_c + z_style.sum(-1, keepdim=True))
            pyro.sample("y", q_y, obs=y, infer={"is_auxiliary": True})

    samples, trace = run_guide(guide, batch, 1, stop_gradient=stop_gradient, share_sample=True)
    values = {name: trace.nodes[name]["value"] for name in ("z_c", "z_style")}
    q_y = ccvae.classifier(values["z_c"] + values["z_style"].sum(-1, keepdim=True))
    with_gradient, stopped, of_marginal = samples.log_q_y(batch[1].shape[:1])
    for log_prob, reaches in [
        (with_gradient, True),
        (stopped, not stop_gradient),
        (of_marginal, True),
    ]:
        assert_close(log_prob, q_y.log_prob(batch[1]))
        ccvae.zero_grad()
        log_prob.sum().backward(retain_graph=True)
        gradient = ccvae.encoder.features[0].weight.grad
        assert (gradient is not None and bool(gradient.abs().sum() > 0)) == reaches


def test_a_guide_may_classify_the_image_itself(ccvae, batch):
    # q(y|x) is then known: the weight is 1.
    logits = torch.randn(BATCH, NUM_LABELS)

    def guide(x, y):
        with pyro.plate("data", len(x)):
            q_z_c, q_z_style = ccvae.encoder(x)
            pyro.sample("z_c", q_z_c)
            q_y = dist.Bernoulli(logits=logits).to_event(1)
            pyro.sample("y", q_y, obs=y, infer={"is_auxiliary": True})
            pyro.sample("z_style", q_z_style)

    actual = seeded(CCVAE_ELBO(1, stop_gradient=False).loss, ccvae.model, guide, *batch)
    pyro.set_rng_seed(1)
    q_z_c, q_z_style = ccvae.encoder(batch[0])
    q_z_c.rsample((1,))
    values = {"z_c": q_z_c.rsample(), "z_style": q_z_style.rsample()}
    log_p = poutine.trace(poutine.condition(ccvae.model, values)).get_trace(*batch).log_prob_sum()
    log_q = q_z_c.log_prob(values["z_c"]) + q_z_style.log_prob(values["z_style"])
    assert_close(actual, -(log_p - log_q.sum()).item())


def test_a_latent_without_a_pathwise_gradient_is_an_error(ccvae, batch):
    def model(x, y=None):
        ccvae.model(x, y)
        with pyro.plate("more", len(x)):
            pyro.sample("count", dist.Poisson(1.0))

    def guide(x, y=None):
        ccvae.guide(x, y)
        with pyro.plate("more", len(x)):
            pyro.sample("count", dist.Poisson(2.0))

    with pytest.raises(ValueError, match=r"that have rsample, got 'count', Poisson"):
        CCVAE_ELBO().loss(model, guide, *batch)


def test_a_latent_outside_of_the_label_plate_is_an_error(ccvae, batch):
    def model(x, y):
        pyro.sample("shift", dist.Normal(0.0, 1.0))
        ccvae.model(x, y)

    def guide(x, y):
        pyro.sample("shift", dist.Normal(0.5, 0.1))
        ccvae.guide(x, y)

    with pytest.raises(ValueError, match=r"'shift', of shape .*, is outside of the plates of 'y'"):
        CCVAE_ELBO().loss(model, guide, *batch)


def test_a_flow_guide_trains(ccvae, batch):
    flow = dist.transforms.planar(NUM_LABELS)

    def guide(x, y=None):
        pyro.module("flow", flow)
        with pyro.plate("data", len(x)):
            q_z_c, q_z_style = ccvae.encoder(x)
            q_z_c = dist.TransformedDistribution(q_z_c.base_dist, [flow])
            z_c = pyro.sample("z_c", q_z_c)
            is_labeled = y is not None
            pyro.sample("y", ccvae.classifier(z_c), obs=y, infer={"is_auxiliary": is_labeled})
            pyro.sample("z_style", q_z_style)

    svi = SVI(ccvae.model, guide, Adam({"lr": 1e-2}), loss=CCVAE_ELBO(10))
    before = flow.u.clone()
    losses = [svi.step(*batch) for _ in range(100)]
    assert sum(losses[-20:]) < sum(losses[:20])
    assert not torch.equal(flow.u, before)


def test_two_models_train_in_turn(batch):
    first, second = make_ccvae(), make_ccvae()
    svis = [SVI(m.model, m.guide, Adam({"lr": 1e-2}), loss=CCVAE_ELBO()) for m in (first, second)]
    for order in (svis, svis[::-1]):
        before = [p.clone() for m in (first, second) for p in m.parameters()]
        for svi in order:
            svi.step(*batch)
        after = [p for m in (first, second) for p in m.parameters()]
        assert not any(torch.equal(p, q) for p, q in zip(before, after, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trains_on_cuda(ccvae, batch):
    ccvae = ccvae.cuda()
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-2}), loss=CCVAE_ELBO())
    batch = [tensor.cuda() for tensor in batch]
    losses = [svi.step(*batch) + svi.step(batch[0]) for _ in range(100)]
    assert sum(losses[-20:]) < sum(losses[:20])


def test_enumeration_oracle_is_that_of_pyro(ccvae, batch):
    # The oracle above, held against TraceEnum_ELBO at the same sample of z.
    x, _ = batch

    actual = seeded(TraceEnum_ELBO(max_plate_nesting=1).loss, *enumerated(ccvae), x)
    pyro.set_rng_seed(1)
    with torch.no_grad():
        expected = _enumerated_loss(ccvae, x, ccvae.encoder(x)[0].sample())
    assert_close(actual, expected.item())


class JointPrior(torch.nn.Module):
    """Characteristics that depend on all labels together."""

    def forward(self, y):
        loc = y + y.sum(-1, keepdim=True)
        return dist.MultivariateNormal(loc, torch.eye(NUM_LABELS))


def test_labels_that_cannot_be_summed_out_are_sampled(ccvae, batch):
    ccvae.conditional_prior = JointPrior()
    sampled, summed_if_possible = CCVAE_ELBO(sum_labels=False), CCVAE_ELBO()
    expected = [sampled.loss(ccvae.model, ccvae.guide, batch[0]) for _ in range(400)]
    actual = [summed_if_possible.loss(ccvae.model, ccvae.guide, batch[0]) for _ in range(400)]
    error = 5 * (torch.tensor(actual + expected).std() / 200**0.5).item()
    assert abs(sum(actual) - sum(expected)) / 400 < error


def test_labels_that_latents_of_the_guide_depend_on_are_sampled(ccvae, batch):
    def guide(x, y=None):
        with pyro.plate("data", len(x)):
            q_z_c, q_z_style = ccvae.encoder(x)
            y = pyro.sample("y", ccvae.classifier(pyro.sample("z_c", q_z_c)))
            loc = q_z_style.base_dist.loc + y.sum(-1, keepdim=True)
            pyro.sample("z_style", dist.Normal(loc, 1.0).to_event(1))

    options = {"num_particles": 3_000, "vectorize_particles": True, "max_plate_nesting": 1}
    expected = Trace_ELBO(**options).loss(ccvae.model, guide, batch[0])
    elbo = CCVAE_ELBO(num_particles=50, vectorize_particles=True)
    assert_mean_close(lambda: elbo.loss(ccvae.model, guide, batch[0]), expected, 100)


@pytest.mark.parametrize("conditional_prior", [JointPrior(), None], ids=["joint", "labelwise"])
def test_a_label_vector_that_is_missing_in_part_is_an_error(ccvae, batch, conditional_prior):
    if conditional_prior is not None:
        ccvae.conditional_prior = conditional_prior
    batch[1][0, 1] = torch.nan
    with pytest.raises(
        ValueError, match=r"single labels .* are missing.*ExactCCVAE_ELBO takes single missing"
    ):
        CCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)


@pytest.mark.parametrize("sum_labels", [True, False], ids=["summed", "sampled"])
def test_images_of_a_batch_add_up(ccvae, batch, sum_labels):
    """Labeled and unlabeled images together are what they are in batches of their own."""
    is_missing = torch.tensor([False, True, False, True])
    x, y = batch[0], batch[1].masked_fill(is_missing[:, None], torch.nan)
    options = {"num_particles": 3_000, "vectorize_particles": True, "sum_labels": sum_labels}
    elbo = CCVAE_ELBO(5, **options)
    apart = elbo.loss(ccvae.model, ccvae.guide, x[~is_missing], y[~is_missing])
    apart += elbo.loss(ccvae.model, ccvae.guide, x[is_missing])
    one = CCVAE_ELBO(5, num_particles=10, sum_labels=sum_labels)
    assert_mean_close(lambda: one.loss(ccvae.model, ccvae.guide, x, y), apart, 60)


def test_the_sum_is_the_mean_of_the_score_functions_gradient(ccvae, batch):
    def gradient(elbo):
        loss = elbo.differentiable_loss(ccvae.model, ccvae.guide, batch[0])
        return torch.autograd.grad(loss, ccvae.classifier.bias)[0]

    options = {"num_label_samples": 1, "stop_gradient": False}
    summed = torch.stack([gradient(CCVAE_ELBO(**options)) for _ in range(500)])
    sampled = torch.stack(
        [gradient(CCVAE_ELBO(**options, sum_labels=False)) for _ in range(3_000)]
    )
    error = 5 * (summed.var(0) / 500 + sampled.var(0) / 3_000).sqrt()
    assert ((summed.mean(0) - sampled.mean(0)).abs() < error).all()
    assert (summed.var(0) < sampled.var(0) / 10).all()


# The hidden classification weight


class Constant(torch.nn.Module):
    """A network whose output does not depend on its input."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, z):
        return self.output


@pytest.fixture
def fitted(ccvae, batch):
    """A model whose decoder fits the images so well that their density is far above 1."""
    ccvae.decoder = LaplaceDecoder(Constant(batch[0].logit()), scale=0.005, event_dim=1)
    return ccvae


@pytest.mark.parametrize("pattern", ["labeled", "mixed"])
def test_warns_once_that_the_hidden_classification_weight_is_negative(fitted, batch, pattern):
    elbo, y = CCVAE_ELBO(), with_missing(batch[1], pattern)
    with pytest.warns(UserWarning, match=r"is negative .*stop_gradient=False.*classification_w"):
        elbo.loss(fitted.model, fitted.guide, batch[0], y)
    elbo.loss(fitted.model, fitted.guide, batch[0], y)  # a second warning would be an error


@pytest.mark.parametrize(
    "options", [{"stop_gradient": False}, {"classification_weight": 100.0}], ids=str
)
def test_does_not_warn_of_labels_that_are_learned(fitted, batch, options):
    CCVAE_ELBO(**options).loss(fitted.model, fitted.guide, *batch)


def test_does_not_warn_of_images_whose_density_is_small(ccvae, batch):
    CCVAE_ELBO().loss(ccvae.model, ccvae.guide, *batch)


def test_does_not_warn_where_all_labels_are_missing(fitted, batch):
    CCVAE_ELBO().loss(fitted.model, fitted.guide, batch[0])


def test_a_negative_hidden_weight_unlearns_the_labels(fitted, batch):
    """What the stopped gradient adds to the true one makes the labels less likely."""

    def gradient(elbo):
        loss = elbo.differentiable_loss(fitted.model, fitted.guide, *batch)
        return torch.autograd.grad(loss, fitted.encoder.features[-1].bias)[0][:NUM_LABELS]

    x, y = batch
    q_z_c = fitted.encoder(x)[0]
    log_q = fitted.classifier(q_z_c.rsample((1_000,))).log_prob(y)
    log_q_y_x = (log_q.logsumexp(0) - math.log(1_000)).sum()
    uphill = torch.autograd.grad(log_q_y_x, fitted.encoder.features[-1].bias)[0][:NUM_LABELS]
    true = CCVAE_ELBO(1_000, stop_gradient=False)
    with pytest.warns(UserWarning, match="is negative"):
        hidden = gradient(CCVAE_ELBO(1_000)) - gradient(true)
    assert (hidden * uphill).sum() > 0  # the loss rises with log q(y|x)


# Labels of all kinds, summed out


@pytest.mark.parametrize("stop_gradient", [True, False], ids=["paper", "paper-true-gradient"])
def test_missing_labels_of_all_kinds_are_summed_out_as_on_a_grid(stop_gradient):
    ccvae, x = make_mixed(), torch.rand(BATCH, NUM_PIXELS)
    elbo = CCVAE_ELBO(stop_gradient=stop_gradient)
    actual = seeded(elbo.loss, ccvae.model, ccvae.guide, x)

    pyro.set_rng_seed(1)
    q_z_c, q_z_style = ccvae.encoder(x)
    z_c = q_z_c.rsample()
    ccvae.classifier(z_c).sample()  # labels that are summed out have values in the model
    z_style = q_z_style.rsample()
    bound = ccvae.decoder(torch.cat([z_c, z_style], -1)).log_prob(x)
    bound = bound + ccvae.style_prior().log_prob(z_style)
    bound = bound - q_z_c.log_prob(z_c) - q_z_style.log_prob(z_style)
    for index in range(len(MIXED_LABELS)):
        bound = bound + expected_terms(ccvae, index, z_c)
    assert_close(actual, -bound.sum().item(), rtol=1e-6, atol=0)


def expected_terms(ccvae, index, z_c):
    """The terms of one label, by a sum over its classes or over a grid of its values."""
    label, y = MIXED_LABELS[index], torch.tensor(MIXED_LABEL_VECTORS)
    values, width = torch.arange(float(len(label.classes))), 1.0
    if not label.classes:
        values = torch.linspace(-170, 230, 8_001)
        width = (values[1] - values[0]).item()
    y = y.expand(len(values), -1, -1).clone()
    y[..., index] = values[:, None]
    of_label = [
        group.distribution.log_prob(group.labels(y))[..., _column(group, index)]
        for fn in (ccvae.classifier(z_c), ccvae.label_prior())
        for group in fn.groups
        if index in group.columns.tolist()
    ]
    log_q, log_p_y = of_label
    block = block_of(MIXED_LABELS, index)
    log_p_z = ccvae.conditional_prior(y).at_y.base_dist.log_prob(z_c)[..., block].sum(-1)
    return (log_q.exp() * (log_p_y + log_p_z - log_q)).sum(0) * width


def _column(group, index):
    return group.columns.tolist().index(index)


def test_missing_labels_of_all_kinds_are_summed_out_as_samples_average():
    ccvae, x = make_mixed(ignores_z=True), torch.rand(BATCH, NUM_PIXELS)
    particles = {"num_particles": 3_000, "vectorize_particles": True}
    summed = CCVAE_ELBO(**particles).loss(ccvae.model, ccvae.guide, x)
    sampled = CCVAE_ELBO(sum_labels=False, num_particles=100, vectorize_particles=True)
    assert_mean_close(lambda: sampled.loss(ccvae.model, ccvae.guide, x), summed, 100)
