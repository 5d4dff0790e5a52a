"""The baselines: their limits, and their methods."""

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import BATCH, NUM_LABELS, NUM_PIXELS, NUM_STYLE, make_ccvae, seeded
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO
from pyro.optim import Adam
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro import CCVAE_ELBO, Binary, Categorical, models, networks
from ccvae_pyro import components as distributions
from ccvae_pyro import components as parts
from ccvae_pyro.components import label_modules
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.distributions import FusedNormal
from ccvae_pyro.distributions.partially_observed import PartiallyObserved
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.evaluation.importance import log_p_x
from ccvae_pyro.models import baselines
from ccvae_pyro.objectives import baseline_elbos

KINDS = {
    "binary": [Binary("Hat", 0.3), Binary("Beard", 0.6)],
    "classes": [Categorical("Hair", ("black", "blond", "red"), (0.5, 0.3, 0.2))],
    "both": [Binary("Hat", 0.3), Categorical("Hair", ("black", "blond", "red"))],
}
Z_DIM = 3


def given_labels(labels, num_pixels=NUM_PIXELS, z_dim=Z_DIM):
    size = parts.LabelCode(labels).num_features
    encoder = parts.ConditionalEncoder(
        networks.mlp(num_pixels, 6, hidden=16), networks.mlp(6 + size, 2 * z_dim, hidden=16), z_dim
    )
    return encoder, distributions.StandardNormal(z_dim), z_dim + size


def classifier(labels, num_features):
    size = parts.LabelHead(labels).num_features
    return parts.NetworkClassifier(networks.mlp(num_features, size, hidden=16), labels)


def decoder(z_dim):
    return distributions.LaplaceDecoder(networks.mlp(z_dim, NUM_PIXELS, hidden=16), event_dim=1)


def make_vae(labels=KINDS["binary"]):
    encoder = networks.mlp(NUM_PIXELS, 2 * Z_DIM, hidden=16)
    return baselines.VAE(
        distributions.GaussianEncoder(encoder, (Z_DIM,)),
        decoder(Z_DIM),
        distributions.StandardNormal(Z_DIM),
        labels,
    )


def make_m2(labels, num_pixels=NUM_PIXELS, of_images=decoder):
    encoder, prior, size = given_labels(labels, num_pixels)
    label_prior = label_modules(labels).label_prior
    read = classifier(labels, num_pixels)
    return baselines.M2(read, encoder, of_images(size), prior, label_prior, labels)


def make_m1_m2(labels):
    def of_latents(z_dim):
        return distributions.GaussianDecoder(networks.mlp(z_dim, 2 * Z_DIM, hidden=16))

    return baselines.M1M2(make_vae(labels), make_m2(labels, Z_DIM, of_latents))


def make_mvae(labels):
    vae = make_vae(labels)
    experts = parts.LabelExperts(labels, Z_DIM)
    return baselines.MVAE(
        vae.encoder, vae.decoder, experts, classifier(labels, Z_DIM), vae.prior, labels
    )


def make_diva(beta=1.0):
    ccvae = make_ccvae()
    return baselines.DIVA(
        ccvae.encoder,
        ccvae.decoder,
        ccvae.classifier,
        ccvae.conditional_prior,
        ccvae.style_prior,
        ccvae.label_prior,
        ccvae.labels,
        beta=beta,
    )


@pytest.fixture
def x():
    return torch.rand(BATCH, NUM_PIXELS)


def some_labels(labels):
    """Label vectors, all known."""
    return label_modules(labels).label_prior().sample((BATCH,)).to(torch.get_default_dtype())


# M2


