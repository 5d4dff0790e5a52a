"""Which images may be mirrored, by their labels and by themselves."""

from dataclasses import replace

import numpy as np
import pytest

from ccvae_pyro.data import LabeledImages, why_not_flip, why_not_warp
from ccvae_pyro.labels import Binary, Categorical, Continuous

NUM = 200


def make_images(strength):
    """Noise with a bright bar on the left of as many levels as ``strength`` says, by image."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 200, (NUM, 20, 20, 1))
    images[:, 5:15, 2:6] += np.asarray(strength)[:, None, None, None]
    images[:, 5:15, -6:-2] -= np.asarray(strength)[:, None, None, None]
    return images.clip(0, 255).astype(np.uint8)


def make(label, values, strength=()):
    strength = np.zeros(NUM, int) if not len(strength) else strength
    labels = np.asarray(values, np.float32)[:, None]
    return LabeledImages(make_images(strength), labels, (label,), {"train": np.arange(NUM)})


IS_ODD = np.arange(NUM) % 2
PLAIN = Binary("Hat")


def test_noise_is_symmetric():
    assert why_not_flip(make(PLAIN, IS_ODD)) is None


def test_images_that_are_brighter_on_the_left_are_not():
    reason = why_not_flip(make(PLAIN, IS_ODD, np.full(NUM, 60)))
    assert reason == "the images are not symmetric on average"


@pytest.mark.parametrize(
    ("label", "values", "sign"),
    [
        (Binary("Hat"), IS_ODD, 2 * IS_ODD - 1),
        (Categorical("kind", ("a1", "b1", "c1")), np.arange(NUM) % 3, np.arange(NUM) % 3 - 1),
        (Continuous("Age", 0, 1), np.linspace(-1, 1, NUM), np.sign(np.linspace(-1, 1, NUM))),
    ],
    ids=["binary", "categorical", "continuous"],
)
@pytest.mark.parametrize("is_partly_missing", [False, True])
def test_a_label_that_a_mirrored_image_would_not_have_is_found(
    label, values, sign, is_partly_missing
):
    values = np.array(values, float)
    if is_partly_missing:
        values[::3] = np.nan
    reason = why_not_flip(make(label, values, (60 * sign).astype(int)))
    assert reason == f"the images of the values of {label.name!r} are not symmetric on average"


def test_a_label_that_no_image_has_says_nothing():
    for label in (PLAIN, Continuous("Age", 0, 1)):
        assert why_not_flip(make(label, np.full(NUM, np.nan))) is None


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (Binary("Looks_Left"), "'Looks_Left' speaks of 'left'"),
        (Binary("LeftHand"), "'LeftHand' speaks of 'left'"),
        (Continuous("yaw angle", 0, 1), "'yaw angle' speaks of 'yaw'"),
        (Categorical("gaze", ("up", "to the right", "down")), "'to the right' speaks of 'right'"),
        (Categorical("sign", tuple("0123")), "the classes of 'sign' are letters or digits"),
        (Categorical("sign", tuple("ABC")), "the classes of 'sign' are letters or digits"),
    ],
)
def test_a_name_may_speak_of_a_side_or_a_letter(label, reason):
    assert why_not_flip(make(label, IS_ODD)) == reason


@pytest.mark.parametrize(
    "label",
    [Binary("Bright"), Binary("Sideburns"), Categorical("sex", ("M", "F")), Binary("Copyright")],
)
def test_other_names_do_not(label):
    assert why_not_flip(make(label, IS_ODD)) is None


def test_few_images_are_no_evidence():
    data = make(PLAIN, IS_ODD)
    for num_images in (1, 2, 5):
        few = replace(data, splits={"train": np.arange(num_images)})
        assert why_not_flip(few) is None


def test_a_name_that_speaks_of_an_angle_forbids_warps():
    for label in (Continuous("yaw angle", 0, 1), Categorical("pose", ("upright", "tilted", "no"))):
        word = {"yaw angle": "yaw", "pose": "tilted"}[label.name]
        assert why_not_warp(make(label, IS_ODD)) == why_not_flip(make(label, IS_ODD))
        assert why_not_warp(make(label, IS_ODD)).endswith(f"speaks of {word!r}")
    for label in (Binary("Looks_Left"), Categorical("letter", tuple("ABC")), PLAIN):
        assert why_not_warp(make(label, IS_ODD)) is None
