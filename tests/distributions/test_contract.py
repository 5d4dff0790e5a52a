"""What PyTorch and Pyro ask of every distribution, of all of the package's."""

import math

import pyro.distributions as dist
import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import LabelVector, NestedCategorical, TiltedNormal, sign_matrix
from ccvae_pyro.components import (
    ClassConditionalPrior,
    GaussianConditionalPrior,
    LinearConditionalPrior,
)
from ccvae_pyro.distributions import (
    AffineBinary,
    AffineCategorical,
    AffineContinuous,
    AffineLabels,
    FusedNormal,
    LabelGroup,
    LabelwisePrior,
    LogitBernoulli,
    ObservedLabels,
    PartiallyObserved,
    SharedScaleLaplace,
)

COLUMNS = [torch.tensor([0]), torch.tensor([1]), torch.tensor([2])]
LATENTS = [torch.tensor([[0]]), torch.tensor([[1, 2]]), torch.tensor([[3]])]


def affine():
    ones = torch.ones(2, requires_grad=True)
    return AffineLabels(
        torch.randn(4, 4),
        AffineBinary(ones[:1], ones[:1], COLUMNS[0], LATENTS[0]),
        AffineCategorical(ones, ones, sign_matrix(3), COLUMNS[1], LATENTS[1]),
        AffineContinuous(ones[:1], ones[:1], ones[:1], COLUMNS[2], LATENTS[2]),
    )


def binary():
    return LabelVector([LabelGroup(LogitBernoulli(logits=torch.randn(4, 3)))])


def some_missing():
    return torch.tensor([[0.0, math.nan, 1], [math.nan] * 3, [1, 1, 1], [math.nan, 0, 0]])


# Each of batch shape (4,), once its events are those of a vector.
DISTRIBUTIONS = {
    "FusedNormal": lambda: FusedNormal(torch.randn(4, 3), torch.rand(4, 3) + 1).to_event(1),
    "LogitBernoulli": lambda: LogitBernoulli(logits=torch.randn(4, 3)).to_event(1),
    "NestedCategorical": lambda: NestedCategorical(torch.randn(4, 2), sign_matrix(3)),
    "SharedScaleLaplace": lambda: SharedScaleLaplace(torch.randn(4, 3), torch.tensor(0.5), 1),
    "TiltedNormal": lambda: TiltedNormal(torch.randn(4, 3), 1.0, 2.0, torch.randn(3)).to_event(1),
    "LabelVector": lambda: LabelVector(affine().groups),
    "AffineLabels": affine,
    "ObservedLabels": lambda: ObservedLabels(affine()),
    "PartiallyObserved": lambda: PartiallyObserved(binary(), some_missing(), count_observed=True),
    "GaussianConditionalPrior": lambda: GaussianConditionalPrior(3)(torch.rand(4, 3)),
    "ClassConditionalPrior": lambda: ClassConditionalPrior(sign_matrix(4), 1)(torch.ones(4, 1)),
    "LinearConditionalPrior": lambda: LinearConditionalPrior(3.0, 2.0, 2)(torch.ones(4, 1)),
}


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request):
    """The dtype of a distribution's parameters, where the default is another one."""
    torch.set_default_dtype(request.param)
    return request.param


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_values_and_densities_have_the_dtype_of_the_parameters(name, dtype):
    fn = DISTRIBUTIONS[name]()
    torch.set_default_dtype(torch.float64)
    values = fn.sample((5,))
    assert values.shape == (5, *fn.batch_shape, *fn.event_shape)
    assert fn.log_prob(values).shape == (5, 4)
    assert fn.log_prob(values).dtype == dtype
    if name != "NestedCategorical":  # whose values are indices
        assert values.dtype == dtype


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_an_expanded_distribution_repeats_the_density_and_not_the_samples(name):
    fn = DISTRIBUTIONS[name]()
    wide = fn.expand([50, 4])
    assert (wide.batch_shape, wide.event_shape) == ((50, 4), fn.event_shape)
    values = wide.sample()
    assert values.shape == (50, 4, *fn.event_shape)
    assert len(values.unique(dim=0)) > 1
    assert_close(wide.log_prob(values), fn.log_prob(values))