def enumerated_by_hand(m2):
    """M2 with a site for each label, all of them missing, for Pyro to enumerate."""

    def sites(q_y, infer):
        columns = []
        for i, label in enumerate(m2.labels):
            one = q_y.groups[i].distribution if hasattr(q_y, "groups") else q_y.base_dist
            if isinstance(label, Categorical):
                fn = dist.Categorical(logits=one.logits[..., 0, :])
            else:
                fn = dist.Bernoulli(logits=one.logits[..., i])
            columns.append(pyro.sample(f"y_{i}", fn, infer=infer).to(torch.get_default_dtype()))
        return torch.stack(torch.broadcast_tensors(*columns), dim=-1)

    def guide(x):
        with pyro.plate("data", len(x)):
            y = sites(m2.classifier(x), {"enumerate": "parallel"})
            pyro.sample("z", m2.encoder(x, m2.code(y)))

    def model(x):
        with pyro.plate("data", len(x)):
            y = sites(m2.label_prior().expand([len(x)]), {})
            z = pyro.sample("z", m2.prior())
            pyro.sample("x", m2.decoder(parts.join(m2.code(y), z)), obs=x)

    return model, guide


def with_mean_samples(function, *args):
    """Calls a function while every Normal samples its mean."""
    with pytest.MonkeyPatch.context() as patches:
        for kind in (dist.Normal, FusedNormal):
            patches.setattr(
                kind,
                "rsample",
                lambda self, shape=(): self.loc.expand(self._extended_shape(shape)),
            )
        return function(*args)


@pytest.mark.parametrize("kind", KINDS)
def test_m2_without_labels_is_enumerated(kind, x):
    m2 = make_m2(KINDS[kind])
    actual = with_mean_samples(baseline_elbos.M2_ELBO().loss, m2.model, m2.guide, x)
    by_hand = enumerated_by_hand(m2)
    expected = with_mean_samples(TraceEnum_ELBO(max_plate_nesting=1).loss, *by_hand, x)
    assert_close(actual, expected)


def test_m2_sums_over_the_labels_of_an_image_that_are_missing(x):
    m2 = make_m2(KINDS["both"])
    y = torch.tensor([[1.0, torch.nan]]).repeat(BATCH, 1)
    actual = with_mean_samples(baseline_elbos.M2_ELBO().loss, m2.model, m2.guide, x, y)
    model, guide = enumerated_by_hand(m2)
    known = {"y_0": torch.ones(BATCH)}
    by_hand = (
        pyro.condition(model, known),
        pyro.poutine.block(pyro.condition(guide, known), hide=["y_0"]),
    )
    expected = with_mean_samples(TraceEnum_ELBO(max_plate_nesting=1).loss, *by_hand, x)
    assert_close(actual, expected)


