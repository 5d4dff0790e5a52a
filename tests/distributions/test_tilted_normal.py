"""The tilted Normal against quadrature, finite differences, and Pyro's contract."""

import itertools
import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions.testing.gof import auto_goodness_of_fit
from scipy.integrate import quad
from torch.distributions import kl_divergence
from torch.testing import assert_close

from ccvae_pyro import TiltedNormal

# Slope times scale, and where the logistic steps, in standard deviations from the mean.
CASES = [
    (b, step) for b in (0.0, 0.3, 1.0, -3.0, 10.0) for step in (-7.0, -2.0, 0.0, 0.7, 3.0, 8.0)
]
STEEP_CASES = [(b, step) for b in (-20.0, 50.0, 200.0) for step in (-6.0, -1.0, 0.0, 2.0, 5.0)]


def tilted(b, step, loc=0.3, scale=0.8, dtype=torch.float64):
    values = (loc, scale, b / scale, -b * step - b / scale * loc)
    return TiltedNormal(*(torch.tensor(value, dtype=dtype) for value in values))


def integrate(function, distribution, step):
    """An integral over z, by pieces about where its integrand can be sharp."""
    loc, scale, slope, _ = (p.item() for p in parameters(distribution))
    b, middle = abs(slope * scale), min(max(step, min(0, slope * scale)), max(0, slope * scale))
    breaks = [middle + t for t in (-10, -6, -3, -1, 0, 1, 3, 6, 10)]
    breaks += [step + u / max(b, 1) for u in (-30, -10, -3, 0, 3, 10, 30)]
    breaks = [loc + scale * t for t in sorted(breaks) if abs(t - middle) <= 10]
    pieces = itertools.pairwise(breaks)
    return sum(
        quad(function, *piece, epsabs=1e-12, epsrel=1e-11, limit=200)[0] for piece in pieces
    )


def parameters(d):
    return d.loc, d.scale, d.slope, d.offset


def log_unnormalized(d):
    loc, scale, slope, offset = (p.item() for p in parameters(d))
    constant = -math.log(scale) - math.log(2 * math.pi) / 2
    return lambda z: constant - ((z - loc) / scale) ** 2 / 2 - np.logaddexp(0, -slope * z - offset)


