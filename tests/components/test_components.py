import shutil

import pyro.distributions as dist
import pytest
import torch
from torch.testing import assert_close

from ccvae_pyro import components as distributions
from ccvae_pyro import networks
from ccvae_pyro.distributions import bernoulli as logistic
from ccvae_pyro.distributions.laplace import SharedScaleLaplace
from ccvae_pyro.networks import layers


def test_shared_scale_laplace_is_a_laplace_at_every_pixel():
    loc, scale = torch.rand(5, 3, 4, 4), torch.tensor(0.7)
    x = torch.rand(5, 3, 4, 4)
    actual, expected = SharedScaleLaplace(loc, scale, 3), dist.Laplace(loc, scale).to_event(3)
    assert (actual.batch_shape, actual.event_shape) == (expected.batch_shape, expected.event_shape)
    assert_close(actual.log_prob(x), expected.log_prob(x))
    assert_close(actual.mean, expected.mean)
    assert_close(actual.variance, expected.variance)
    assert_close(actual.expand((2, 5)).log_prob(x), expected.expand((2, 5)).log_prob(x))
    torch.manual_seed(0)
    sample = actual.rsample((7,))
    torch.manual_seed(0)
    assert_close(sample, expected.rsample((7,)))


def test_shared_scale_laplace_has_the_gradient_of_a_laplace():
    x = torch.rand(5, 6)
    gradients = []
    for make in (
        lambda loc, scale: SharedScaleLaplace(loc, scale, 1),
        lambda loc, scale: dist.Laplace(loc, scale).to_event(1),
    ):
        loc = torch.linspace(0, 1, 30).view(5, 6).requires_grad_()
        scale = torch.tensor(0.7, requires_grad=True)
        make(loc, scale).log_prob(x).sum().backward()
        gradients.append((loc.grad, scale.grad))
    assert_close(*gradients)


def test_conditional_prior_interpolates():
    prior = distributions.GaussianConditionalPrior(4)
    without, half, with_it = (prior(torch.full((4,), y)).base_dist for y in (0.0, 0.5, 1.0))
    assert_close(half.loc, (without.loc + with_it.loc) / 2)
    assert_close(without.loc, torch.full((4,), -2.0))
    assert_close(with_it.loc, torch.full((4,), 2.0))


def test_each_label_has_only_its_own_characteristic_in_the_conditional_prior():
    prior = distributions.GaussianConditionalPrior(3)
    before = prior(torch.zeros(3)).base_dist.loc
    after = prior(torch.tensor([0.0, 1.0, 0.0])).base_dist.loc
    assert (before != after).tolist() == [False, True, False]


def test_classifier_sees_the_characteristic_of_its_label_only():
    classifier = distributions.DiagonalClassifier(3)
    z_c = torch.zeros(3, requires_grad=True)
    classifier(z_c).mean[1].backward()
    assert (z_c.grad != 0).tolist() == [False, True, False]


def test_bernoulli_decoder_is_the_cross_entropy():
    decoder = distributions.BernoulliDecoder(networks.mlp(2, 6), event_dim=1)
    z, x = torch.randn(3, 2), torch.rand(3, 6)
    p = decoder(z).mean
    expected = (x * p.log() + (1 - x) * (1 - p).log()).sum(-1)
    assert_close(decoder(z).log_prob(x), expected)


@pytest.mark.parametrize("frequency", [0.0, 1.0, -0.1, float("nan")])
def test_label_prior_rejects_what_gives_no_bound(frequency):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        distributions.BernoulliLabelPrior(torch.tensor([0.5, frequency]))


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


def test_decoder_computes_channels_last():
    decoder = distributions.LaplaceDecoder(networks.decoder_64(5))
    x = decoder(torch.randn(3, 5)).mean
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_precision_leaves_the_dtype_of_densities():
    decoder = distributions.LaplaceDecoder(networks.decoder_28(5).float())
    z = torch.randn(3, 5, dtype=torch.float32)
    exact = decoder(z).mean
    layers.set_precision(decoder, torch.bfloat16)
    rounded = decoder(z).mean
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.02
    layers.set_precision(decoder, torch.float32)
    assert torch.equal(decoder(z).mean, exact)


def test_decoder_takes_any_leading_shape():
    decoder = distributions.LaplaceDecoder(networks.mlp(3, 4), event_dim=1)
    z = torch.randn(6, 5, 3)
    assert_close(decoder(z).mean[2], decoder(z[2]).mean)


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


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_bernoulli_of_logits_is_pyros_with_its_gradient(value):
    logits = torch.tensor([-800.0, -30.0, -1.0, 0.0, 0.5, 30.0, 800.0], requires_grad=True)
    value = torch.full_like(logits, value).detach()
    ours, pyros = (
        fn(logits=logits, validate_args=False).log_prob(value)
        for fn in (logistic.LogitBernoulli, dist.Bernoulli)
    )
    assert_close(ours, pyros, atol=1e-12, rtol=1e-12)
    gradients = [torch.autograd.grad(log_prob.sum(), logits)[0] for log_prob in (ours, pyros)]
    assert_close(*gradients, atol=1e-12, rtol=1e-12)


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_compiled_networks_are_the_same_networks():
    decoder = distributions.LaplaceDecoder(networks.mlp(3, 4), event_dim=1)
    z, names = torch.randn(6, 3), list(decoder.state_dict())
    expected = decoder(z).mean
    layers.compile_networks(decoder)
    assert_close(decoder(z).mean, expected)
    decoder(z).mean.sum().backward()
    assert list(decoder.state_dict()) == names
