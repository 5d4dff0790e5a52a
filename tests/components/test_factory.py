"""The parts of a model of labels of any kinds: which columns and latents are of which label."""

import pytest
import torch
from helpers import MIXED_LABEL_VECTORS, MIXED_LABELS, make_mixed
from torch.testing import assert_close

from ccvae_pyro import Binary, Categorical, Continuous, components
from ccvae_pyro.components import label_modules
from ccvae_pyro.labels import block_of


@pytest.mark.parametrize("index", range(len(MIXED_LABELS)))
def test_the_latents_of_a_label_depend_on_that_label_alone(index):
    prior = make_mixed().conditional_prior
    y = torch.tensor(MIXED_LABEL_VECTORS)[0]
    other = y.clone()
    other[index] = 0.0 if y[index] else 1.0
    has_moved = prior(y).mean != prior(other).mean
    block = block_of(MIXED_LABELS, index)
    assert has_moved[block].all()
    assert has_moved.sum() == MIXED_LABELS[index].dim


@pytest.mark.parametrize("index", range(len(MIXED_LABELS)))
def test_a_label_depends_on_its_own_latents_alone(index):
    classifier = make_mixed().classifier
    z_c = torch.randn(1, 8, requires_grad=True)
    y = torch.tensor(MIXED_LABEL_VECTORS)[:1]
    (group,) = (g for g in classifier(z_c).groups if index in g.columns.tolist())
    column = group.columns.tolist().index(index)
    group.distribution.log_prob(group.labels(y))[0, column].backward()
    entries = z_c.grad[0].nonzero()[:, 0].tolist()
    label = MIXED_LABELS[index]
    start, num_read = block_of(MIXED_LABELS, index).start, label.dim - label.extra_dims
    # A dichotomy that the class takes no side of is not read.
    assert entries == list(range(start, start + num_read))


def test_plain_binary_labels_have_the_modules_of_the_paper():
    modules = label_modules([Binary("Hat", 0.2), Binary("Beard", 0.6)])
    assert isinstance(modules.classifier, components.DiagonalClassifier)
    assert isinstance(modules.conditional_prior, components.GaussianConditionalPrior)
    assert isinstance(modules.label_prior, components.BernoulliLabelPrior)
    assert_close(modules.label_prior().mean, torch.tensor([0.2, 0.6]))


@pytest.mark.parametrize(
    "label",
    [
        Binary("Hat", 0.2, extra_dims=1),
        Categorical("Hair", ("a", "b", "c"), (0.5, 0.3, 0.2), extra_dims=1),
        Continuous("Age", 30.0, 10.0, extra_dims=1),
    ],
    ids=["binary", "classes", "continuous"],
)
def test_a_single_label_has_the_densities_of_its_own_modules(label):
    """The same in a group of one: columns and latents are in their order."""
    classifier, conditional_prior, label_prior = label_modules([label])
    z_c, y = torch.randn(4, label.dim), torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    single, prior = classifier.of_group[0], conditional_prior.of_group[0]
    latents = torch.arange(label.dim)[None]
    declared = single.group(None, latents).distribution(z_c)
    assert_close(classifier(z_c).log_prob(y), declared.log_prob(y)[:, 0])
    assert_close(conditional_prior(y).log_prob(z_c), prior(y).log_prob(z_c))
    base = getattr(label_prior.of_group[0](), "base_dist", label_prior.of_group[0]())
    assert_close(label_prior().log_prob(y), base.log_prob(y)[:, 0])


def test_a_state_of_buffers_is_not_saved_for_columns_and_latents():
    names = make_mixed().state_dict()
    assert not [name for name in names if "columns" in name or "latents" in name]
