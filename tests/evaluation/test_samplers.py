"""The choice between the priors and a sampler that is fitted to encodings."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ccvae_pyro import CCVAE, Binary, Continuous, choose_sampler, components, generate
from ccvae_pyro.components import label_modules
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.evaluation import conditional_generation_accuracy, sample_quality

NUM_STYLE = 2
BINARY = (Binary("Hat"), Binary("Beard"))


class Latents(nn.Module):
    """The latents of an image, a pixel for each, as means; the scale is small."""

    def forward(self, x):
        mean = 20 * (x.flatten(1) - 0.5)
        return torch.cat([mean, torch.full_like(mean, -5.0)], dim=-1)


class Pixels(nn.Module):
    """The image of latents, as logits."""

    def forward(self, z):
        return (z / 20 + 0.5).clamp(0.001, 0.999).logit().view(len(z), 1, 1, -1)


def make_model(labels):
    dim = sum(label.dim for label in labels)
    ccvae = CCVAE(
        components.GaussianEncoder(Latents(), (dim, NUM_STYLE)),
        components.LaplaceDecoder(Pixels()),
        style_prior=components.StandardNormal(NUM_STYLE),
        labels=labels,
        **label_modules(labels)._asdict(),
    )
    ccvae.image_shape = (1, 1, dim + NUM_STYLE)
    return ccvae


def make_batches(z, y, labels, num_valid=300):
    """Images of these latents, the last for validation, in batches."""
    pixels = (255 * (z.detach() / 20 + 0.5)).round().clamp(0, 255).byte().numpy()[:, None, :, None]
    rows = np.arange(len(y))
    splits = {"train": rows[: len(y) - num_valid], "valid": rows[len(y) - num_valid :]}
    return Batches(
        LabeledImages(pixels, y.numpy(), labels, splits), min(100, len(splits["train"]))
    )


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)


def test_the_fitted_sampler_is_kept_where_images_show_their_labels_only_by_it():
    model, oracle = make_model(BINARY), make_model(BINARY)
    y = torch.randint(2, (900, 2)).float()
    z = torch.cat(model.sample_latents(y), dim=-1)
    batches = make_batches(z, y, BINARY)
    prior = model.conditional_prior
    prior.loc_true.data, prior.loc_false.data = prior.loc_false.data, prior.loc_true.data
    choice = choose_sampler(model, oracle, batches)
    assert choice.sampler == "fitted"
    assert choice.prior.conditional_generation_accuracy < 0.1
    assert choice.fitted.conditional_generation_accuracy > 0.9
    assert choice.fitted.frechet_distance < 1
    accuracy = conditional_generation_accuracy(model, oracle, y[-300:])
    assert accuracy == pytest.approx(choice.fitted.conditional_generation_accuracy, abs=0.02)
    by_prior = conditional_generation_accuracy(model, oracle, y[-300:], sampler="prior")
    assert by_prior == pytest.approx(choice.prior.conditional_generation_accuracy, abs=0.02)


def test_the_fitted_sampler_is_kept_where_only_the_style_is_another():
    model, oracle = make_model(BINARY), make_model(BINARY)
    y = torch.randint(2, (900, 2)).float()
    z = torch.cat(model.sample_latents(y), dim=-1)
    z[:, -NUM_STYLE:] += 2
    choice = choose_sampler(model, oracle, make_batches(z, y, BINARY))
    assert choice.sampler == "fitted"
    assert model.sampler is not None
    assert choice.prior.frechet_distance > 7 > 1 > choice.fitted.frechet_distance


def test_the_priors_are_kept_where_they_are_as_good():
    model, oracle = make_model(BINARY), make_model(BINARY)
    y = torch.randint(2, (3_000, 2)).float()
    z = torch.cat(model.sample_latents(y), dim=-1)
    # The images of validation are from the priors, those of training from elsewhere.
    batches = make_batches(torch.cat([z[:2_000] * 0.5 + 1, z[2_000:]]), y, BINARY, 1_000)
    choice = choose_sampler(model, oracle, batches)
    assert choice.sampler == "prior"
    assert model.sampler is None
    assert generate(model, y[:3]).shape == (3, 1, 1, 4)


def test_continuous_labels_are_compared_by_distance_and_missing_ones_predicted():
    labels = (Continuous("Age", 30.0, 10.0),)
    model, oracle = make_model(labels), make_model(labels)
    y = 30 + 10 * torch.randn(600, 1)
    z = torch.cat(model.sample_latents(y), dim=-1) + 1.5
    y[::2] = torch.nan
    choice = choose_sampler(model, oracle, make_batches(z, y, labels))
    assert np.isnan(choice.fitted.conditional_generation_accuracy)
    assert choice.sampler == "fitted"
    assert choice.fitted.frechet_distance < 0.5 * choice.prior.frechet_distance


def test_the_same_seed_gives_the_same_numbers():
    model, oracle = make_model(BINARY), make_model(BINARY)
    y = torch.randint(2, (200, 2)).float()
    x, _ = make_batches(torch.cat(model.sample_latents(y), dim=-1), y, BINARY).data.batch(
        range(200)
    )
    state = torch.get_rng_state()
    assert sample_quality(model, oracle, x, y) == sample_quality(model, oracle, x, y)
    assert torch.equal(torch.get_rng_state(), state)


def test_without_images_to_compare_on_nothing_changes():
    model, y = make_model(BINARY), torch.zeros(20, 2)
    batches = make_batches(torch.zeros(20, 4), y, BINARY, num_valid=1)
    with pytest.raises(ValueError, match="at least two images of the split 'valid', got 1"):
        choose_sampler(model, make_model(BINARY), batches)
    other = make_model((Binary("Hat"), Binary("Glasses")))
    with pytest.raises(ValueError, match="label 2 of the oracle is 'Glasses'"):
        choose_sampler(model, other, batches)
    batches.data = replace(batches.data, splits={"train": np.arange(20)})
    with pytest.raises(ValueError, match="the split 'valid', got 0"):
        choose_sampler(model, make_model(BINARY), batches)
    assert model.sampler is None
