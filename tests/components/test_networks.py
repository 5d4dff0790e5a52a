"""Networks of the decoders and encoders, and the layers that they are built of."""

import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import networks
from ccvae_pyro.networks import layers


@pytest.mark.parametrize("size", [28, 64])
def test_networks_mirror_each_other(size):
    encoder = getattr(networks, f"encoder_{size}")(10, in_channels=2)
    decoder = getattr(networks, f"decoder_{size}")(5, out_channels=2)
    x = torch.rand(3, 2, size, size)
    assert encoder(x).shape == (3, 10)
    assert decoder(torch.randn(3, 5)).shape == x.shape


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.ToPoint(6, 5, 4), (2, 6, 4, 4)),
        (layers.FromPoint(5, 6, 4), (2, 5, 1, 1)),
        (layers.Upsample(4, 3, 4, stride=2, padding=1, output_padding=1), (2, 4, 3, 5)),
        (layers.ToPixels(4, 3), (2, 4, 3, 5)),
    ],
)
def test_a_layer_computed_otherwise_is_the_convolution_that_it_is_named_after(layer, shape):
    layer, x = layer.double(), torch.randn(shape)
    torch.nn.init.normal_(layer.bias)
    actual, expected = layer(x), type(layer).__base__.forward(layer, x)
    assert_close(actual, expected)
    along = torch.randn_like(expected)
    for image in (actual, expected):  # and so are its gradients
        image.backward(along, inputs=(layer.weight, layer.bias))
        along = -along
    assert_close(layer.weight.grad, torch.zeros_like(layer.weight), atol=1e-12, rtol=0)
    assert_close(layer.bias.grad, torch.zeros_like(layer.bias), atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", [28, 64])
def test_a_signal_keeps_its_size_from_layer_to_layer(size):
    # PyTorch's own start loses it: after five convolutions, to a hundredth.
    encoder, decoder = (getattr(networks, f"{part}_{size}") for part in ("encoder", "decoder"))
    for network, x in (
        (encoder(60), torch.randn(50, 3 if size == 64 else 1, size, size)),
        (decoder(30), torch.randn(50, 30)),
    ):
        for layer in network:
            x = layer(x)
            assert 0.4 < x.square().mean().sqrt() < 2
