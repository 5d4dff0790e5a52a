"""A sampler that is fitted to encodings, whose distribution the priors do not have."""

import pytest
import torch
from helpers import make_ccvae
from torch import nn
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro import Binary, Categorical, Continuous, UnsupportedError, components, fit_sampler
from ccvae_pyro.components import LabelCode, label_modules
from ccvae_pyro.models import baseline

LABELS = (Categorical("Hair", ("black", "brown", "red")), Binary("Hat"), Continuous("Age", 30, 10))
NUM_STYLE, Z_DIM = 2, 6
COVARIANCE = torch.eye(Z_DIM).mul(0.5) + 0.25
EFFECTS = torch.linspace(-2, 2, 5 * Z_DIM).view(5, Z_DIM)  # of the labels' code on all latents


class Itself(nn.Module):
    """A network whose features are its input, as the mean; the scale is small."""

    def forward(self, x):
        return torch.cat([x, torch.full_like(x, -5.0)], dim=-1)


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)


def make_toy(labels=LABELS):
    """A CCVAE whose images are vectors, their encodings and their decodings alike."""
    dim = sum(label.dim for label in labels)
    return ccvae_pyro.CCVAE(
        components.GaussianEncoder(Itself(), (dim, NUM_STYLE)),
        components.GaussianDecoder(Itself()),
        style_prior=components.StandardNormal(NUM_STYLE),
        labels=labels,
        **label_modules(labels)._asdict(),
    )


def encodings(y):
    """Latents that labels move all of, and whose errors are correlated."""
    errors = torch.randn(len(y), Z_DIM) @ torch.linalg.cholesky(COVARIANCE).T
    return LabelCode(LABELS)(y) @ EFFECTS + errors


def sample_labels(num):
    hair, hat = torch.randint(3, (num,)), torch.randint(2, (num,))
    return torch.stack([hair, hat, 30 + 10 * torch.randn(num)], dim=1)


def at(y, num=20_000):
    return torch.tensor([y]).expand(num, -1)


@pytest.mark.parametrize("y", [(0.0, 0.0, 30.0), (2.0, 1.0, 45.0), (1.0, 1.0, 20.0)])
def test_samples_have_the_moments_of_encodings_given_labels(y):
    toy, labels = make_toy(), sample_labels(20_000)
    toy.sampler = fit_sampler(toy, [(encodings(labels), labels)])
    z = torch.cat(toy.sample_fitted_latents(at(y)), dim=-1)
    expected = encodings(at(y))
    assert_close(z.mean(0), expected.mean(0), atol=0.06, rtol=0)
    assert_close(z.T.cov(), expected.T.cov(), atol=0.06, rtol=0)
    priors = torch.cat(toy.sample_latents(at(y)), dim=-1)
    assert (priors.mean(0) - expected.mean(0)).abs().max() > 0.5  # the check can fail


def test_effects_of_labels_add_up_in_combinations_that_no_image_has():
    toy, labels = make_toy(), sample_labels(20_000)
    labels = labels[~((labels[:, 0] == 2) & (labels[:, 1] == 1))]
    toy.sampler = fit_sampler(toy, [(encodings(labels), labels)])
    y = at((2.0, 1.0, 30.0))
    z = torch.cat(toy.sample_fitted_latents(y), dim=-1)
    assert_close(z.mean(0), encodings(y).mean(0), atol=0.1, rtol=0)


def test_encodings_from_the_priors_give_back_the_priors():
    toy, labels = make_toy(), sample_labels(20_000)
    z = torch.cat(toy.sample_latents(labels), dim=-1).detach()
    sampler = fit_sampler(toy, [(z, labels)])
    assert_close(sampler.scale_tril, torch.eye(Z_DIM), atol=0.05, rtol=0)
    assert sampler(labels[:100]).mean.abs().max() < 0.15


def test_a_class_that_no_image_has_is_sampled_from_the_conditional_prior():
    toy, labels = make_toy(), sample_labels(5_000)
    labels = labels[labels[:, 0] != 2]
    z = torch.cat(toy.sample_latents(labels), dim=-1).detach()
    toy.sampler = fit_sampler(toy, [(z, labels)])
    z_c, _ = toy.sample_fitted_latents(at((2.0, 0.0, 30.0)))
    expected, _ = toy.sample_latents(at((2.0, 0.0, 30.0)))
    assert_close(z_c.mean(0), expected.mean(0), atol=0.2, rtol=0)


