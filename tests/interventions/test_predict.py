"""Predictions of ordinal labels and of numbers with bounds."""

import pytest
import torch
from torch.distributions import Normal
from torch.testing import assert_close

from ccvae_pyro import (
    Binary,
    Categorical,
    Continuous,
    Ordinal,
    classify,
    edit,
    generate,
    impute,
    mnist,
    predict,
    shift,
    walk,
    with_bayes_classifier,
)
from ccvae_pyro.distributions.label_vector import confidence, most_likely
from ccvae_pyro.interventions.predict import rank_probs

STARS = Ordinal("stars", ("1", "2", "3", "4"), (0.4, 0.3, 0.2, 0.1))
LABELS = (
    Categorical("hair", ("black", "red")),
    STARS,
    Continuous("share", 0.5, 0.2, minimum=0, maximum=1),
    Binary("hat"),
)


@pytest.fixture
def model():
    model = mnist(z_dim=12, labels=LABELS, convolutions=False).eval()
    for parameter in model.classifier.parameters():  # far from the middle, for some images
        parameter.data += torch.randn_like(parameter)
    return model


@pytest.fixture
def x():
    return torch.rand(64, 1, 28, 28)


@pytest.mark.parametrize("bayes", [False, True])
def test_an_ordinal_label_is_predicted_by_its_normal_and_its_class_frequencies(model, x, bayes):
    model = with_bayes_classifier(model) if bayes else model
    with torch.no_grad():
        q_y_x = model.q_y_x(x)
    loc, scale = most_likely(q_y_x)[:, 1], confidence(q_y_x)[:, 1]
    values, probs = predict(model, x)
    ranks, frequencies = torch.arange(4).to(loc), torch.tensor(STARS.class_frequencies)
    given_x = Normal(loc[:, None], scale[:, None]).log_prob(ranks).exp()
    weight = frequencies * given_x / Normal(STARS.mean, STARS.std).log_prob(ranks).exp()
    expected = weight / weight.sum(1, keepdim=True)
    assert_close(classify(model, x)[:, 2:6], expected)
    assert torch.equal(values[:, 1], expected.argmax(1).to(values))
    assert_close(probs[:, 1], expected.amax(1))
    assert classify(model, x).shape == (64, 2 + 4 + 1 + 1)


@pytest.mark.parametrize(("scale", "expected"), [(0.3, [0, 0, 1, 2, 3]), (STARS.std, [0] * 5)])
def test_a_certain_rank_is_the_nearest_and_an_uncertain_one_the_most_frequent(scale, expected):
    loc = torch.tensor([-2.0, 0.3, 1.2, 2.1, 9.0] if scale < 0.5 else [STARS.mean] * 5)
    probs = rank_probs(STARS, loc, torch.full_like(loc, scale))
    assert probs.argmax(1).tolist() == expected
    if scale == STARS.std:  # nothing is known beyond the prior
        assert_close(probs[0], torch.tensor(STARS.class_frequencies))


def test_a_number_is_predicted_and_imputed_within_its_bounds(model, x):
    model.classifier.of_group[3].bias.data.fill_(3.0)  # half a share above one
    with torch.no_grad():
        assert most_likely(model.q_y_x(x))[:, 2].min() > 1
    assert predict(model, x)[0][:, 2].unique().tolist() == [1]
    assert classify(model, x)[:, 6].unique().tolist() == [1]
    y = torch.full((64, 4), torch.nan)
    y[0] = torch.tensor([1.0, 3.0, 0.25, 0.0])
    imputed = impute(model, x, y)
    assert imputed[0].tolist() == y[0].tolist()
    assert imputed[1:, 2].unique().tolist() == [1]
    assert set(imputed[:, 1].tolist()) <= {0, 1, 2, 3}


def test_labels_that_are_sampled_are_labels(model):
    y = model.label_prior().sample((2000,))
    assert y[:, 1].unique().tolist() == [0, 1, 2, 3]
    assert y[:, 2].min() == 0
    assert y[:, 2].max() == 1
    assert generate(model, y[:2]).shape == (2, 1, 28, 28)


def test_edits_have_classes_and_bounds(model, x):
    z_c, z_style = (z.clone() for z in model.encode(x))
    z_c[:, model.latent_slice(1)] = model.latent_prior(1, 2.0)[0]
    with torch.no_grad():
        assert_close(edit(model, x, "stars", "3"), model.decode(z_c, z_style))
    with pytest.raises(ValueError, match="no class of 'stars' is called '5'"):
        edit(model, x, "stars", "5")
    with pytest.raises(ValueError, match=r"'share' is set to a number from 0 to 1, got 1\.2"):
        edit(model, x, "share", 1.2)
    with pytest.raises(ValueError, match=r"row 0, label 'stars' is 4: wanted 0 .1. to 3 .4."):
        generate(model, torch.tensor([[0.0, 4.0, 0.5, 1.0]]))


def test_a_walk_goes_from_the_first_class_to_the_last_and_stays_in_bounds(model, x):
    for label, ends in {"stars": ("1", "4"), "share": (0.1, 0.9)}.items():
        steps = walk(model, x[:3], label, num_steps=5)
        for step, value in zip((0, -1), ends, strict=True):
            assert_close(steps[:, step], edit(model, x[:3], label, value))
    bounded = mnist(z_dim=4, labels=[Continuous("share", 0.9, 0.2, minimum=0, maximum=1)])
    assert_close(walk(bounded, x[:1], 0)[:, -1], edit(bounded, x[:1], 0, 1))


def test_a_shift_of_an_ordinal_label_is_in_ranks(model, x):
    lower, upper = (model.latent_prior(1, value)[0] for value in (1.0, 3.0))
    block = model.latent_slice(1)
    z_c, z_style = (z.clone() for z in model.encode(x))
    z_c[:, block] += upper - lower
    with torch.no_grad():
        assert_close(shift(model, x, "stars", 2), model.decode(z_c, z_style))
