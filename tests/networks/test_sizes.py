"""Networks for images of any size."""

import pytest
import torch

from ccvae_pyro import networks

SHAPES = [
    (3, 64, 64),
    (1, 28, 28),
    (3, 128, 128),
    (3, 100, 60),
    (1, 33, 47),
    (4, 8, 9),
    (3, 13, 70),
]
PAIRS = [
    (networks.encoder_residual, networks.decoder_residual),
    (networks.encoder_conv, networks.decoder_conv),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pair", PAIRS)
def test_networks_take_and_make_images_of_any_size(pair, shape):
    encoder, decoder = pair[0](7, image_shape=shape), pair[1](5, image_shape=shape)
    x = torch.rand(2, *shape)
    assert encoder(x).shape == (2, 7)
    assert decoder(torch.randn(2, 5)).shape == x.shape


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pair", PAIRS)
def test_every_pixel_is_read_and_written(pair, shape):
    encoder, decoder = pair[0](7, image_shape=shape).eval(), pair[1](5, image_shape=shape).eval()
    x = torch.rand(1, *shape, requires_grad=True)
    encoder(x).square().sum().backward()
    assert (x.grad.abs().sum((0, 1)) > 0).float().mean() > 0.99  # some ReLUs are off
    first, second = decoder(torch.randn(2, 5) * 3)
    assert ((first - second).abs().sum(0) > 0).all()


def test_the_papers_networks_are_those_of_64_pixels():
    encoder, decoder = networks.encoder_64(90), networks.decoder_64(45)
    shapes = [tuple(p.shape) for p in encoder.parameters() if p.dim() > 1]
    channels = [(32, 3), (32, 32), (64, 32), (128, 64), (256, 128)]
    assert shapes == [*((*pair, 4, 4) for pair in channels), (90, 256)]
    assert sum(p.numel() for p in decoder.parameters()) == 718_083


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 64), r"an image shape \(channels, height, width\), got \(3, 64\)"),
        ((3, 64, 7), "the width of an image must be a whole number of at least 8, got 7"),
        ((3, 6.5, 64), "the height of an image must be a whole number of at least 8, got 6.5"),
        ((0, 64, 64), "channels must be a whole number of at least 1, got 0"),
    ],
)
@pytest.mark.parametrize("make", [make for pair in PAIRS for make in pair])
def test_a_size_that_networks_cannot_make_is_named(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make(5, image_shape=shape)
