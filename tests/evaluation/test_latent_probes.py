"""Probes of latents that are known to tell a label, or not to."""

import numpy as np
import pytest
import torch

from ccvae_pyro import Binary, Categorical, Continuous, mnist
from ccvae_pyro.evaluation.latent_probes import Codes, encode_all, leakage

LABELS = [
    Binary("Hat", 0.5),
    Categorical("Hair", ("black", "red", "grey")),
    Continuous("Age", 40.0, 10.0),
]


@pytest.fixture
def model():
    return mnist(z_dim=8, labels=LABELS)


def codes(model, style_tells_hat=False, others_tell_age=False, num=600, seed=0):
    """Codes in which a label's own characteristics tell it."""
    rng = np.random.default_rng(seed)
    y = np.column_stack(
        [rng.integers(0, 2, num), rng.integers(0, 3, num), rng.normal(40, 10, num)]
    )
    z_c = rng.normal(size=(num, 4))
    z_c[:, 0] += 20 * y[:, 0]
    z_c[:, model.latent_slice(1)] += 20 * np.array([[0, 0], [0, 1], [1, 0]])[y[:, 1].astype(int)]
    z_c[:, model.latent_slice(2)] = 3 * y[:, 2:]
    if others_tell_age:
        z_c[:, :1] += y[:, 2:]
    z_style = rng.normal(size=(num, 4))
    if style_tells_hat:
        z_style[:, 1] += 20 * y[:, 0]
    return Codes(z_c, z_style, y)


def test_a_label_is_told_by_its_own_characteristics_alone(model):
    figures = leakage(model, codes(model), codes(model, seed=1))
    for name, chance in (("Hat", 1 / 2), ("Hair", 1 / 3), ("Age", 0.0)):
        assert figures[name]["own"] == pytest.approx(1, abs=0.01)
        assert figures[name]["others"] == pytest.approx(chance, abs=0.07)
        assert figures[name]["style"] == pytest.approx(chance, abs=0.07)


def test_what_leaks_is_found(model):
    figures = leakage(
        model,
        codes(model, style_tells_hat=True, others_tell_age=True),
        codes(model, style_tells_hat=True, others_tell_age=True, seed=1),
    )
    assert figures["Hat"]["style"] == pytest.approx(1, abs=0.01)
    assert figures["Age"]["others"] > 0.3
    assert figures["Hair"]["style"] < 0.4


def test_labels_that_are_missing_are_left_out(model):
    train, test = codes(model), codes(model, seed=1)
    train.y[::2, 0] = test.y[1::2, 0] = np.nan
    train.y[:, 1] = 2
    figures = leakage(model, train, test)
    assert figures["Hat"]["own"] == pytest.approx(1, abs=0.01)
    assert all(np.isnan(score) for score in figures["Hair"].values())


def test_images_are_encoded_in_their_order(model):
    torch.set_default_dtype(torch.float32)
    model = mnist(z_dim=8, labels=LABELS)
    x, y = torch.rand(5, 1, 28, 28), torch.rand(5, 3)
    together = encode_all(model, [(x[:2], y[:2]), (x[2:], y[2:])])
    z_c, z_style = model.encode(x)
    expected = [each.detach().numpy() for each in (z_c, z_style, y)]
    for actual, wanted in zip(together, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, atol=1e-5)
