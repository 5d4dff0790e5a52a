"""Metrics of edits of models whose edits are known."""

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import Binary, Categorical, Continuous
from ccvae_pyro.distributions.label_vector import LabelPart, LabelVector
from ccvae_pyro.evaluation.edit_metrics import (
    EditMetrics,
    composition,
    edit_metrics,
    pixel_variance,
    swap_distance,
)
from ccvae_pyro.models.base import ImageModel

BATCH, SIDE = 40, 4


class Strip(ImageModel):
    """Images with a row of pixels for each latent: labels above, style below.

    :param leak: the coefficient of each label in the next label's row.
    """

    def __init__(self, labels, leak=0.0, std=0.1):
        super().__init__(labels)
        self.leak, self.std = torch.nn.Parameter(torch.tensor(leak)), std

    def encode(self, x):
        z_c = x[:, 0, : len(self.labels), 0]
        return z_c.clone(), x[:, 0, len(self.labels) :, 0]

    def decode(self, z_c, z_style):
        shown = z_c + self.leak.detach() * z_c.roll(1, dims=-1)
        rows = torch.cat([shown, z_style], dim=-1)
        return rows[..., None, :, None].expand(*rows.shape[:-1], 1, rows.shape[-1], SIDE)

    def latent_slice(self, index):
        return slice(index, index + 1)

    def latent_prior(self, index, value):
        return torch.tensor([float(value)]), torch.tensor([self.std])

    def sample_latents(self, y):
        return y + self.std * torch.randn_like(y), torch.randn(*y.shape[:-1], 2)


class Oracle(ImageModel):
    """Predicts labels from their rows of pixels, or at random."""

    def __init__(self, labels, is_random=False):
        super().__init__(labels)
        self.is_random = is_random

    def q_y_x(self, x):
        rows = torch.rand(len(x), 3) if self.is_random else x[:, 0, :3, 0]
        return dist.Bernoulli(logits=20 * (rows - 0.5)).to_event(1)


LABELS = [Binary("Hat", 0.5), Binary("Beard", 0.5), Binary("Smile", 0.5)]


@pytest.fixture
def x():
    """Images of a strip, whose labels are 0 or 1."""
    rows = torch.cat([torch.randint(2, (BATCH, 3)), torch.rand(BATCH, 2)], dim=1)
    return rows[:, None, :, None].expand(-1, 1, -1, SIDE)


def test_disentangled_edits_change_the_edited_label_only(x):
    metrics = edit_metrics(Strip(LABELS), Oracle(LABELS), x)
    assert metrics.edit_accuracy["Beard"] == {"balanced_accuracy": 1.0, "f1": 1.0}
    np.testing.assert_allclose(metrics.change, np.eye(3), atol=1e-3)
    assert metrics.dominance > 1_000


def test_the_change_of_another_label_is_off_the_diagonal(x):
    metrics = edit_metrics(Strip(LABELS, leak=1.0), Oracle(LABELS), x)
    is_own_or_next = np.eye(3, dtype=bool) | np.roll(np.eye(3, dtype=bool), 1, axis=1)
    np.testing.assert_array_equal(metrics.change > 0.1, is_own_or_next)


def test_a_model_that_ignores_labels_is_at_chance(x):
    labels = [Binary(str(i), 0.5) for i in range(3)]
    model = Strip(labels)
    model.decode = lambda z_c, z_style: x
    metrics = edit_metrics(model, Oracle(labels), x)
    assert all(label["balanced_accuracy"] == 0.5 for label in metrics.edit_accuracy.values())
    np.testing.assert_allclose(metrics.change, 0, atol=1e-9)


def test_a_random_oracle_is_at_chance(x):
    x = x.repeat(25, 1, 1, 1)
    metrics = edit_metrics(Strip(LABELS), Oracle(LABELS, is_random=True), x)
    for label in metrics.edit_accuracy.values():
        assert label["balanced_accuracy"] == pytest.approx(0.5, abs=0.05)
    assert metrics.dominance == pytest.approx(1, abs=0.1)


class MixedOracle(ImageModel):
    """Predicts three classes from the first row and a continuous label from the second."""

    def q_y_x(self, x):
        classes = dist.Categorical(
            logits=-20 * (x[:, 0, 0, :1] - torch.arange(3.0).to(x)).abs()[:, None]
        )
        age = dist.Normal(x[:, 0, 1, :1], 1.0)
        columns = [torch.tensor([0]), torch.tensor([1])]
        return LabelVector([LabelPart(classes, columns[0]), LabelPart(age, columns[1])])


def test_categorical_and_continuous_labels_are_measured_too():
    labels = [Categorical("Hair", ("black", "red", "grey")), Continuous("Age", 40.0, 10.0)]
    x = torch.rand(BATCH, 1, 4, SIDE)
    metrics = edit_metrics(Strip(labels), MixedOracle(labels), x)
    assert metrics.edit_accuracy["Hair"] == {"balanced_accuracy": 1.0, "f1": 1.0}
    assert metrics.edit_accuracy["Age"]["r_squared"] == pytest.approx(1)
    np.testing.assert_allclose(metrics.change, np.eye(2), atol=1e-3)


def test_a_perfect_swap_has_distance_0(x):
    model, donor = Strip(LABELS), x.flip(0)
    after, before = swap_distance(model, x, donor, "Beard")
    assert after == 0
    values = donor[:, 0, 1, 0]
    expected = (x[:, 0, 1, 0] - values).abs().mean() / values.std()
    assert before == pytest.approx(expected.item(), rel=1e-5)
    assert swap_distance(model, x, donor, 1) == (after, before)


def test_swaps_of_a_model_that_ignores_latents_keep_the_distance(x):
    model = Strip(LABELS)
    model.decode = lambda z_c, z_style: x
    after, before = swap_distance(model, x, x.flip(0), "Beard")
    assert after == before > 0


def test_composition_of_the_identity_is_0(x):
    assert composition(Strip(LABELS), x) == [0.0] * 5


def test_composition_has_the_error_of_every_round(x):
    fading = Strip(LABELS)
    decode = fading.decode
    fading.decode = lambda z_c, z_style: 0.9 * decode(z_c, z_style)
    errors = composition(fading, x, num_rounds=3)
    expected = [(1 - 0.9**n) * x.mean().item() for n in (1, 2, 3)]
    assert errors == pytest.approx(expected, rel=1e-4)


def test_the_variance_of_pixels_is_that_of_the_prior_where_the_label_appears(x):
    variance = pixel_variance(Strip(LABELS, std=0.3), x, "Beard", 1, num_samples=4000)
    assert variance.shape == (BATCH, 5, SIDE)
    expected = torch.zeros(BATCH, 5, SIDE)
    expected[:, 1] = 0.3**2
    assert_close(variance, expected, atol=0.01, rtol=0)


def test_a_single_label_has_no_change_of_other_labels():
    metrics = EditMetrics({"Hat": {}}, np.array([[0.7]]))
    assert metrics.change_of_edited_label == 0.7
    assert np.isnan([metrics.change_of_other_labels, metrics.dominance]).all()
