"""Label priors: their probabilities, and what they refuse."""

import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import components


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, float("nan")])
def test_a_prevalence_of_none_or_all_is_an_error(prevalence):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        components.BernoulliLabelPrior(torch.tensor([0.5, prevalence]))


def test_class_frequencies_are_normalized():
    prior = components.CategoricalLabelPrior(torch.tensor([1.0, 2.0, 5.0]))
    assert_close(prior().probs, torch.tensor([[0.125, 0.25, 0.625]]))


@pytest.mark.parametrize("frequency", [0.0, -1.0, float("nan")])
def test_a_class_frequency_that_is_not_positive_is_an_error(frequency):
    with pytest.raises(ValueError, match="must be positive"):
        components.CategoricalLabelPrior(torch.tensor([0.5, frequency]))


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan")])
def test_a_standard_deviation_that_is_not_positive_is_an_error(std):
    with pytest.raises(ValueError, match="standard deviation of a label must be positive"):
        components.NormalLabelPrior(0.0, std)
