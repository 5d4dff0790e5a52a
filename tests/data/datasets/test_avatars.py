"""Avatars and their attributes."""

import numpy as np
import pytest

from ccvae_pyro.data import load_avatars
from ccvae_pyro.data.datasets import AVATAR_ATTRIBUTES as ATTRIBUTES
from ccvae_pyro.data.datasets import VISIBLE_AVATAR_ATTRIBUTES as VISIBLE_ATTRIBUTES
from ccvae_pyro.data.datasets import avatars


def test_there_are_40_attributes_of_which_18_are_easily_visible():
    assert len(ATTRIBUTES) == 40
    assert len(set(VISIBLE_ATTRIBUTES)) == 18
    assert set(VISIBLE_ATTRIBUTES) < set(ATTRIBUTES)


def test_every_attribute_has_a_moderate_prevalence():
    composed = [avatars.compose(np.random.default_rng((0, i)))[1] for i in range(3000)]
    for attribute in ATTRIBUTES:
        prevalence = sum(attribute in labels for labels in composed) / len(composed)
        assert 0.04 < prevalence < 0.45, attribute


def test_hair_has_a_color_only_if_it_is_visible():
    for i in range(500):
        _, labels = avatars.compose(np.random.default_rng((1, i)))
        colors = [label for label in labels if label.endswith("_Hair") and label[:4] != "Long"]
        colors = [label for label in colors if label != "Curly_Hair"]
        is_hidden = labels & {"Bald", "Wearing_Hat", "Wearing_Headscarf"}
        assert len(colors) == (0 if is_hidden else 1)


def test_the_image_shows_the_attributes():
    # Red clothes fill the bottom of the picture, whatever else varies.
    for i in range(60):
        image, labels = avatars.draw(0, i, 64)
        is_red = labels[ATTRIBUTES.index("Red_Clothes")]
        bottom = image[56:, 8:56].astype(int)
        share = ((bottom - [0xE4, 0x43, 0x4F]).__abs__().sum(-1) < 40).mean()
        if is_red:
            assert share > 0.1, i
        elif not labels[ATTRIBUTES.index("Wearing_Headscarf")]:  # which may be red itself
            assert share < 0.1, i


def test_avatars_depend_only_on_the_seed(tmp_path):
    first = load_avatars(tmp_path / "a", 24, size=32, seed=3)
    again = load_avatars(tmp_path / "b", 24, size=32, seed=3)
    other = load_avatars(tmp_path / "c", 24, size=32, seed=4)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.images, other.images)
    assert first.images.shape == (24, 32, 32, 3)
    assert first.labels.shape == (24, 40)


def test_drawn_avatars_are_cached(tmp_path, monkeypatch):
    drawn = load_avatars(tmp_path, 12, size=32)
    monkeypatch.setattr(avatars, "draw", None)
    cached = load_avatars(tmp_path, 12, size=32)
    assert np.array_equal(drawn.images, cached.images)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(avatars, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'ccvae-pyro\[avatars\]'"):
        load_avatars(tmp_path, 12)