class Constant(torch.nn.Module):
    """A component that ignores some of its arguments."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def test_m2_with_all_labels_is_a_ccvae_whose_labels_are_independent_of_the_image(batch):
    x, y = batch
    ccvae, alpha = make_ccvae(), 7.0
    prior, classifier = ccvae.conditional_prior, ccvae.classifier
    for loc, raw_scale in (
        (prior.loc_false, prior.raw_scale_false),
        (prior.loc_true, prior.raw_scale_true),
    ):
        torch.nn.init.zeros_(loc)
        torch.nn.init.constant_(raw_scale, torch.tensor(1.0).expm1().log())  # softplus of it is 1
    torch.nn.init.zeros_(classifier.weight)

    def encoder(x, code):
        fns = [q.base_dist for q in ccvae.encoder(x)]
        loc, scale = (torch.cat([getattr(fn, key) for fn in fns], -1) for key in ("loc", "scale"))
        return dist.Normal(loc, scale).to_event(1)

    size = NUM_LABELS + NUM_STYLE
    m2 = baselines.M2(
        Constant(lambda x: classifier(x[:, :NUM_LABELS])),
        Constant(encoder),
        Constant(lambda joined: ccvae.decoder(joined[..., NUM_LABELS:])),
        distributions.StandardNormal(size),
        ccvae.label_prior,
        ccvae.labels,
    )
    actual = with_mean_samples(baseline_elbos.M2_ELBO(alpha).loss, m2.model, m2.guide, x, y)
    objective = CCVAE_ELBO(1, classification_weight=alpha)
    expected = with_mean_samples(objective.loss, ccvae.model, ccvae.guide, x, y)
    assert_close(actual, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_m2_with_all_labels_is_a_cvae_with_a_prior_and_a_classifier_of_labels(kind, x):
    m2, alpha, y = make_m2(KINDS[kind]), 7.0, some_labels(KINDS[kind])
    cvae = baselines.CVAE(m2.encoder, m2.decoder, m2.prior, m2.labels)
    bound = -with_mean_samples(Trace_ELBO().loss, cvae.model, cvae.guide, x, y)
    z_c = m2.label_prior().log_prob(y) + alpha * m2.q_y_x(x).log_prob(y)
    actual = with_mean_samples(baseline_elbos.M2_ELBO(alpha).loss, m2.model, m2.guide, x, y)
    assert_close(-actual, bound + z_c.sum().item())


@pytest.mark.parametrize(
    ("label", "prior"), [(KINDS["binary"][0], [0.7, 0.3]), (KINDS["classes"][0], [0.5, 0.3, 0.2])]
)
def test_log_p_x_of_a_linear_m2_is_a_mixture_of_normals(label, prior):
    code = parts.LabelCode([label])
    weight, shift, noise = torch.randn(2, 1), torch.randn(code.num_features, 2), 0.5
    variance = 1 / (1 + weight.square().sum() / noise**2)

    def posterior(x, code):
        loc = variance * (x - code @ shift) @ weight / noise**2
        return dist.Normal(loc, 1.3 * variance.sqrt()).to_event(1)  # wider than it is

    def image(joined):
        return dist.Normal(joined[..., :-1] @ shift + joined[..., -1:] @ weight.T, noise).to_event(
            1
        )

    label_prior = label_modules([label]).label_prior
    m2 = baselines.M2(
        Constant(lambda x: label_prior().expand([len(x)])),
        Constant(posterior),
        Constant(image),
        distributions.StandardNormal(1),
        label_prior,
        [label],
    )
    x = torch.randn(BATCH, 2)
    covariance = weight @ weight.T + noise**2 * torch.eye(2)
    values = torch.arange(len(prior)).to(x)
    means = code(values[:, None]) @ shift
    log_joint = torch.tensor(prior).log() + dist.MultivariateNormal(means, covariance).log_prob(
        x[:, None]
    )
    assert_close(log_p_x(m2, x, 500), log_joint.logsumexp(-1), atol=0.15, rtol=0)


def test_the_classifier_of_m2_has_the_gradient_of_the_classification_term_only(x):
    m2, alpha = make_m2(KINDS["classes"]), 7.0
    y = some_labels(m2.labels)
    with_mean_samples(baseline_elbos.M2_ELBO(alpha).loss_and_grads, m2.model, m2.guide, x, y)
    actual = [parameter.grad for parameter in m2.classifier.parameters()]
    loss = -alpha * m2.classifier(x).log_prob(y).sum()
    expected = torch.autograd.grad(loss, list(m2.classifier.parameters()))
    assert_close(actual, list(expected))


@pytest.mark.parametrize("kind", KINDS)
def test_m1_m2_without_labels_is_enumerated(kind, x):
    m1_m2 = make_m1_m2(KINDS[kind])
    actual = with_mean_samples(baseline_elbos.M2_ELBO().loss, m1_m2.model, m1_m2.guide, x)
    vae, (of_latents, guide_of_latents) = m1_m2.vae, enumerated_by_hand(m1_m2.m2)
    z_1 = vae.encoder(x)[0].mean
    # The ELBO of z_1 as an image, and the remaining terms.
    by_hand = with_mean_samples(
        TraceEnum_ELBO(max_plate_nesting=1).loss, of_latents, guide_of_latents, z_1
    )
    rest = vae.decoder(z_1).log_prob(x) - vae.encoder(x)[0].log_prob(z_1)
    assert_close(actual, by_hand - rest.sum().item())


def test_a_frozen_vae_does_not_change(x):
    m1_m2 = make_m1_m2(KINDS["classes"])
    m1_m2.freeze()
    before = [parameter.clone() for parameter in m1_m2.parameters()]
    svi = SVI(m1_m2.model, m1_m2.guide, Adam({"lr": 0.01}), loss=baseline_elbos.M2_ELBO())
    svi.step(x)
    same = [torch.equal(a, b) for a, b in zip(before, m1_m2.parameters(), strict=True)]
    num_frozen = len(list(m1_m2.vae.parameters()))
    assert all(same[:num_frozen])
    assert not any(same[num_frozen:])


def test_m1_m2_reconstructs_as_its_vae_does_and_generates_as_its_model_does(x):
    m1_m2 = make_m1_m2(KINDS["both"])
    assert_close(ccvae_pyro.reconstruct(m1_m2, x), ccvae_pyro.reconstruct(m1_m2.vae, x))
    y = torch.tensor([[1.0, 2.0]]).repeat(5_000, 1)
    images = ccvae_pyro.generate(m1_m2, y)
    ancestral = pyro.poutine.trace(pyro.condition(m1_m2.model, {"y": y})).get_trace(
        torch.zeros(len(y), NUM_PIXELS)
    )
    expected = m1_m2.vae.decode(y, ancestral.nodes["z_1"]["value"]).detach()
    assert_close(images.mean(0), expected.mean(0), atol=0.02, rtol=0)
    assert_close(images.std(0), expected.std(0), atol=0.02, rtol=0)


# Labels that are partially observed


def test_labels_of_too_many_values_are_sampled():
    q_y = dist.Bernoulli(torch.full((5, 7), 0.3)).to_event(1)
    y = torch.full((5, 7), torch.nan)
    y[:, 0] = 1
    labels = PartiallyObserved(q_y, y, count_observed=False)
    assert labels.has_rsample
    samples = labels.rsample((4000,))
    assert (samples[..., 0] == 1).all()
    assert_close(samples[..., 1:].mean(0), torch.full((5, 6), 0.3), atol=0.04, rtol=0)
    expected = dist.Bernoulli(0.3).log_prob(samples[..., 1:]).sum(-1)
    assert_close(labels.log_prob(samples), expected)


def test_the_gradient_of_a_sampled_label_is_exact_for_linear_functions_of_it():
    logits = torch.randn(1, 7, requires_grad=True)
    other = torch.randn(1, 7)
    guide = dist.Bernoulli(logits=logits).to_event(1)
    labels = PartiallyObserved(guide, torch.full((1, 7), torch.nan), count_observed=False)
    samples = labels.rsample((200_000,))
    log_p = dist.Bernoulli(logits=other).log_prob(samples).sum(-1)
    bound = (log_p - labels.log_prob(samples)).mean()
    (actual,) = torch.autograd.grad(bound, logits)
    p, q = dist.Bernoulli(logits=other), dist.Bernoulli(logits=logits)
    (expected,) = torch.autograd.grad(-torch.distributions.kl_divergence(q, p).sum(), logits)
    assert_close(actual, expected, atol=0.02, rtol=0)


def test_classes_of_too_many_values_are_refused():
    labels = [Categorical("Hair", tuple("abcdefghi")), Categorical("Hat", tuple("abcdefghi"))]
    p_y = label_modules(labels).label_prior().expand([4])
    with pytest.raises(ValueError, match=r"at most 64 values together.*got \[9, 9\] values"):
        PartiallyObserved(p_y, torch.full((4, 2), torch.nan), count_observed=False)


# DIVA


def without_labels_in_the_guide(model):
    return pyro.poutine.block(model.guide, hide=["y"])


def test_diva_with_beta_1_and_alpha_0_is_the_elbo_with_the_conditional_prior(batch):
    diva = make_diva()
    actual = seeded(baseline_elbos.DIVA_ELBO(0.0).loss, diva.model, diva.guide, *batch)
    expected = seeded(Trace_ELBO().loss, diva.model, without_labels_in_the_guide(diva), *batch)
    assert_close(actual, expected)


@pytest.mark.parametrize("is_labeled", [True, False], ids=["labeled", "unlabeled"])
def test_diva_is_its_equation(batch, is_labeled):
    (x, y), alpha, beta = batch, 30.0, 4.0
    diva = make_diva(beta)
    args = (x, y) if is_labeled else (x,)
    actual = with_mean_samples(baseline_elbos.DIVA_ELBO(alpha).loss, diva.model, diva.guide, *args)
    q_z_c, q_z_style = diva.encoder(x)
    z_c, z_style = q_z_c.mean, q_z_style.mean
    image = diva.decoder(torch.cat([z_c, z_style], -1)).log_prob(x)
    latents = diva.style_prior().log_prob(z_style)
    latents = latents - q_z_c.log_prob(z_c) - q_z_style.log_prob(z_style)
    if is_labeled:
        latents = latents + diva.conditional_prior(y).log_prob(z_c)
        labels = diva.label_prior().log_prob(y) + alpha * diva.classifier(z_c).log_prob(y)
    else:
        q_y, p_y = diva.classifier(z_c).groups[0].distribution, diva.label_prior().base_dist
        labels = -torch.distributions.kl_divergence(q_y, p_y.expand(q_y.batch_shape)).sum(-1)
        for value, chance in ((0.0, 1 - q_y.probs), (1.0, q_y.probs)):
            prior = diva.conditional_prior(torch.full_like(y, value)).at_y.base_dist
            latents = latents + (chance * prior.log_prob(z_c)).sum(-1)
    assert_close(actual, -(image + beta * latents + labels).sum().item())


def test_diva_imputes_labels_as_a_ccvae_does(batch):
    diva, ccvae = make_diva(), make_ccvae()
    ccvae.load_state_dict(diva.state_dict())
    actual = seeded(baseline_elbos.DIVA_ELBO(30.0).loss, diva.model, diva.guide, batch[0])
    objective = CCVAE_ELBO(1, share_sample=True, stop_gradient=False)
    assert_close(actual, seeded(objective.loss, ccvae.model, ccvae.guide, batch[0]))


# MVAE


def test_mvae_without_labels_is_a_vae(x):
    mvae = make_mvae(KINDS["both"])

    class Sharpened(torch.nn.Module):
        """The expert on the image and the prior, as one encoder."""

        def forward(self, x):
            return (mvae.posterior(x),)

    vae = baselines.VAE(Sharpened(), mvae.decoder, mvae.prior, mvae.labels)
    expected = seeded(Trace_ELBO().loss, vae.model, vae.guide, x)
    missing = torch.full((BATCH, 2), torch.nan)
    for args in ((x,), (x, missing)):
        assert_close(
            seeded(baseline_elbos.MVAE_ELBO().loss, mvae.model, mvae.guide, *args), expected
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_posterior_of_mvae_is_the_product_of_its_experts(kind, x):
    mvae = make_mvae(KINDS[kind])
    y = some_labels(mvae.labels)
    y[0, 0] = torch.nan
    z = torch.randn(2, BATCH, Z_DIM)
    known = ~y.isnan()
    log_expert = mvae.experts(y.nan_to_num()).log_prob(z[:, :, None]) * known
    log_product = mvae.prior().log_prob(z) + mvae.encoder(x)[0].log_prob(z) + log_expert.sum(-1)
    log_posterior = mvae.posterior(x, y).log_prob(z)
    # Up to a constant of each image.
    assert_close(log_product[0] - log_product[1], log_posterior[0] - log_posterior[1])


def test_the_objective_of_mvae_is_a_sum_of_three_elbos(x):
    mvae = make_mvae(KINDS["both"])
    y = some_labels(mvae.labels)
    y[0] = torch.nan
    objective = baseline_elbos.MVAE_ELBO()
    actual = with_mean_samples(objective.loss, mvae.model, mvae.guide, x, y)
    views = [(x,), (x[1:], y[1:]), (None, y[1:])]
    losses = [
        with_mean_samples(Trace_ELBO().loss, mvae.model, mvae.guide, *view) for view in views
    ]
    assert_close(actual, sum(losses))


# What the baselines share


@pytest.fixture
def data():
    rows, labels = np.arange(40), [Binary("Hat", 0.5), Categorical("Hair", ("black", "blond"))]
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (40, 2)).astype(np.float32)
    y[::2, 0] = np.nan
    images = rng.integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)
    return LabeledImages(
        images, y, labels, {"train": rows[:20], "valid": rows[20:30], "test": rows[30:]}
    )


OBJECTIVES = {
    "vae": Trace_ELBO,
    "cvae": Trace_ELBO,
    "m1": Trace_ELBO,
    "m2": baseline_elbos.M2_ELBO,
    "m1_m2": baseline_elbos.M2_ELBO,
    "diva": lambda: baseline_elbos.DIVA_ELBO(1.0),
    "mvae": baseline_elbos.MVAE_ELBO,
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("images", ["mnist", "mlp"])
def test_each_baseline_is_trained_saved_and_loaded(name, images, data, tmp_path):
    torch.set_default_dtype(torch.float32)
    model = models.baseline(name, data.with_empirical_priors(), 5, images=images)
    if name == "diva":  # its images have all labels, or none
        data.labels[np.isnan(data.labels).any(axis=1)] = np.nan
    before = [parameter.clone() for parameter in model.parameters()]
    svi = SVI(model.model, model.guide, Adam({"lr": 1e-3}), loss=OBJECTIVES[name]())
    ccvae_pyro.train(model, svi, Batches(data, 10), 1, tmp_path)
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    if name == "m1":  # its VAE was trained before
        moved = moved[len(list(model.vae.parameters())) :]
    assert all(moved)
    again = ccvae_pyro.load(tmp_path / "checkpoint.pt")
    assert type(again) is type(model)
    assert_close(dict(again.state_dict()), dict(model.state_dict()))


CAN = {
    "vae": {"reconstruct", "generate"},
    "cvae": {"generate"},
    "m1": {"classify", "reconstruct", "generate"},
    "m2": {"classify", "reconstruct", "generate", "edit", "swap", "walk"},
    "m1_m2": {"classify", "reconstruct", "generate", "edit", "swap", "walk"},
    "diva": {"classify", "reconstruct", "generate", "edit", "swap", "walk"},
    "mvae": {"classify", "reconstruct", "generate"},
}


@pytest.mark.parametrize("name", CAN)
@pytest.mark.parametrize("what", ["classify", "reconstruct", "generate", "edit", "swap", "walk"])
def test_each_baseline_supports_its_interventions_and_refuses_others(name, what, data):
    torch.set_default_dtype(torch.float32)
    model = models.baseline(name, data.with_empirical_priors(), 5, images="mlp")
    x, y = data.batch(data.splits["valid"])
    arguments = {
        "classify": (x,),
        "reconstruct": (x,),
        "generate": (y.nan_to_num(),),
        "edit": (x, "Hair", "blond"),
        "swap": (x, x.flip(0), "Hat"),
        "walk": (x, ["Hat", "Hair"]),
    }[what]
    action = getattr(ccvae_pyro, what)
    if what not in CAN[name]:
        with pytest.raises(UnsupportedError, match=f"{type(model).__name__} cannot"):
            action(model, *arguments)
        return
    shape = {"classify": (10, 3), "walk": (10, 9, 9, 1, 28, 28)}.get(what, (10, 1, 28, 28))
    assert action(model, *arguments).shape == shape


def test_an_edit_of_m2_changes_one_label_and_keeps_the_rest(data):
    torch.set_default_dtype(torch.float32)
    m2 = models.baseline("m2", data.with_empirical_priors(), 5, images="mlp")
    x, _ = data.batch(data.splits["valid"])
    y, _ = ccvae_pyro.predict(m2, x)
    z = m2.encoder(x, m2.code(y)).mean
    y[:, 1] = 1
    expected = m2.decoder(parts.join(m2.code(y), z)).mean
    assert_close(ccvae_pyro.edit(m2, x, "Hair", "blond"), expected.detach())


def test_metrics_that_a_model_does_not_support_are_missing(data):
    torch.set_default_dtype(torch.float32)
    vae = models.baseline("vae", data.with_empirical_priors(), 5, images="mlp")
    metrics = ccvae_pyro.evaluate(vae, Batches(data, 10).held_out("test"), Trace_ELBO())
    assert np.isnan(metrics.accuracy)
    assert metrics.reconstruction_error > 0


def test_an_unknown_baseline_is_refused():
    with pytest.raises(ValueError, match=r"wanted one of vae, cvae, .*, got 'gan'"):
        models.baseline("gan", [Binary("Hat")])
    with pytest.raises(
        ValueError, match="images must be celeba, photographs, mnist or mlp, got 'cifar'"
    ):
        models.baseline("vae", [Binary("Hat")], images="cifar")
