from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import make_ccvae
from torch.testing import assert_close

from ccvae_pyro import (
    Binary,
    Categorical,
    Continuous,
    celeba,
    edit,
    interpolate_to_label,
    load,
    predict,
    reconstruct,
    sample_variations,
    save,
    swap,
    walk,
)
from ccvae_pyro.data import LabeledImages, load_avatars
from ccvae_pyro.data.exclusivity import exclusive_pairs


@pytest.fixture
def bald_or_with_a_hat():
    """A model whose first and third labels exclude each other, images, and their labels."""
    model = make_ccvae()
    excludes = [("Wearing_Hat",), (), ("Bald",)]
    model.labels = tuple(
        replace(label, excludes=each) for label, each in zip(model.labels, excludes, strict=True)
    )
    model.classifier.weight.data.fill_(3.0)
    model.encoder.features[0].weight.data *= 4  # so that the labels of images differ
    x = torch.rand(200, 8)
    is_true = predict(model, x)[0] == 1
    prevalence = is_true.double().mean(0)
    assert ((prevalence > 0.1) & (prevalence < 0.9)).all()
    return model, x, is_true


def decoded(model, z_c, z_style):
    with torch.no_grad():
        return model.decode(z_c, z_style)


def encoded(model, x):
    with torch.no_grad():
        return model.encode(x)


def prior_mean(model, index, value):
    return model.latent_prior(index, value)[0].detach()


def test_excluded_labels_are_set_to_0_in_the_images_that_have_them(bald_or_with_a_hat):
    model, x, is_true = bald_or_with_a_hat
    z_c, z_style = encoded(model, x)
    z_c[:, 0] = prior_mean(model, 0, 1.0)
    assert_close(edit(model, x, "Bald", 1, keep_conflicting=True), decoded(model, z_c, z_style))
    z_c[is_true[:, 2], 2] = prior_mean(model, 2, 0.0)
    assert_close(edit(model, x, "Bald", 1), decoded(model, z_c, z_style))


def test_setting_a_label_to_0_changes_no_other(bald_or_with_a_hat):
    model, x, _ = bald_or_with_a_hat
    assert_close(edit(model, x, "Bald", 0), edit(model, x, "Bald", 0, keep_conflicting=True))


def test_target_labels_may_exclude_each_other(bald_or_with_a_hat):
    model, x, _ = bald_or_with_a_hat
    both = {"Bald": 1, "Wearing_Hat": 1}
    assert_close(edit(model, x, both), edit(model, x, both, keep_conflicting=True))


def test_interpolations_end_at_the_edit_and_walks_are_without_excluded_labels(bald_or_with_a_hat):
    model, x, is_true = bald_or_with_a_hat
    assert_close(interpolate_to_label(model, x, "Bald", 1)[:, -1], edit(model, x, "Bald", 1))
    assert_close(interpolate_to_label(model, x, "Bald", 1)[:, 0], reconstruct(model, x))
    with_hat = x[is_true[:, 2]]
    assert_close(walk(model, with_hat, "Bald")[:, -1], end_of_walk(model, with_hat))


def end_of_walk(model, x):
    """The images two standard deviations beyond the mean given "bald", without the hat."""
    z_c, z_style = encoded(model, x)
    mean, std = model.latent_prior(0, 1.0)
    sign = (mean - prior_mean(model, 0, 0.0)).sign()
    z_c[:, 0] = (mean + 2 * sign * std).detach()
    z_c[:, 2] = prior_mean(model, 2, 0.0)
    return decoded(model, z_c, z_style)


def test_variations_are_without_excluded_labels(bald_or_with_a_hat):
    model, x, is_true = bald_or_with_a_hat
    torch.manual_seed(1)
    images = sample_variations(model, x, "Bald", 1, num_samples=3)
    torch.manual_seed(1)
    conflicting = sample_variations(model, x, "Bald", 1, num_samples=3, keep_conflicting=True)
    changed = (images != conflicting).flatten(1).any(1)
    assert torch.equal(changed, is_true[:, 2])


def test_excluded_labels_are_swapped_where_image_and_donor_differ(bald_or_with_a_hat):
    model, x, is_true = bald_or_with_a_hat
    donor = x.flip(0)
    (z_c, z_style), (donor_z_c, _) = encoded(model, x), encoded(model, donor)
    z_c[:, 0] = donor_z_c[:, 0]
    assert_close(
        swap(model, x, donor, "Bald", keep_conflicting=True), decoded(model, z_c, z_style)
    )
    differ = is_true[:, 0] != is_true.flip(0)[:, 0]
    z_c[differ, 2] = donor_z_c[differ, 2]
    assert_close(swap(model, x, donor, "Bald"), decoded(model, z_c, z_style))
    assert_close(
        swap(model, x, donor, "Beard"), swap(model, x, donor, "Beard", keep_conflicting=True)
    )


def test_labels_that_never_occur_together_exclude_each_other():
    rng = np.random.default_rng(0)
    hair = rng.integers(3, size=2000)
    values = np.stack([hair == 0, hair == 1, rng.random(2000) < 0.3], axis=1).astype(float)
    pairs = [[False, True, False], [True, False, False], [False, False, False]]
    assert exclusive_pairs(values).tolist() == pairs
    values[5, :2] = 1  # one image is enough
    assert not exclusive_pairs(values).any()


def test_too_few_images_exclude_nothing():
    values = np.zeros((100, 2))
    values[:20, 0] = values[20:60, 1] = 1  # by chance, eight have both
    assert not exclusive_pairs(values).any()
    values[40:60, 1] = np.nan
    assert not exclusive_pairs(values).any()
    assert exclusive_pairs(np.repeat(values, 2, axis=0)).sum() == 2


def test_described_binary_labels_have_their_exclusions(avatars_root):
    data = load_avatars(avatars_root, 1200).select(["Bald", "Wearing_Hat", "Beard"])
    kinds = (*data.label_types, Continuous("Age"), Categorical("Mood", ("good", "bad")))
    rows = np.column_stack([data.labels, np.zeros((1200, 2), np.float32)])
    described = LabeledImages(data.images, rows, kinds, data.splits).with_empirical_priors()
    assert [label.excludes for label in described] == [("Wearing_Hat",), ("Bald",), (), (), ()]


def test_a_checkpoint_holds_the_exclusions(tmp_path):
    labels = (Binary("Bald", 0.1, excludes=("Wearing_Hat",)), Binary("Wearing_Hat", 0.2))
    save(tmp_path / "model.pt", celeba(labels=labels, z_dim=5))
    assert load(tmp_path / "model.pt").labels == labels
