"""Which images the figures of an example show."""

import importlib
import sys

import pytest
import torch
from helpers import EXAMPLES

import ccvae_pyro
from ccvae_pyro.labels import Binary, Categorical, Continuous


@pytest.fixture
def figures():
    if str(EXAMPLES) not in sys.path:
        sys.path.append(str(EXAMPLES))
    return importlib.import_module("figures")


def make(*labels):
    return ccvae_pyro.mnist(
        labels=labels, z_dim=sum(label.dim for label in labels) + 2, convolutions=False
    )


def test_generated_images_vary_every_label(figures):
    letters = Categorical("letter", tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    labels = letters, Continuous("weight", 400.0, 100.0), Binary("italic"), Binary("rare")
    y = torch.tensor([[3.0, 400, 0, 0]]).repeat(200, 1)
    y[:, 1] = torch.linspace(150, 650, 200)
    y[100:120, 2] = 1
    y[150, 3] = 1
    vectors = figures.labels_to_generate(make(*labels), y)
    assert vectors[:, 0].tolist() == list(range(26))
    assert vectors[:, 1].min() < 200
    assert vectors[:, 1].max() > 550
    assert set(vectors[:, 2].tolist()) == set(vectors[:, 3].tolist()) == {0, 1}


@pytest.mark.parametrize(("num_classes", "num_shown"), [(3, 8), (40, 26), (400, 26)])
def test_of_many_classes_some_are_generated(figures, num_classes, num_shown):
    label = Categorical("person", tuple(f"person_{i}" for i in range(num_classes)))
    y = torch.arange(60.0)[:, None] % num_classes
    classes = figures.labels_to_generate(make(label), y)[:, 0].tolist()
    assert len(classes) == num_shown
    assert len(set(classes)) == min(num_classes, num_shown)
    assert (min(classes), max(classes)) == (0, num_classes - 1)


def test_few_images_are_enough(figures):
    y = torch.tensor([[1.0, 0], [0, 1]])
    vectors = figures.labels_to_generate(make(Binary("Hat"), Binary("Beard")), y)
    assert {tuple(vector) for vector in vectors.tolist()} == {(1, 0), (0, 1)}
