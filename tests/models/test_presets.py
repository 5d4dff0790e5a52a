"""Settings that no model can have are one line, which says what was got and what was wanted."""

import math

import pytest
import torch
from pyro.infer import SVI
from pyro.optim import Adam
from torch.testing import assert_close

from ccvae_pyro import (
    Binary,
    Categorical,
    Continuous,
    ExactCCVAE_ELBO,
    celeba,
    components,
    edit,
    generate,
    load,
    mnist,
    networks,
    photographs,
    predict,
    reconstruct,
    save,
)
from ccvae_pyro import sign_matrix as signs
from ccvae_pyro.models import BASELINES, baseline, from_config

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
    "an image too small": (
        lambda: photographs([HAT], (3, 64, 7)),
        "the width of an image must be a whole number of at least 8, got 7",
    ),
    "no image": (lambda: photographs([HAT], (64, 64)), r"wanted an image shape .*got \(64, 64\)"),
    "another mean image": (
        lambda: photographs([HAT], (3, 64, 32), mean_image=torch.zeros(3, 32, 64)),
        r"wanted a mean image of shape \(3, 64, 32\), got \(3, 32, 64\)",
    ),
    "no family": (lambda: photographs([HAT], family="cauchy"), "must be one of .*got 'cauchy'"),
    "no width": (lambda: photographs([HAT], width=0), "width must .* at least 1, got 0"),
    "a side too small": (lambda: celeba(side=4), "side must .* at least 8, got 4"),
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
    "encoder scale": (
        lambda: celeba(encoder_scale="relu"),
        "scale must be one of softplus, exp, got 'relu'",
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


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_take_the_networks_of_photographs(name):
    labels = [HAT, Categorical("Hair", ("red", "grey", "black"))]
    settings = {"images": "photographs", "channels": 1, "side": 16, "width": 4}
    model = baseline(name, labels, 8, **settings)
    assert model.image_shape == (1, 16, 16)
    again = from_config(model.config)
    assert [p.shape for p in again.parameters()] == [p.shape for p in model.parameters()]
    again.load_state_dict(model.state_dict())


@pytest.mark.parametrize("family", ["laplace", "gaussian", "logistic"])
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 20, 9)])
def test_photographs_are_learned_saved_edited_and_generated(tmp_path, family, shape):
    torch.manual_seed(0)
    x = torch.rand(6, *shape)
    y = torch.tensor([[0.0, 1.0], [1.0, 2.0], [math.nan, 0.0], [1.0, math.nan], [0.0, 1.0]])
    y = torch.cat([y, torch.full((1, 2), math.nan)])
    labels = [HAT, Categorical("Hair", ("red", "grey", "black"))]
    ccvae = photographs(labels, shape, width=4, family=family, mean_image=x.mean(0))
    before = {name: value.clone() for name, value in ccvae.state_dict().items()}
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-3}), loss=ExactCCVAE_ELBO(1.0))
    for _ in range(2):
        assert math.isfinite(svi.step(x, y))
    changed = {name for name, value in ccvae.state_dict().items() if not value.equal(before[name])}
    assert {name for name, _ in ccvae.named_parameters()} <= changed
    assert "decoder.mean_image" not in changed

    save(tmp_path / "checkpoint.pt", ccvae)
    loaded = load(tmp_path / "checkpoint.pt")
    for result in (
        lambda model: edit(model, x, "Hair", "grey"),
        lambda model: reconstruct(model, x),
        lambda model: predict(model, x)[1],
    ):
        assert_close(result(loaded), result(ccvae))
    images = generate(loaded, torch.tensor([[1.0, 2.0]]))
    assert images.shape == (1, *shape)
    assert 0 <= images.min() <= images.max() <= 1
    assert_close(predict(ccvae, x[:2])[1], predict(ccvae, x)[1][:2])  # by no statistics of a batch
