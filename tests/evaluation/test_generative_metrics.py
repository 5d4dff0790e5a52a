"""Distances of sets of images whose features are Normals."""

import pytest
import torch

from ccvae_pyro import mnist
from ccvae_pyro.evaluation.generative_metrics import ReadFeatures, image_distances


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
    assert distances["frechet"] == pytest.approx(expected, rel=0.05, abs=0.02)


def test_sets_that_are_alike_are_no_distance_apart_and_others_are():
    near = image_distances(Pixels(), batches(), batches())
    far = image_distances(Pixels(), batches(), batches(loc=1.0))
    assert abs(near["kernel"]) < 0.05 < far["kernel"]


def test_latents_that_a_model_reads_are_features():
    torch.set_default_dtype(torch.float32)
    reader = mnist(z_dim=12)
    features = ReadFeatures(reader, 12)
    images = torch.rand(60, 1, 28, 28)
    distances = image_distances(features, [images], [images.flip(0)], subset_size=60)
    assert distances["frechet"] == pytest.approx(0, abs=1e-3)
    darker = image_distances(features, [images], [0.5 * images], subset_size=60)
    assert darker["frechet"] > distances["frechet"]
    with pytest.raises(ValueError, match="a subset has 500 images, and there are 60"):
        image_distances(features, [images], [images])
