"""The categorical distribution of nested dichotomies, against products of binary splits."""

import math

import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import NestedCategorical, sign_matrix


@pytest.mark.parametrize("balanced", [True, False], ids=["balanced", "in order"])
@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_the_probability_of_a_class_is_a_product_over_its_dichotomies(num_classes, balanced):
    signs = sign_matrix(num_classes, balanced=balanced)
    logits = torch.randn(5, num_classes - 1)
    fn = NestedCategorical(logits, signs)
    # The factors for signs of -1, 0 and 1.
    factors = torch.stack([torch.sigmoid(-logits), torch.ones_like(logits), torch.sigmoid(logits)])
    expected = [
        math.prod(factors[int(sign) + 1, 0, j].item() for j, sign in enumerate(signs_of_class))
        for signs_of_class in signs
    ]
    assert_close(fn.probs[0], torch.tensor(expected))
    assert_close(fn.probs.sum(-1), torch.ones(5))


def test_balanced_dichotomies_are_few_for_every_class_and_others_many():
    assert sign_matrix(16, balanced=True).abs().sum(1).tolist() == [4] * 16
    assert sign_matrix(4).abs().sum(1).tolist() == [1, 2, 3, 3]


@pytest.mark.parametrize("balanced", [True, False], ids=["balanced", "in order"])
@pytest.mark.parametrize("num_classes", [2, 3, 5, 8])
def test_any_probabilities_can_be_represented(num_classes, balanced):
    signs = sign_matrix(num_classes, balanced=balanced)
    probs = torch.rand(num_classes) + 0.05
    probs = probs / probs.sum()
    first, second = (probs @ (signs * side > 0).double() for side in (1, -1))
    assert_close(NestedCategorical((first / second).log(), signs).probs, probs)


def test_log_prob_is_that_of_its_class():
    fn = NestedCategorical(torch.randn(5, 2), sign_matrix(3))
    y = torch.tensor([0, 1, 2, 1, 0])
    assert_close(fn.log_prob(y).exp(), fn.probs[torch.arange(5), y])


def test_extreme_logits_leave_log_probabilities_finite():
    fn = NestedCategorical(torch.tensor([800.0, -800.0]), sign_matrix(3))
    assert fn.logits.isfinite().all()
    assert_close(fn.probs, torch.tensor([1.0, 0.0, 0.0]))


def test_samples_have_the_probabilities():
    fn = NestedCategorical(torch.tensor([0.3, -0.5, 1.0]), sign_matrix(4))
    samples = fn.sample((20_000,))
    assert_close(samples.bincount() / 20_000, fn.probs, atol=0.02, rtol=0)


def test_expand_keeps_the_dichotomies():
    fn = NestedCategorical(torch.randn(5, 2), sign_matrix(3))
    wide = fn.expand((4, 5))
    assert isinstance(wide, NestedCategorical)
    assert wide.batch_shape == (4, 5)
    assert_close(wide.probs, fn.probs.expand(4, 5, 3))


def test_there_may_be_thousands_of_classes():
    signs = sign_matrix(2000)
    assert torch.equal(signs, torch.eye(2000)[:, :-1] - torch.ones(2000, 1999).tril(-1))
