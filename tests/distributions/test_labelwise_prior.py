"""Conditional priors that factorize over labels: the density at labels, and for each value."""

import pyro
import pytest
import torch
from helpers import MIXED_LABEL_VECTORS, make_ccvae, make_mixed
from pyro.distributions import Normal, StudentT
from torch.testing import assert_close

from ccvae_pyro.distributions import AffineFactors, LabelwisePrior

BATCH = 4


def student_t(y):
    return StudentT(4.0, 4 * y - 2, 1 + y)


def normal(y):
    return Normal((4 * y - 2) * torch.tensor([0.2, 0.6, 1.0]), torch.tensor([0.7, 1.0, 1.3]))


def constant_scale(y):
    return Normal(4 * y - 2, 1.0)


def constant(y):
    """The scale alone has the shape of labels."""
    return StudentT(4.0, 0.0, 1 + y)


DECLARED = {
    "student-t": student_t,
    "normal": normal,
    "constant scale": constant_scale,
    "constant": constant,
}
BINARY_VECTORS = [[0.0, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]]


@pytest.fixture(params=[*DECLARED, "binary", "kinds"])
def prior(request):
    """A prior at a batch of label vectors."""
    y = torch.tensor(BINARY_VECTORS)
    if request.param in DECLARED:
        return LabelwisePrior(DECLARED[request.param], y)
    if request.param == "binary":
        return make_ccvae().conditional_prior(y)
    return make_mixed().conditional_prior(torch.tensor(MIXED_LABEL_VECTORS))


def product_of_factors(prior, z_c, y):
    """The log-density of all factors at label vectors."""
    total = torch.zeros(())
    for factors in prior.given_each_value:
        labels = y if factors.columns is None else y[..., factors.columns]
        if isinstance(factors, AffineFactors):
            total = total + factors.log_prob(z_c, labels).sum(-1)
            continue
        of_classes = factors.log_prob(z_c)
        assert of_classes.shape[1:] == (*z_c.shape[:-1], labels.shape[-1])
        index = labels.long().expand(of_classes.shape[1:])
        total = total + of_classes.gather(0, index[None])[0].sum(-1)
    return total


def test_the_density_at_labels_is_that_of_the_distribution_given_them(prior):
    z_c = torch.randn(BATCH, *prior.event_shape)
    given = prior.given(prior.y).to_event(1)
    assert_close(prior.log_prob(z_c), given.log_prob(z_c))
    assert_close(prior.mean, given.mean)
    assert_close(prior.variance, given.variance)
    assert (prior.batch_shape, prior.event_shape) == (given.batch_shape, given.event_shape)


def test_the_density_at_labels_is_the_product_of_the_factors_of_their_values(prior):
    z_c = 3 * torch.randn(BATCH, *prior.event_shape)
    assert_close(prior.log_prob(z_c), product_of_factors(prior, z_c, prior.y))


def test_factors_take_any_number_of_dimensions(prior):
    z_c = torch.randn(5, 2, BATCH, *prior.event_shape)
    assert_close(prior.log_prob(z_c), product_of_factors(prior, z_c, prior.y))


def test_samples_are_pathwise(prior):
    """The gradient of samples by their mean is 1: along a shift of all Normals, or Student's t."""
    shift = torch.zeros((), requires_grad=True)

    class Shifted:
        def __init__(self, given):
            self.given = given

        def __call__(self, y):
            fn = self.given(y)
            if isinstance(fn, StudentT):
                return StudentT(fn.df, fn.loc + shift, fn.scale)
            return Normal(fn.loc + shift, fn.scale)

    num_latents = prior.event_shape[0]
    shifted = LabelwisePrior(Shifted(prior.given), prior.y, prior.factors, num_latents)
    z_c = shifted.rsample((3,))
    assert z_c.shape == (3, BATCH, num_latents)
    z_c.sum().backward()
    assert_close(shift.grad, torch.tensor(float(z_c.numel())))
    assert not shifted.sample().requires_grad


def test_samples_have_the_moments_of_the_prior(prior):
    samples = prior.sample((40_000,))
    error = 5 * (prior.variance / 40_000).sqrt()
    assert ((samples.mean(0) - prior.mean).abs() < error).all()


def test_expand_repeats_the_prior(prior):
    wide = prior.expand((3, BATCH))
    assert isinstance(wide, LabelwisePrior)
    z_c = wide.rsample()
    assert z_c.shape == (3, BATCH, *prior.event_shape)
    assert_close(wide.log_prob(z_c)[1], prior.log_prob(z_c[1]))
    assert_close(wide.log_prob(z_c), product_of_factors(wide, z_c, wide.y))


def test_is_a_site_in_a_plate(prior):
    def model():
        with pyro.plate("data", BATCH), pyro.plate("more", 3):
            pyro.sample("z_c", prior)

    trace = pyro.poutine.trace(model).get_trace()
    trace.compute_log_prob()
    assert trace.nodes["z_c"]["log_prob"].shape == (3, BATCH)


def test_the_distribution_is_computed_when_it_is_asked_for_and_once():
    calls = []

    def given(y):
        calls.append(len(y))
        return student_t(y)

    prior = LabelwisePrior(given, torch.tensor(BINARY_VECTORS))
    assert calls == []
    prior.log_prob(prior.rsample())
    assert calls == [BATCH]
