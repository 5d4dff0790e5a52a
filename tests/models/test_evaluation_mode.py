"""Functions of a trained model run in evaluation mode, and leave a model as it was."""

import copy

import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import MIXED_LABELS, assert_same_states
from pyro.infer import Trace_ELBO
from torch import nn
from torch.testing import assert_close

from ccvae_pyro import (
    Binary,
    classify,
    edit,
    evaluate,
    generate,
    how_exact,
    impute,
    interpolate,
    interpolate_to_label,
    mnist,
    predict,
    reconstruct,
    sample_variations,
    shift,
    swap,
    walk,
)
from ccvae_pyro.evaluation import (
    EncoderFeatures,
    composition,
    conditional_generation_accuracy,
    edit_metrics,
    encode_all,
    inference_data,
    label_metrics,
    log_p_x,
    pixel_variance,
    swap_distance,
)
from ccvae_pyro.models import evaluating
from ccvae_pyro.networks import Network

LABELS = [Binary("Hat"), Binary("Beard")]


def with_batch_norm(model):
    """The model with batch normalization in encoder and decoder, in training mode."""
    encoder, decoder = model.encoder, model.decoder
    encoder.features = Network(nn.BatchNorm2d(1), *encoder.features)
    decoder.features = Network(*decoder.features, nn.BatchNorm2d(1), nn.Dropout(0.3))
    return model.train()


@pytest.fixture
def model():
    torch.set_default_dtype(torch.float32)
    return with_batch_norm(mnist(z_dim=6, labels=LABELS, convolutions=False))


@pytest.fixture
def x(model):
    return torch.rand(8, 1, 28, 28)


