"""Decoders: their densities, shapes and precision."""

import shutil

import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import components, networks
from ccvae_pyro.networks import layers


def test_bernoulli_decoder_is_the_cross_entropy():
    decoder = components.BernoulliDecoder(networks.mlp(2, 6), event_dim=1)
    z, x = torch.randn(3, 2), torch.rand(3, 6)
    p = decoder(z).mean
    expected = (x * p.log() + (1 - x) * (1 - p).log()).sum(-1)
    assert_close(decoder(z).log_prob(x), expected)


def test_decoder_computes_channels_last():
    decoder = components.LaplaceDecoder(networks.decoder_64(5))
    x = decoder(torch.randn(3, 5)).mean
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_precision_leaves_the_dtype_of_densities():
    decoder = components.LaplaceDecoder(networks.decoder_28(5).float())
    z = torch.randn(3, 5, dtype=torch.float32)
    exact = decoder(z).mean
    layers.set_precision(decoder, torch.bfloat16)
    rounded = decoder(z).mean
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.02
    layers.set_precision(decoder, torch.float32)
    assert torch.equal(decoder(z).mean, exact)


def test_decoder_takes_any_leading_shape():
    decoder = components.LaplaceDecoder(networks.mlp(3, 4), event_dim=1)
    z = torch.randn(6, 5, 3)
    assert_close(decoder(z).mean[2], decoder(z[2]).mean)


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_compiled_networks_are_the_same_networks():
    decoder = components.LaplaceDecoder(networks.mlp(3, 4), event_dim=1)
    z, names = torch.randn(6, 3), list(decoder.state_dict())
    expected = decoder(z).mean
    layers.compile_networks(decoder)
    assert_close(decoder(z).mean, expected)
    decoder(z).mean.sum().backward()
    assert list(decoder.state_dict()) == names
