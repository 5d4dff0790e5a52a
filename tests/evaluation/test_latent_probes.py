"""Linear probes of latents whose information about labels is known."""

import numpy as np
import pytest
import torch

from ccvae_pyro import Binary, Categorical, Continuous, mnist
from ccvae_pyro.evaluation.latent_probes import Encodings, encode_all, linear_probes

LABELS = [
    Binary("Hat", 0.5),
    Categorical("Hair", ("black", "red", "grey")),
    Continuous("Age", 40.0, 10.0),
]


@pytest.fixture
def model():
    return mnist(z_dim=8, labels=LABELS)


def encodings(model, hat_in_style=False, age_in_others=False, num=600, seed=0):
    """Encodings in which a label's own characteristics predict it."""
    rng = np.random.default_rng(seed)
    y = np.column_stack(
        [rng.integers(0, 2, num), rng.integers(0, 3, num), rng.normal(40, 10, num)]
    )
    z_c = rng.normal(size=(num, 4))
    z_c[:, 0] += 20 * y[:, 0]
    z_c[:, model.latent_slice(1)] += 20 * np.array([[0, 0], [0, 1], [1, 0]])[y[:, 1].astype(int)]
    z_c[:, model.latent_slice(2)] = 3 * y[:, 2:]
    if age_in_others:
        z_c[:, :1] += y[:, 2:]
    z_style = rng.normal(size=(num, 4))
    if hat_in_style:
        z_style[:, 1] += 20 * y[:, 0]
    return Encodings(z_c, z_style, y)


def test_a_label_is_predicted_from_its_own_characteristics_only(model):
    scores = linear_probes(model, encodings(model), encodings(model, seed=1))
    for name, chance in (("Hat", 1 / 2), ("Hair", 1 / 3), ("Age", 0.0)):
        assert scores[name]["own"] == pytest.approx(1, abs=0.01)
        assert scores[name]["others"] == pytest.approx(chance, abs=0.07)
        assert scores[name]["style"] == pytest.approx(chance, abs=0.07)


def test_information_in_other_latents_is_detected(model):
    train, test = (
        encodings(model, hat_in_style=True, age_in_others=True, seed=seed) for seed in (0, 1)
    )
    scores = linear_probes(model, train, test)
    assert scores["Hat"]["style"] == pytest.approx(1, abs=0.01)
    assert scores["Age"]["others"] > 0.3
    assert scores["Hair"]["style"] < 0.4


def test_missing_labels_are_left_out(model):
    train, test = encodings(model), encodings(model, seed=1)
    train.y[::2, 0] = test.y[1::2, 0] = np.nan
    train.y[:, 1] = 2
    scores = linear_probes(model, train, test)
    assert scores["Hat"]["own"] == pytest.approx(1, abs=0.01)
    assert all(np.isnan(score) for score in scores["Hair"].values())


def test_images_are_encoded_in_their_order(model):
    torch.set_default_dtype(torch.float32)
    model = mnist(z_dim=8, labels=LABELS)
    x, y = torch.rand(5, 1, 28, 28), torch.randint(2, (5, 3)).float()
    actual = encode_all(model, [(x[:2], y[:2]), (x[2:], y[2:])])
    z_c, z_style = (z.detach().numpy() for z in model.encode(x))
    np.testing.assert_allclose(actual.z_c, z_c, atol=1e-5)
    np.testing.assert_allclose(actual.z_style, z_style, atol=1e-5)
    np.testing.assert_allclose(actual.y, y.numpy())
    np.testing.assert_allclose(actual.z, np.concatenate([z_c, z_style], axis=1), atol=1e-5)
