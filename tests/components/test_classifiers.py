"""Classifiers: which latent each label depends on, and the affine maps that they declare."""

import math

import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import (
    Binary,
    Categorical,
    Continuous,
    NestedCategorical,
    Ordinal,
    components,
    networks,
    sign_matrix,
)
from ccvae_pyro.distributions import AffineLabels


def test_each_label_depends_on_its_own_latent_alone():
    classifier = components.DiagonalClassifier(3)
    z_c = torch.zeros(3, requires_grad=True)
    classifier(z_c).mean[1].backward()
    assert (z_c.grad != 0).tolist() == [False, True, False]


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("num_classes", [2, 5])
def test_all_classes_start_equally_likely(num_classes, balanced):
    classifier = components.NestedClassifier(sign_matrix(num_classes, balanced=balanced))
    probs = classifier(torch.zeros(1, num_classes - 1)).groups[0].distribution.probs
    assert_close(probs, torch.full((1, 1, num_classes), 1 / num_classes))


def test_the_dichotomies_of_a_class_have_a_latent_each():
    signs = sign_matrix(4)
    classifier = components.NestedClassifier(signs)
    for parameter in classifier.parameters():
        parameter.data += torch.randn_like(parameter)
    z_c, y = torch.randn(6, 3), torch.tensor([[0.0], [1], [2], [3], [2], [0]])
    expected = NestedCategorical(classifier.weight * z_c + classifier.bias, signs)
    assert_close(classifier(z_c).log_prob(y), expected.log_prob(y[:, 0]))


def test_a_regressor_has_its_labels_unit():
    classifier = components.LinearRegressor(mean=30.0, std=10.0)
    z_c = torch.tensor([[0.0], [2.0]])
    assert_close(classifier(z_c).mean, torch.tensor([[30.0], [40.0]]))


@pytest.mark.parametrize(
    ("classifier", "num_latents"),
    [
        (components.DiagonalClassifier(3), 3),
        (components.NestedClassifier(sign_matrix(3)), 2),
        (components.LinearRegressor(0.0, 1.0), 1),
    ],
    ids=["binary", "classes", "continuous"],
)
def test_classifiers_declare_their_affine_maps(classifier, num_latents):
    z_c = torch.randn(4, num_latents)
    labels = classifier(z_c)
    assert isinstance(labels, AffineLabels)
    assert labels.z_c is z_c


def test_a_network_classifies_labels_of_all_kinds():
    labels = [Binary("Hat"), Categorical("Hair", ("a", "b", "c")), Continuous("Age", 30.0, 10.0)]
    head = components.LabelHead(labels)
    assert head.num_features == 1 + 3 + 2
    classifier = components.NetworkClassifier(networks.mlp(8, 6), labels)
    q_y = classifier(torch.rand(4, 8))
    assert (q_y.batch_shape, q_y.event_shape) == ((4,), (3,))
    features = torch.tensor([[0.5, 1.0, 2.0, 3.0, 0.1, 0.0]])
    hat, hair, age = (group.distribution for group in head(features).groups)
    assert_close(hat.logits, features[:, :1])
    assert_close(hair.probs[:, 0], features[:, 1:4].softmax(-1))
    assert_close(age.mean, 30 + 10 * features[:, 4:5])


def test_the_variance_of_a_rank_is_at_least_that_of_rounding():
    classifier = components.OrdinalRegressor(mean=1.0, std=0.5)
    classifier.raw_scale.data.fill_(-50.0)
    q_y = classifier(torch.zeros(2, 1)).groups[0].distribution
    assert_close(q_y.variance, torch.full((2, 1), 1 / 12), atol=1e-6, rtol=0)
    classifier.raw_scale.data.fill_(0.0)
    q_y = classifier(torch.zeros(2, 1)).groups[0].distribution
    assert_close(q_y.stddev, torch.full((2, 1), (0.25 * math.log(2) ** 2 + 1 / 12) ** 0.5))
    head = components.LabelHead([Ordinal("n", ("low", "mid", "high"))])
    certain = head(torch.tensor([[0.0, -50.0]])).groups[0].distribution
    assert_close(certain.stddev, torch.full((1, 1), 12**-0.5), atol=1e-5, rtol=0)