def check_by_quadrature(d, step, tolerance):
    log_f = log_unnormalized(d)
    loc, scale, slope = d.loc.item(), d.scale.item(), d.slope.item() * d.scale.item()
    peak = log_f(loc + scale * min(max(step, min(0, slope)), max(0, slope)))
    log_z = math.log(integrate(lambda z: math.exp(log_f(z) - peak), d, step)) + peak
    mean = integrate(lambda z: z * math.exp(log_f(z) - log_z), d, step)
    variance = integrate(lambda z: (z - mean) ** 2 * math.exp(log_f(z) - log_z), d, step)
    prior = dist.Normal(-1.0, 1.5)
    log_p = lambda z: -(((z + 1) / 1.5) ** 2) / 2 - math.log(1.5) - math.log(2 * math.pi) / 2  # noqa: E731
    kl = integrate(lambda z: math.exp(log_f(z) - log_z) * (log_f(z) - log_z - log_p(z)), d, step)
    actual = (d.log_normalizer, d.mean, d.variance, kl_divergence(d, prior))
    expected = torch.tensor([log_z, mean, variance, kl])
    assert_close(torch.stack(actual), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize(("b", "step"), CASES)
def test_integrals_match_quadrature(b, step):
    check_by_quadrature(tilted(b, step), step, tolerance=1e-6)


@pytest.mark.parametrize(("b", "step"), STEEP_CASES)
def test_integrals_match_quadrature_where_the_classifier_is_nearly_a_step(b, step):
    check_by_quadrature(tilted(b, step), step, tolerance=1e-3)


@pytest.mark.parametrize(("b", "step"), CASES + STEEP_CASES[:5])
def test_single_precision_agrees_with_double(b, step):
    single, double = tilted(b, step, dtype=torch.float32), tilted(b, step)
    moments = [(d.log_normalizer, d.mean, d.variance, d.entropy()) for d in (single, double)]
    assert torch.stack(moments[0]).dtype == torch.float32
    assert_close(torch.stack(moments[0]).double(), torch.stack(moments[1]), atol=2e-3, rtol=1e-4)


def test_a_label_of_probability_1e_8_leaves_everything_finite():
    d = TiltedNormal(*(torch.tensor(v, requires_grad=True) for v in (0.0, 1.0, 2.0, -20.5)))
    assert d.log_normalizer.exp().item() == pytest.approx(1e-8, rel=0.3)
    total = d.rsample((100,)).sum() + d.entropy() + d.log_normalizer
    total.backward()
    assert all(p.grad.isfinite() for p in parameters(d))
    assert_close(d.mean, torch.tensor(2.0), atol=1e-3, rtol=0)  # that of the Normal, shifted


def test_no_slope_leaves_the_normal():
    d, normal = tilted(0.0, 0.0), dist.Normal(torch.tensor(0.3), torch.tensor(0.8))
    z = torch.linspace(-3, 3, 7)
    assert_close(d.log_prob(z), normal.log_prob(z))
    assert_close(
        d.icdf(torch.tensor([0.1, 0.5, 0.8])),
        normal.icdf(torch.tensor([0.1, 0.5, 0.8])),
        atol=1e-4,
        rtol=0,
    )


def test_both_labels_together_are_the_normal():
    # q(z|x) = q(y=1|x) q(z|x,y=1) + q(y=0|x) q(z|x,y=0)
    there = tilted(3.0, 0.5)
    without = TiltedNormal(there.loc, there.scale, -there.slope, -there.offset)
    z = torch.linspace(-3, 3, 9)
    total = sum((d.log_normalizer + d.log_prob(z)).exp() for d in (there, without))
    assert_close(total.log(), dist.Normal(there.loc, there.scale).log_prob(z))


@pytest.mark.parametrize("b", [0.0, 1.0, -5.0, 20.0])
def test_gradients_of_the_integrals_match_finite_differences(b):
    inputs = [p.clone().requires_grad_() for p in parameters(tilted(b, torch.tensor(0.4).item()))]

    def integrals(*inputs):
        d = TiltedNormal(*inputs)
        return d.log_normalizer, d.mean, d.variance, d.entropy(), d.log_prob(torch.tensor(0.1))

    assert torch.autograd.gradcheck(integrals, inputs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("b", [0.0, 1.0, -5.0, 20.0])
def test_gradients_of_a_quantile_match_finite_differences(b):
    inputs = [p.clone().requires_grad_() for p in parameters(tilted(b, 0.4))]
    probability = torch.tensor([0.02, 0.3, 0.5, 0.9])

    def quantile(*inputs):
        return TiltedNormal(*inputs).icdf(probability)

    # The quantile itself errs by some 1e-5, and its finite differences by more.
    assert torch.autograd.gradcheck(quantile, inputs, eps=1e-3, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize(("b", "step"), [(0.5, 0.0), (3.0, 1.0), (-10.0, -0.5), (100.0, 2.0)])
def test_samples_follow_the_density(b, step):
    d = tilted(b, step)
    samples = d.sample((100_000,))
    assert auto_goodness_of_fit(samples, d.log_prob(samples).exp()) > 1e-3
    assert_close(samples.mean(), d.mean, atol=5 * d.variance.sqrt().item() / 300, rtol=0)
    assert_close(samples.var(), d.variance, atol=0, rtol=0.03)


EXTREME_CASES = list(itertools.product((0.5, 2.0, 5.0, 20.0, 100.0), (-200, -20, -5, 0, 5, 20)))


@pytest.mark.parametrize(("slope", "offset"), EXTREME_CASES)
def test_no_sample_is_far_out_nor_has_a_large_gradient(monkeypatch, slope, offset):
    # Of noise within 1e-6 of 0 or 1, samples were at -24, and gradients were 3e4 or NaN.
    num = 2_000
    ends = 1e-6 * torch.rand(num, dtype=torch.float64, generator=torch.manual_seed(0))
    noise = torch.cat([ends, 1 - ends, torch.linspace(0, 1, num).double()]).float()
    monkeypatch.setattr(torch, "rand", lambda *args, **kwargs: noise.clone())
    loc, scale = torch.tensor([0.0, 1.0]).float()[:, None].expand(2, 3 * num).unbind()
    loc, scale = loc.clone().requires_grad_(), scale.clone().requires_grad_()
    z = TiltedNormal(loc, scale, slope, offset).rsample()
    exact = TiltedNormal(*torch.tensor([0.0, 1.0, slope, offset], dtype=torch.float64))
    lowest, highest = exact.icdf(torch.tensor([1e-7, 1 - 1e-7]).double())
    assert lowest - 0.5 < z.min() < z.max() < highest + 0.5
    of_loc, of_scale = torch.autograd.grad(z.sum(), (loc, scale))
    # A quantile moves with the mean, and at most as far: the density is log-concave.
    assert of_loc.min() > -0.5
    assert of_loc.max() < 1.5
    assert of_scale.abs().max() < 20


def test_probabilities_next_to_0_and_1_have_finite_quantiles():
    eps = torch.finfo(torch.float32).eps
    u = torch.tensor([eps, 1e-6, 1 - 1e-6, 1 - eps])[:, None].expand(4, len(EXTREME_CASES))
    slope, offset = torch.tensor(EXTREME_CASES, dtype=torch.float32).T
    loc = torch.zeros_like(slope, requires_grad=True)
    z = TiltedNormal(loc, 1.0, slope, offset).icdf(u)
    lowest, highest = TiltedNormal(0.0, 1.0, slope.double(), offset.double()).icdf(
        torch.tensor([[1e-10], [1 - 1e-10]], dtype=torch.float64).expand(2, len(EXTREME_CASES))
    )
    assert (lowest - 1.5 < z).all()
    assert (z < highest + 1.5).all()
    (gradient,) = torch.autograd.grad(z.sum(), loc)
    assert gradient.isfinite().all()


def test_the_mean_gradient_of_samples_is_that_of_the_mean():
    d = TiltedNormal(*(torch.tensor(v, requires_grad=True) for v in (0.3, 0.8, 2.0, -1.0)))
    mean_of_samples = d.rsample((100_000,)).mean()
    by_samples = torch.autograd.grad(mean_of_samples, parameters(d), retain_graph=True)
    exact = torch.autograd.grad(d.mean, parameters(d))
    assert_close(torch.stack(by_samples), torch.stack(exact), atol=0.01, rtol=0)


# What Pyro's own tests ask of every distribution.


@pytest.fixture
def several() -> TiltedNormal:
    return TiltedNormal(torch.zeros(3, 1), torch.ones(2), torch.tensor(2.0), torch.tensor(-1.0))


@pytest.mark.parametrize("sample_shape", [(), (1,), (5, 4)])
def test_shapes(several, sample_shape):
    assert several.batch_shape == (3, 2)
    assert several.event_shape == ()
    z = several.rsample(sample_shape)
    assert z.shape == (*sample_shape, 3, 2)
    assert several.log_prob(z).shape == z.shape
    assert several.mean.shape == several.variance.shape == several.entropy().shape == (3, 2)


def test_expand_repeats_the_distribution(several):
    wide = several.expand((4, 3, 2))
    assert wide.batch_shape == (4, 3, 2)
    z = wide.sample()
    assert_close(wide.log_prob(z), several.log_prob(z))
    assert_close(wide.mean, several.mean.expand(4, 3, 2))
    assert several.to_event(1).expand((5, 3)).sample().shape == (5, 3, 2)


def test_is_a_site_in_a_plate(several):
    def model():
        with pyro.plate("rows", 3, dim=-1):
            return pyro.sample("z", several.to_event(1))

    trace = pyro.poutine.trace(model).get_trace()
    trace.compute_log_prob()
    assert trace.nodes["z"]["log_prob"].shape == (3,)
    assert pyro.poutine.trace(pyro.condition(model, {"z": torch.ones(3, 2)})).get_trace()


@pytest.mark.parametrize(("name", "value"), [("scale", -1.0), ("slope", math.nan)])
def test_a_parameter_out_of_bounds_is_an_error(name, value):
    arguments = {"loc": 0.0, "scale": 1.0, "slope": 1.0, "offset": 0.0, name: value}
    with pytest.raises(ValueError, match=name):
        TiltedNormal(**{key: torch.tensor(v) for key, v in arguments.items()}, validate_args=True)


def test_the_same_seed_gives_the_same_samples(several):
    samples = []
    for _ in range(2):
        pyro.set_rng_seed(3)
        samples.append(several.sample())
    assert_close(*samples, atol=0, rtol=0)


@pytest.mark.parametrize(("b", "step"), CASES + STEEP_CASES)
@pytest.mark.parametrize("place", [-2.5, -0.4, 0.3, 2.0])
def test_the_distribution_function_matches_quadrature(b, step, place):
    d = tilted(b, step)
    log_f, log_z = log_unnormalized(d), d.log_normalizer.item()
    loc, scale, slope, _ = (p.item() for p in parameters(d))
    middle = min(max(step, min(0, slope * scale)), max(0, slope * scale))
    z = loc + scale * (middle + place)
    # By pieces about where the logistic function steps.
    breaks = [z + scale * min(t - middle - place, 0) for t in (middle - 9, step - 0.2, step + 0.2)]
    breaks = sorted({*breaks, z})
    expected = sum(
        quad(lambda u: math.exp(log_f(u) - log_z), *piece, epsabs=1e-12, limit=200)[0]
        for piece in itertools.pairwise(breaks)
    )
    tolerance = 2e-5 if abs(b) <= 10 else 2e-4
    assert d.cdf(torch.tensor(z)).item() == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("b", [0.0, 1.0, -5.0, 50.0])
def test_the_distribution_function_and_its_inverse_undo_each_other(b, dtype):
    d = tilted(b, 0.4, dtype=dtype)
    probability = torch.tensor([1e-3, 0.02, 0.3, 0.5, 0.9, 0.999], dtype=dtype)
    z = d.icdf(probability)
    assert z.dtype == dtype
    tolerance = {torch.float64: 1e-9, torch.float32: 1e-4}[dtype]
    assert_close(d.cdf(z), probability, atol=tolerance, rtol=0)
    assert_close(d.icdf(d.cdf(z)), z, atol=100 * tolerance, rtol=0)


def test_the_distribution_function_ends_at_0_and_1(several):
    ends = torch.tensor([-math.inf, -30.0, 30.0, math.inf])[:, None, None]
    d = TiltedNormal(*parameters(several), validate_args=False)
    expected = torch.tensor([0.0, 0, 1, 1])[:, None, None].expand(4, 3, 2)
    assert_close(d.cdf(ends), expected, atol=1e-6, rtol=0)
    assert d.cdf(torch.tensor(math.nan)).isnan().all()


@pytest.mark.parametrize("b", [0.0, 1.0, -5.0, 20.0])
def test_gradients_of_the_distribution_function_match_finite_differences(b):
    inputs = [p.clone().requires_grad_() for p in parameters(tilted(b, 0.4))]
    z = torch.tensor([-0.5, 0.1, 0.6, 1.5], requires_grad=True)

    def probability(z, *inputs):
        return TiltedNormal(*inputs).cdf(z)

    assert torch.autograd.gradcheck(probability, [z, *inputs], eps=1e-3, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("value", [0.0, 1.0, 1.5, math.nan])
def test_a_quantile_of_no_probability_is_an_error(several, value):
    with pytest.raises(ValueError, match="a quantile needs probabilities between 0 and 1"):
        several.icdf(torch.tensor(value))


QUANTITIES = {
    "log_prob": lambda d: d.log_prob(torch.tensor(0.1)),
    "mean": lambda d: d.mean,
    "variance": lambda d: d.variance,
    "entropy": lambda d: d.entropy(),
    "log_normalizer": lambda d: d.log_normalizer,
    "divergence": lambda d: kl_divergence(d, dist.Normal(0.0, 1.0)),
    "rsample": lambda d: d.rsample(),
    "cdf": lambda d: d.cdf(torch.tensor(0.1)),
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_it_is_differentiated_as_often_as_one_likes(name):
    leaves = [p.requires_grad_() for p in parameters(tilted(2.0, 0.4))]
    d, gradients = TiltedNormal(*leaves), []
    with torch.no_grad():
        QUANTITIES[name](d)  # keeps nothing that a later gradient would lack
    for _ in range(2):
        pyro.set_rng_seed(0)
        gradients.append(torch.stack(torch.autograd.grad(QUANTITIES[name](d), leaves[:3])))
    assert gradients[0].abs().sum() > 0
    assert_close(*gradients)


@pytest.mark.parametrize("fused", [False, True])
def test_it_follows_parameters_that_an_optimizer_moves(fused):
    leaves = [p.requires_grad_() for p in parameters(tilted(2.0, 0.4))]
    d, adam = TiltedNormal(*leaves), torch.optim.Adam(leaves, 0.5, fused=fused)
    for _ in range(2):
        adam.zero_grad()
        (d.mean - 3).square().backward()
        adam.step()
    new = TiltedNormal(*(p.detach() for p in leaves))
    assert_close(torch.stack([d.mean, d.cdf(d.mean)]), torch.stack([new.mean, new.cdf(new.mean)]))


def test_it_is_computed_in_inference_mode(several):
    with torch.inference_mode():
        d = TiltedNormal(*(p.clone() for p in parameters(several)))
        inside = d.mean, d.icdf(torch.tensor(0.3))
    assert_close(inside, (several.mean, several.icdf(torch.tensor(0.3))))
