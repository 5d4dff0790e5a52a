"""Interventions under a label prior that is a tree: the other labels, sampled or following."""

import numpy as np
import pytest
import torch
from helpers import make_ccvae, make_mixed
from torch.testing import assert_close

from ccvae_pyro import celeba, edit, generate, predict
from ccvae_pyro.components import ChowLiuLabelPrior
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.interventions._dependent_labels import fill_missing

NAN = torch.nan


def hat_or_bald(num_rows=2000):
    """Nobody bald has a hat here; who is bald has a beard, and few others do."""
    rng = np.random.default_rng(0)
    bald = rng.random(num_rows) < 0.4
    beard = rng.random(num_rows) < np.where(bald, 0.999, 0.05)
    hat = ~bald & (rng.random(num_rows) < 0.5)
    return np.stack([bald, beard, hat], axis=1).astype(float)


@pytest.fixture
def model():
    """A model of bald, beard and hat whose predictions differ between images."""
    ccvae = make_ccvae()
    ccvae.label_prior = ChowLiuLabelPrior.fit(hat_or_bald(), ccvae.labels).double()
    ccvae.classifier.weight.data.fill_(3.0)
    ccvae.encoder.features[0].weight.data *= 4
    return ccvae


@pytest.fixture
def x():
    return torch.rand(60, 8)


def test_missing_labels_are_sampled_given_the_others(model):
    y = torch.tensor([[1.0, NAN, NAN], [NAN, NAN, 1.0]]).repeat(300, 1)
    filled = fill_missing(model, y)
    assert (filled[0::2, 0] == 1).all()
    assert filled[0::2, 2].mean() < 0.05
    assert filled[0::2, 1].mean() > 0.95
    assert filled[1::2, 0].mean() < 0.05
    assert generate(model, y[:2]).shape == (2, 8)
    assert torch.equal(fill_missing(model, filled), filled)


def test_missing_labels_of_every_kind_are_sampled():
    mixed = make_mixed()
    y = torch.tensor([[2.0, NAN, NAN, 1.0, NAN], [NAN, 1.0, 20.0, NAN, 0.3]])
    filled = fill_missing(mixed, y)
    assert not filled.isnan().any()
    assert_close(filled[~y.isnan()], y[~y.isnan()])
    mixed.label_prior = ChowLiuLabelPrior(mixed.labels).double()
    filled = fill_missing(mixed, y)
    assert not filled.isnan().any()
    assert_close(filled[~y.isnan()], y[~y.isnan()])


def test_by_default_other_labels_stay_as_they_are(model, x):
    before = model.encode(x)
    expected = before[0].clone()
    expected[:, 2] = model.latent_prior(2, 1.0)[0]
    with torch.no_grad():
        assert_close(edit(model, x, "Wearing_Hat", 1), model.decode(expected, before[1]))
    with torch.no_grad():
        assert_close(edit(model, x, 2, 1, mode="do"), model.decode(expected, before[1]))


def test_other_labels_follow_and_it_is_explained(model, x):
    predicted = predict(model, x)[0]
    images, changes = edit(model, x, "Bald", 1, mode="condition", explain=True)
    has_hat, has_beard = predicted[:, 2] == 1, predicted[:, 1] == 1
    assert 5 < has_hat.sum() < 55
    for row, changed in enumerate(changes):
        assert ("Wearing_Hat" in changed) == has_hat[row]
        assert ("Beard" in changed) == (not has_beard[row])
        if predicted[row, 0] == 0:
            assert changed["Bald"] == (0.0, 1.0)
    z_c, z_style = (z.clone() for z in model.encode(x))
    z_c[:, 0] = model.latent_prior(0, 1.0)[0]
    z_c[has_hat, 2] = model.latent_prior(2, 0.0)[0]
    z_c[~has_beard, 1] = model.latent_prior(1, 1.0)[0]
    with torch.no_grad():
        assert_close(images, model.decode(z_c, z_style))
    assert torch.equal(images, edit(model, x, {"Bald": 1}, mode="condition"))


def test_what_is_set_itself_does_not_follow(model, x):
    _, changes = edit(model, x, {"Bald": 1, "Wearing_Hat": 1}, mode="condition", explain=True)
    assert all(changed.get("Wearing_Hat", (0, 1))[1] == 1 for changed in changes)


def test_an_explanation_of_a_plain_edit_has_its_label_alone(model, x):
    predicted = predict(model, x)[0]
    _, changes = edit(model, x, "Beard", 0, explain=True)
    expected = [{"Beard": (1.0, 0.0)} if has else {} for has in (predicted[:, 1] == 1)]
    assert changes == expected


def test_independent_labels_follow_nothing():
    ccvae = make_ccvae()
    with pytest.raises(UnsupportedError, match="with a ChowLiuLabelPrior, got BernoulliLabelPr"):
        edit(ccvae, torch.rand(2, 8), "Bald", 1, mode="condition")


def test_a_mode_that_there_is_not_is_an_error(model, x):
    with pytest.raises(ValueError, match="mode must be 'do' or 'condition', got 'see'"):
        edit(model, x, "Bald", 1, mode="see")


def test_a_continuous_label_can_be_set_while_others_stay():
    mixed = make_mixed()
    mixed.label_prior = ChowLiuLabelPrior(mixed.labels).double()
    x = torch.rand(3, 8)
    expected = edit(mixed, x, "Age", 40)
    assert_close(edit(mixed, x, "Age", 40, mode="condition"), expected)


def test_it_takes_models_of_presets():
    torch.set_default_dtype(torch.float32)
    prior = ChowLiuLabelPrior.fit(hat_or_bald())
    ccvae = celeba(num_labels=3, z_dim=6, label_prior=prior)
    x = torch.rand(2, 3, 64, 64)
    assert edit(ccvae, x, 0, 1, mode="condition").shape == x.shape
