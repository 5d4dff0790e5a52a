"""Label vectors of several kinds, and affine ones, against the distributions of their labels."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import BATCH, MIXED_LABEL_VECTORS, make_ccvae, make_mixed, with_missing
from torch.testing import assert_close

from ccvae_pyro import LabelVector, NestedCategorical
from ccvae_pyro.distributions import AffineBinary, AffineLabels, LabelGroup
from ccvae_pyro.distributions.label_vector import (
    confidence,
    expectations,
    label_groups,
    missing_labels,
    most_likely,
    observed_log_probs,
    select,
    widened,
)

MODELS = {"binary": make_ccvae, "kinds": make_mixed}


@pytest.fixture
def mixed():
    return make_mixed()


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def affine(request):
    """Affine labels of batch shape (2, BATCH)."""
    ccvae = request.param()
    num_characteristics = sum(label.dim for label in ccvae.labels)
    return ccvae.classifier(torch.randn(2, BATCH, num_characteristics))


def by_column(mixed, z_c):
    """The labels at the latents, a distribution for each column."""
    plain, hair, age, hat = mixed.classifier.of_group
    logits = plain.weight * z_c[..., [2, 7]] + plain.bias
    mean = age.mean + age.std * (age.weight * z_c[..., 3] + age.bias)
    scale = age.std * torch.nn.functional.softplus(age.raw_scale)
    return (
        NestedCategorical(hair.weight * z_c[..., :2] + hair.bias, hair.signs),
        dist.Bernoulli(logits=logits[..., 0]),
        dist.Normal(mean, scale),
        dist.Bernoulli(logits=hat.weight * z_c[..., 5] + hat.bias),
        dist.Bernoulli(logits=logits[..., 1]),
    )


def test_the_log_probability_is_the_sum_over_columns(mixed):
    z_c, y = torch.randn(BATCH, 8), torch.tensor(MIXED_LABEL_VECTORS)
    columns = zip(by_column(mixed, z_c), y.unbind(-1), strict=True)
    expected = sum(fn.log_prob(labels) for fn, labels in columns)
    assert_close(mixed.classifier(z_c).log_prob(y), expected)


def test_affine_labels_are_the_plain_label_vector(affine):
    plain = LabelVector(affine.groups)
    assert affine.batch_shape == plain.batch_shape == (2, BATCH)
    assert affine.event_shape == plain.event_shape
    y = plain.sample()
    assert_close(affine.log_prob(y), plain.log_prob(y))
    assert_close(expectations(affine), expectations(plain))
    pyro.set_rng_seed(1)
    sampled = affine.sample((3,))
    pyro.set_rng_seed(1)
    assert_close(sampled, plain.sample((3,)))


class Counted(AffineBinary):
    """Affine binary labels that count how often their distribution is computed."""

    count = 0

    def distribution(self, z_c):
        self.count += 1
        return super().distribution(z_c)


def test_affine_labels_compute_their_distribution_when_it_is_asked_for_and_once():
    group = Counted(torch.ones(3), torch.zeros(3))
    labels = AffineLabels(torch.randn(BATCH, 3), group)
    missing_labels(labels)
    assert group.count == 0
    labels.log_prob(torch.ones(BATCH, 3))
    labels.sample()
    assert group.count == 1


@pytest.mark.parametrize("kind", [AffineLabels, LabelVector])
def test_select_takes_one_index_of_the_leftmost_dimension(affine, kind):
    fn = affine if kind is AffineLabels else LabelVector(affine.groups)
    y = fn.sample()
    one = select(fn, 1)
    assert one.batch_shape == (BATCH,)
    assert_close(one.log_prob(y[1]), fn.log_prob(y)[1])


def test_select_takes_independent_bernoullis_too():
    fn = dist.Bernoulli(logits=torch.randn(2, BATCH, 3)).to_event(1)
    y = fn.sample()
    assert_close(select(fn, 1).log_prob(y[1]), fn.log_prob(y)[1])


@pytest.mark.parametrize("kind", [AffineLabels, LabelVector])
def test_expand_repeats_the_labels(affine, kind):
    fn = affine if kind is AffineLabels else LabelVector(affine.groups)
    wide = fn.expand((5, 2, BATCH))
    assert isinstance(wide, kind)
    assert wide.batch_shape == (5, 2, BATCH)
    y = wide.sample()
    assert y.shape == (5, 2, BATCH, *fn.event_shape)
    assert_close(wide.log_prob(y)[3], fn.log_prob(y[3]))


@pytest.mark.parametrize("sample_shape", [(), (1,), (3, 2)])
def test_samples_have_the_shape_of_any_distribution(affine, sample_shape):
    y = affine.sample(sample_shape)
    assert y.shape == (*sample_shape, 2, BATCH, *affine.event_shape)
    assert affine.log_prob(y).shape == (*sample_shape, 2, BATCH)


def test_samples_follow_the_probabilities(mixed):
    samples = mixed.label_prior().sample((20_000,))
    assert samples.shape == (20_000, 5)
    shares = [(samples[:, 0] == c).double().mean() for c in range(3)]
    assert_close(torch.stack(shares), torch.tensor([0.5, 0.3, 0.2]), atol=0.02, rtol=0)
    means = samples[:, 1:].mean(0)
    assert_close(means, torch.tensor([0.4, 30, 0.2, 0.7]), atol=0.4, rtol=0)


def test_is_a_site_in_a_plate(affine):
    def model():
        with pyro.plate("data", BATCH), pyro.plate("rows", 2), pyro.plate("more", 3):
            return pyro.sample("y", affine)

    trace = pyro.poutine.trace(model).get_trace()
    trace.compute_log_prob()
    assert trace.nodes["y"]["log_prob"].shape == (3, 2, BATCH)


def test_the_mean_is_in_the_order_of_columns():
    labels = LabelVector(
        [
            LabelGroup(dist.Bernoulli(torch.tensor([0.2, 0.3])), torch.tensor([0, 2])),
            LabelGroup(dist.Normal(torch.tensor([7.0]), 1.0), torch.tensor([1])),
        ]
    )
    assert_close(labels.mean, torch.tensor([0.2, 7.0, 0.3]))


def test_a_categorical_label_has_no_mean(mixed):
    with pytest.raises(NotImplementedError, match="categorical label has no mean"):
        mixed.label_prior().mean  # noqa: B018


def test_expectations_are_in_the_order_of_labels(mixed):
    z_c = torch.randn(BATCH, 8)
    hair, smiling, age, hat, beard = by_column(mixed, z_c)
    one_each = [fn.mean[:, None] for fn in (smiling, age, hat, beard)]
    assert_close(expectations(mixed.classifier(z_c)), torch.cat([hair.probs, *one_each], -1))


def test_the_most_likely_values_and_their_probabilities_are_in_the_order_of_columns(mixed):
    z_c = torch.randn(BATCH, 8)
    hair, smiling, age, hat, beard = by_column(mixed, z_c)
    binary = [fn.probs for fn in (smiling, hat, beard)]
    values = [hair.probs.argmax(-1).double(), *[(p > 0.5).double() for p in binary]]
    values.insert(2, age.mean)
    assert_close(most_likely(mixed.classifier(z_c)), torch.stack(values, -1))
    probs = [hair.probs.amax(-1), *[torch.maximum(p, 1 - p) for p in binary]]
    probs.insert(2, age.stddev)
    assert_close(confidence(mixed.classifier(z_c)), torch.stack(probs, -1))


def test_observed_log_probs_are_zero_where_a_label_is_missing(mixed):
    z_c, full = torch.randn(BATCH, 8), torch.tensor(MIXED_LABEL_VECTORS)
    y, q_y = with_missing(full, "partly"), mixed.classifier(z_c)
    order = torch.cat([group.columns for group in q_y.groups]).argsort()
    actual = observed_log_probs(q_y, y)[:, order]
    columns = zip(by_column(mixed, z_c), full.unbind(-1), strict=True)
    expected = torch.stack([fn.log_prob(labels) for fn, labels in columns], -1)
    assert_close(actual, expected * ~y.isnan())


def test_continuous_labels_are_widened_by_what_their_latents_vary(mixed):
    z_c, shift = torch.randn(BATCH, 8), 0.7
    age = by_column(mixed, z_c)[2]
    (slope,) = mixed.classifier.of_group[2].group(None, torch.arange(2)[None]).slope[:, 0]
    q_y = widened(mixed.classifier(z_c), mixed.classifier(z_c + shift), 1)
    expected = (age.variance + (slope * shift) ** 2).sqrt()
    assert_close(confidence(q_y)[:, 2], expected)


def test_missing_labels_are_nan_for_every_label(affine):
    missing = missing_labels(affine)
    assert missing.shape == (2, BATCH, *affine.event_shape)
    assert missing.isnan().all()
    assert_close(missing_labels(LabelVector(affine.groups)), missing, equal_nan=True)


def test_only_vectors_of_bernoullis_are_label_vectors_beside_those_declared(affine):
    probs = torch.full((BATCH, 3), 0.5)
    assert len(label_groups(dist.Bernoulli(probs).to_event(1))) == 1
    assert label_groups(dist.Bernoulli(probs)) == ()
    assert label_groups(dist.Normal(probs, 1.0).to_event(1)) == ()
    with pytest.raises(ValueError, match="labels are predicted from a label vector"):
        most_likely(dist.Normal(probs, 1.0).to_event(1))


def test_the_gradient_reaches_slopes_offsets_and_latents(affine):
    z_c = affine.z_c.clone().requires_grad_()
    parameters = [each for g in affine.affine_groups for each in (g.slope, g.offset)]
    labels = AffineLabels(z_c, *affine.affine_groups)
    gradients = torch.autograd.grad(labels.log_prob(labels.sample()).sum(), [z_c, *parameters])
    assert all(gradient.any() for gradient in gradients)