# Where missing labels are enumerated, PartiallyObserved does not say that it could sample, too.
@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS.keys() - {"PartiallyObserved"}))
def test_it_has_pathwise_samples_if_it_says_so(name):
    fn = DISTRIBUTIONS[name]()
    if fn.has_rsample:
        assert fn.rsample((2,)).shape == fn.sample((2,)).shape
    else:
        with pytest.raises(NotImplementedError):
            fn.rsample()


@pytest.mark.parametrize("given", [lambda y: dist.StudentT(4.0, y), lambda y: dist.Poisson(y + 1)])
def test_a_labelwise_prior_samples_with_a_pathwise_gradient_or_without(given):
    y = torch.zeros(4, 3, requires_grad=True)
    is_pathwise = given(y).has_rsample
    assert LabelwisePrior(given, y)().requires_grad == is_pathwise


@pytest.mark.parametrize("name", ["AffineLabels", "GaussianConditionalPrior"])
def test_what_is_first_asked_for_without_gradients_has_them_later(name):
    fn = {
        "AffineLabels": affine,
        "GaussianConditionalPrior": lambda: GaussianConditionalPrior(3)(torch.rand(4, 3)),
    }[name]()
    with torch.no_grad():
        value = fn.sample()
        fn.log_prob(value)
    assert fn.log_prob(value).requires_grad


BAD = {
    "a negative scale": (lambda: FusedNormal(torch.zeros(3), -torch.ones(3)), "scale"),
    "a scale of NaN": (lambda: FusedNormal(torch.zeros(3), torch.tensor(math.nan)), "scale"),
    "a negative Laplace scale": (
        lambda: SharedScaleLaplace(torch.zeros(4, 3), torch.tensor(-1.0), 1),
        "scale",
    ),
    "several Laplace scales": (
        lambda: SharedScaleLaplace(torch.zeros(4, 3), torch.ones(3), 1),
        r"wanted one scale, .* got shapes \(3,\) and \(4, 3\)",
    ),
    "logits of NaN": (lambda: LogitBernoulli(logits=torch.tensor(math.nan)), "logits"),
    "probabilities above 1": (lambda: LogitBernoulli(probs=torch.tensor(1.5)), "probs"),
    "dichotomies of NaN": (
        lambda: NestedCategorical(torch.tensor([math.nan, 0.0]), sign_matrix(3)),
        "logits",
    ),
    "one dichotomy of three": (
        lambda: NestedCategorical(torch.zeros(5, 1), sign_matrix(4)),
        r"wanted a logit for each dichotomy .*\(4, 3\), got logits of shape \(5, 1\)",
    ),
    "one class": (lambda: sign_matrix(1), "at least 2 classes, got 1"),
    "too many labels": (
        lambda: binary().log_prob(torch.zeros(4, 5)),
        r"label vectors of 3 labels, got an array of shape \(4, 5\)",
    ),
    "one label for all": (
        lambda: affine().log_prob(torch.zeros(4, 1)),
        r"label vectors of 3 labels, got an array of shape \(4, 1\)",
    ),
    "one observed label for all": (
        lambda: PartiallyObserved(binary(), torch.zeros(4, 1), count_observed=True),
        r"label vectors of 3 labels, got an array of shape \(4, 1\)",
    ),
    "one label to score for all": (
        lambda: ObservedLabels(binary()).log_prob(torch.zeros(4, 1)),
        r"label vectors of 3 labels, got an array of shape \(4, 1\)",
    ),
    "latents of other labels": (
        lambda: LabelwisePrior(lambda y: dist.Normal(y[..., :2], 1), torch.zeros(4, 3)).mean,
        r"wanted a distribution of 3 latents, got Normal of batch shape \(4, 2\)",
    ),
    "a value of NaN": (
        lambda: FusedNormal(0.0, torch.ones(3)).expand((4, 3)).log_prob(torch.tensor(math.nan)),
        "within the support",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_a_line_that_says_what_was_got(case):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make()