FUNCTIONS = {
    "classify": lambda model, x: classify(model, x),
    "predict": lambda model, x: predict(model, x)[1],
    "impute": lambda model, x: impute(model, x, torch.full((len(x), 2), torch.nan)),
    "reconstruct": lambda model, x: reconstruct(model, x),
    "edit": lambda model, x: edit(model, x, "Hat", 1),
    "shift": lambda model, x: shift(model, x, "Hat", 1.0),
    "swap": lambda model, x: swap(model, x, x[:1], "Hat"),
    "walk": lambda model, x: walk(model, x, "Hat", num_steps=3),
    "interpolate": lambda model, x: interpolate(model, x, x[:1], num_steps=3),
    "interpolate_to_label": lambda model, x: interpolate_to_label(model, x, "Hat", 1, num_steps=3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_image_has_the_same_result_whichever_images_are_beside_it(name, model, x):
    function = FUNCTIONS[name]
    assert_close(function(model, x[:4]), function(model, x)[:4], atol=1e-5, rtol=1e-5)


OTHERS = {
    "generate": lambda model, x: generate(model, torch.zeros(4, 2)),
    "sample_variations": lambda model, x: sample_variations(model, x, "Hat", 1),
    "label_metrics": lambda model, x: label_metrics(model, [(x, torch.zeros(8, 2))]),
    "evaluate": lambda model, x: evaluate(model, [(x, torch.zeros(8, 2))], Trace_ELBO()),
    "encode_all": lambda model, x: encode_all(model, [(x, torch.zeros(8, 2))]),
    "edit_metrics": lambda model, x: edit_metrics(model, model, x),
    "swap_distance": lambda model, x: swap_distance(model, x, x.flip(0), "Hat"),
    "composition": lambda model, x: composition(model, x, 2),
    "pixel_variance": lambda model, x: pixel_variance(model, x, "Hat", 1),
    "accuracy": lambda model, x: conditional_generation_accuracy(model, model, torch.eye(2)),
    "log_p_x": lambda model, x: log_p_x(model, x, 2),
    "inference_data": lambda model, x: inference_data(model, x, num_samples=2),
    "how_exact": lambda model, x: how_exact(model, x),
}


@pytest.mark.parametrize("name", [*FUNCTIONS, *OTHERS])
def test_a_model_keeps_its_mode_and_its_statistics(name, model, x):
    model.encoder.features[0].eval()  # frozen, as in fine-tuning
    modes, state = [part.training for part in model.modules()], copy.deepcopy(model.state_dict())
    with pyro.get_param_store().scope():
        (FUNCTIONS | OTHERS)[name](model, x)
    assert [part.training for part in model.modules()] == modes
    assert_same_states(model.state_dict(), state)
    assert not model.encoder.features[0].training


def test_an_oracle_runs_in_evaluation_mode_too(model, x):
    oracle = with_batch_norm(mnist(z_dim=6, labels=LABELS, convolutions=False))
    state = copy.deepcopy(oracle.state_dict())
    edit_metrics(model, oracle, x)
    conditional_generation_accuracy(model, oracle, torch.eye(2))
    assert oracle.training
    assert_same_states(oracle.state_dict(), state)


def test_the_mode_comes_back_after_an_error(model, x):
    with pytest.raises(ValueError, match="no label is called"):
        edit(model, x, "Glasses", 1)
    assert all(part.training for part in model.modules())


def test_parts_within_other_modules_are_in_evaluation_mode(model):
    with evaluating(EncoderFeatures(model, 6)):
        assert not any(part.training for part in model.modules())
    assert model.training


class OwnLatents(nn.Module):
    """An encoder that returns its own parameters, expanded: all images have the same memory."""

    def __init__(self, dims):
        super().__init__()
        self.means = nn.ParameterList(torch.zeros(dim) for dim in dims)

    def forward(self, x):
        shapes = [(len(x), len(mean)) for mean in self.means]
        pairs = zip(self.means, shapes, strict=True)
        return tuple(dist.Normal(mean.expand(shape), 1.0).to_event(1) for mean, shape in pairs)


class Kept(nn.Module):
    """A part that returns the same tensor again."""

    def __init__(self, dim):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(8, dim))

    def forward(self, x):
        return dist.Normal(self.mean, 1.0).to_event(1)


@pytest.mark.parametrize(
    "name",
    ["edit", "shift", "swap", "walk", "interpolate_to_label", "impute"],
)
@pytest.mark.parametrize("kind", ["expanded", "kept"])
def test_interventions_write_into_no_part(name, kind, x):
    labels = [Binary("Hat", excludes=("Beard",)), Binary("Beard")]
    model = mnist(z_dim=6, labels=labels, convolutions=False)
    if kind == "expanded":
        model.encoder = OwnLatents((2, 4))
    else:
        parts = nn.ModuleList([Kept(2), Kept(4)])
        model.encoder = Both(parts)
    with torch.no_grad():
        model.classifier.bias.fill_(3.0)  # all have a beard, which a hat excludes
    state = copy.deepcopy(model.state_dict())
    FUNCTIONS[name](model, x)
    assert_same_states(model.state_dict(), state)


class Both(nn.Module):
    """Two parts as the encoder of characteristics and style."""

    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def forward(self, x):
        return tuple(part(x) for part in self.parts)


def test_an_edit_of_one_characteristic_of_shared_memory_changes_no_other(x):
    model = mnist(z_dim=6, labels=LABELS, convolutions=False)
    model.encoder = OwnLatents((2, 4))
    edited = edit(model, x, "Hat", 1)
    z_c = torch.zeros(8, 2)
    z_c[:, 0] = model.latent_prior(0, 1.0)[0].detach()
    assert_close(edited, model.decode(z_c, torch.zeros(8, 4)).detach())


def test_labels_of_all_kinds_are_predicted_alike_in_both_modes():
    torch.set_default_dtype(torch.float32)
    model = with_batch_norm(mnist(z_dim=12, labels=MIXED_LABELS, convolutions=False))
    x = torch.rand(4, 1, 28, 28)
    assert_close(classify(model.train(), x), classify(model.eval(), x))
