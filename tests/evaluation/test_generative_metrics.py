"""Distances of Normals in closed form, and the accuracy of models that obey their labels."""

import pyro.distributions as dist
import pytest
import torch

from ccvae_pyro import Binary, mnist
from ccvae_pyro.evaluation.generative_metrics import (
    EncoderFeatures,
    conditional_generation_accuracy,
    image_distances,
)
from ccvae_pyro.models.base import ImageModel


class Pixels(torch.nn.Module):
    """The first few pixels as they are."""

    num_features = 4

    def forward(self, x):
        return x.flatten(1)[:, :4]


def batches(loc=0.0, scale=1.0, num=4000):
    return (loc + scale * torch.randn(num, 1, 2, 2)).split(500)


@pytest.mark.parametrize(("loc", "scale"), [(0.0, 1.0), (2.0, 1.0), (0.0, 3.0)])
def test_the_frechet_distance_of_normals_is_in_closed_form(loc, scale):
    distances = image_distances(Pixels(), batches(), batches(loc, scale))
    expected = 4 * (loc**2 + (scale - 1) ** 2)
    assert distances.frechet == pytest.approx(expected, rel=0.05, abs=0.02)


def test_the_kernel_distance_is_0_for_equal_distributions_only():
    near = image_distances(Pixels(), batches(), batches())
    far = image_distances(Pixels(), batches(), batches(loc=1.0))
    assert abs(near.kernel) < 0.05 < far.kernel


def test_the_latents_of_an_encoder_are_features():
    torch.set_default_dtype(torch.float32)
    features = EncoderFeatures(mnist(z_dim=12), 12)
    images = torch.rand(60, 1, 28, 28)
    distances = image_distances(features, [images], [images.flip(0)], subset_size=60)
    assert distances.frechet == pytest.approx(0, abs=1e-3)
    darker = image_distances(features, [images], [0.5 * images], subset_size=60)
    assert darker.frechet > distances.frechet
    with pytest.raises(ValueError, match="a subset has 500 images, and there are 60"):
        image_distances(features, [images], [images])


class Halves(ImageModel):
    """Generates images whose halves are bright or dark, and predicts labels from these."""

    def sample_latents(self, y):
        return y, torch.zeros(len(y), 0)

    def decode(self, z_c, z_style):
        return z_c.repeat_interleave(4, dim=1)[:, None, :, None].expand(-1, 1, -1, 8)

    def q_y_x(self, x):
        halves = x[:, 0, ::4, 0]
        return dist.Bernoulli(logits=20 * (halves - 0.5)).to_event(1)


def test_conditional_generation_accuracy_is_the_share_of_images_with_the_target_labels():
    model = Halves([Binary("left"), Binary("right")])
    y = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    assert conditional_generation_accuracy(model, model, y) == 1
    swapped, constant = Halves(model.labels), Halves(model.labels)
    swapped.sample_latents = lambda y: (1 - y, torch.zeros(len(y), 0))
    assert conditional_generation_accuracy(swapped, model, y) == 0
    constant.sample_latents = lambda y: (0 * y, torch.zeros(len(y), 0))
    assert conditional_generation_accuracy(constant, model, y) == 0.5


def test_a_label_with_one_target_value_is_left_out_of_conditional_generation_accuracy():
    model = Halves([Binary("left"), Binary("right")])
    model.sample_latents = lambda y: (torch.stack([y[:, 0], 1 - y[:, 1]], 1), y[:, :0])
    y = torch.tensor([[0.0, 1], [1, 1]])
    assert conditional_generation_accuracy(model, model, y) == 1