def test_missing_labels_are_predicted():
    toy, labels = make_toy((Binary("Hat"), Binary("Beard"))), torch.randint(2, (4_000, 2)).float()
    z = torch.cat([4 * labels - 2, torch.zeros(4_000, 2)], dim=1) + 0.3 * torch.randn(4_000, 4)
    given = torch.where(torch.rand(4_000, 2) < 0.9, torch.nan, labels)
    assert (ccvae_pyro.predict(toy, z)[0] == labels).all()
    known, few, none = (
        fit_sampler(toy, [(z, y)]) for y in (labels, given, torch.full_like(labels, torch.nan))
    )
    for name, tensor in known.tensors.items():
        assert_close(few.tensors[name], tensor)
        assert_close(none.tensors[name], tensor)


def test_batches_together_give_one_fit_in_any_split():
    toy, labels = make_toy(), sample_labels(50)
    z = encodings(labels)
    whole = fit_sampler(toy, [(z, labels)])
    parts = fit_sampler(toy, zip(z.split(13), labels.split(13), strict=True))
    for name, tensor in whole.tensors.items():
        assert_close(parts.tensors[name], tensor)


def test_fewer_images_than_latents_suffice():
    toy, labels = make_toy(), sample_labels(2)
    toy.sampler = fit_sampler(toy, [(torch.ones(2, Z_DIM), labels)])
    assert ccvae_pyro.generate(toy, labels).isfinite().all()


def test_generate_samples_from_the_fitted_sampler_by_default_if_there_is_one():
    toy, labels = make_toy(), sample_labels(500)
    y, x = at((2.0, 1.0, 30.0)), encodings(labels)

    def mean(**arguments):
        return ccvae_pyro.generate(toy, y, **arguments).mean(0)

    of_prior = mean(sampler="prior")
    assert_close(mean(), of_prior, atol=0.1, rtol=0)
    toy.sampler = fit_sampler(toy, [(x, labels)])
    assert_close(mean(sampler="prior"), of_prior, atol=0.1, rtol=0)
    assert (mean(sampler="fitted") - of_prior).abs().max() > 0.5
    assert_close(mean(), mean(sampler="fitted"), atol=0.1, rtol=0)
    assert ccvae_pyro.with_bayes_classifier(toy).sampler is toy.sampler


def test_the_mode_of_the_model_and_its_state_dict_stay():
    toy, labels = make_toy(), sample_labels(20)
    before = toy.state_dict().keys()
    toy.sampler = fit_sampler(toy, [(encodings(labels), labels)])
    assert toy.state_dict().keys() == before
    assert toy.encoder.training
    assert toy.double().sampler.bias.dtype == torch.float64


def test_what_has_no_sampler_says_so():
    ccvae, y = make_ccvae(), torch.zeros(2, 3)
    with pytest.raises(UnsupportedError, match="no fitted sampler: fit one by fit_sampler"):
        ccvae_pyro.generate(ccvae, y, sampler="fitted")
    with pytest.raises(ValueError, match="sampler must be 'prior' or 'fitted', got 'flow'"):
        ccvae_pyro.generate(ccvae, y, sampler="flow")
    vae = baseline("cvae", (Binary("Hat"),), 5, images="mlp")
    with pytest.raises(UnsupportedError, match="CVAE cannot generate images by a fitted sampler"):
        ccvae_pyro.generate(vae, y[:, :1], sampler="fitted")
    with pytest.raises(UnsupportedError, match="a sampler is fitted to a CCVAE, got a CVAE"):
        fit_sampler(vae, [(torch.rand(2, 1, 28, 28), y[:, :1])])


def test_too_few_images_and_latents_that_are_not_finite_are_errors():
    toy, labels = make_toy(), sample_labels(5)
    for number in (0, 1):
        batches = [(encodings(labels[:number]), labels[:number])] * number
        with pytest.raises(ValueError, match=f"at least two images .* got {number}"):
            fit_sampler(toy, batches)
    toy.style_prior.scale.zero_()
    with pytest.raises(ValueError, match="the latents are not finite in units of the priors"):
        fit_sampler(toy, [(encodings(labels), labels)])
