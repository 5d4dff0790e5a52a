"""Settings that no model can have are one line, which says what was got and what was wanted."""

import math

import pytest
import torch

from ccvae_pyro import Binary, Categorical, Continuous, celeba, components, mnist, networks
from ccvae_pyro import sign_matrix as signs
from ccvae_pyro.models import BASELINES, baseline

HAT = Binary("Hat")
nan, inf = math.nan, math.inf
BAD = {
    "no room for style": (
        lambda: celeba(labels=[HAT], z_dim=1),
        "z_dim must exceed .* 1, .*got 1",
    ),
    "half a latent": (lambda: celeba(labels=[HAT], z_dim=5.5), "z_dim must be a whole .*got 5.5"),
    "no latents": (lambda: celeba(labels=[HAT], z_dim=0), "z_dim .* at least 1, got 0"),
    "no labels": (lambda: celeba(num_labels=0), "num_labels .* at least 1, got 0"),
    "fewer labels": (lambda: mnist(num_labels=-1), "num_labels .* at least 1, got -1"),
    "no scale": (lambda: celeba(likelihood_scale=0.0), "scale .* positive and finite, got 0.0"),
    "scale below": (lambda: celeba(likelihood_scale=-1.0), "scale .* positive and finite, got -1"),
    "scale nan": (lambda: celeba(likelihood_scale=nan), "scale must be a finite number, got nan"),
    "scale inf": (lambda: celeba(likelihood_scale=inf), "scale must be a finite number, got inf"),
    "no channels": (lambda: celeba(channels=0), "^channels must be .* at least 1, got 0"),
    "channels below": (lambda: celeba(channels=-1), "^channels must be .* at least 1, got -1"),
    "text": (lambda: celeba(labels=["Hat"]), "wanted a Binary, .* got 'Hat'"),
    "a name twice": (lambda: celeba(labels=[HAT, HAT]), "names of their own, got several 'Hat'"),
    "a class twice": (
        lambda: celeba(labels=[Categorical("Hair", ("red", "red"))]),
        "class name of 'Hair' must differ from the others, got 'red' twice",
    ),
    "one class": (
        lambda: celeba(labels=[Categorical("Hair", ("red",))]),
        "'Hair' needs at least two classes, got 1",
    ),
    "fewer frequencies": (
        lambda: celeba(labels=[Categorical("Hair", ("red", "grey"), (1.0,))]),
        "'Hair' needs a positive frequency for each of 2 classes, got 1",
    ),
    "infinite frequency": (
        lambda: celeba(labels=[Categorical("Hair", ("red", "grey"), (1.0, inf))]),
        "class frequency of 'Hair' must be a finite number, got inf",
    ),
    "always true": (lambda: celeba(labels=[Binary("Hat", 1.0)]), "prevalence of 'Hat' .*got 1.0"),
    "no deviation": (lambda: celeba(labels=[Continuous("Age", 0.0, 0.0)]), "'Age' .*got 0.0"),
    "no mean": (lambda: celeba(labels=[Continuous("Age", nan)]), "mean of 'Age' .*got nan"),
    "fewer characteristics": (
        lambda: celeba(labels=[Categorical("Hair", ("a", "b", "c"), extra_dims=-1)]),
        "extra_dims of 'Hair' .* at least 0, got -1",
    ),
    "classifier": (lambda: components.DiagonalClassifier(0), "num_labels"),
    "prior": (lambda: components.GaussianConditionalPrior(0), "num_labels"),
    "regressor": (lambda: components.LinearRegressor(0.0, -1.0), "std"),
    "linear prior": (lambda: components.LinearConditionalPrior(0.0, -1.0), "std"),
    "no characteristic": (lambda: components.LinearConditionalPrior(0.0, 1.0, 0), "dim"),
    "class prior": (lambda: components.ClassConditionalPrior(signs(3), -1), "extra_dims"),
    "zero signs": (lambda: components.NestedClassifier(torch.zeros(3, 2)), "sign matrix"),
    "label prior": (lambda: components.NormalLabelPrior(nan, 1.0), "mean .* got nan"),
    "style": (lambda: components.StandardNormal(-1), "dim .* at least 0, got -1"),
    "block": (lambda: components.GaussianEncoder(torch.nn.Identity(), (5, -1)), "block_dims"),
    "features": (
        lambda: components.GaussianEncoder(torch.nn.Identity(), (2, 1))(torch.zeros(4, 8)),
        r"sizes \(2, 1\) need 6 features, .* got 8",
    ),
    "network": (lambda: networks.mlp(2, 3, hidden=0), "hidden .* at least 1, got 0"),
    "side": (lambda: networks.encoder_mlp(3, side=0), "side .* at least 1, got 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_named(case):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"z_dim": 0}, "z_dim must be a whole number of at least 1, got 0"),
        ({"z_dim": 2.5}, "z_dim must be a whole number of at least 1, got 2.5"),
        ({"channels": 0}, "channels must be a whole number of at least 1, got 0"),
        ({"likelihood_scale": -1.0}, "must be positive and finite, got -1.0"),
        ({"labels": [HAT, HAT]}, "names of their own, got several 'Hat'"),
    ],
)
def test_baselines_ask_for_the_same(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        baseline(name, **({"labels": [HAT]} | arguments))


@pytest.mark.parametrize("name", BASELINES)
def test_only_a_vae_goes_without_labels(name):
    if name == "vae":
        x = torch.zeros(2, 1, 28, 28)
        assert baseline(name, [], 4, images="mlp").encode(x)[1].shape == (2, 4)
    else:
        with pytest.raises(ValueError, match=f"{name} is a model of labels, got none"):
            baseline(name, [], 4)
