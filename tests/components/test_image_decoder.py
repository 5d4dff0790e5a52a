"""The decoder of images of any kind: its mean, its scale and its families."""

import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from ccvae_pyro.components import ImageDecoder, LaplaceDecoder

SHAPE = (1, 2, 3)


class Constant(nn.Module):
    """A network that returns its one parameter at every pixel."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, z):
        return self.value.expand(len(z), *SHAPE)


def test_training_starts_at_the_mean_image():
    decoder = ImageDecoder(Constant(0.0), SHAPE)
    decoder.mean_image.copy_(torch.rand(SHAPE))
    assert_close(decoder(torch.zeros(4, 2)).mean[3], decoder.mean_image)


@pytest.mark.parametrize("output", [-700.0, -3.0, 0.0, 1.5, 3.0, 700.0])
def test_a_gradient_reaches_the_network_whatever_it_returns(output):
    x = torch.full((1, *SHAPE), 0.5)
    gradients = []
    for decoder in (
        ImageDecoder(Constant(output), SHAPE, scale=1.0, fit_scale=False),
        LaplaceDecoder(Constant(output)),
    ):
        decoder(torch.zeros(1, 2)).log_prob(x).sum().backward()
        gradients.append(abs(decoder.features.value.grad.item()))
    ours, of_sigmoid = gradients
    if output != 0.0:  # there the reconstruction is perfect
        assert ours > 0.099 * x.numel() / 4
    if abs(output) == 700.0:  # where the sigmoid's network never recovers
        assert of_sigmoid < 1e-30


@pytest.mark.parametrize("output", [-9.0, 9.0])
def test_the_mean_stays_in_the_range_of_images(output):
    p_x = ImageDecoder(Constant(output), SHAPE)(torch.zeros(1, 2))
    assert torch.equal(p_x.mean, torch.full((1, *SHAPE), float(output > 0)))
    assert torch.equal(p_x.expand((3,)).mean, p_x.mean.expand(3, *SHAPE))
    assert not torch.equal(p_x.loc, p_x.mean)


@pytest.mark.parametrize("family", ["laplace", "gaussian", "logistic"])
def test_the_fitted_scale_is_the_most_probable_one(family):
    torch.manual_seed(0)
    decoder = ImageDecoder(Constant(0.0), SHAPE, family)
    x = (0.5 + 0.03 * torch.randn(500, *SHAPE)).mul(255).round().div(255)
    adam = torch.optim.Adam([decoder.log_scale], 0.05)
    for _ in range(400):
        loss = -decoder(torch.zeros(500, 2)).log_prob(x).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    scale = decoder.scale.item()
    if family == "laplace":
        assert scale == pytest.approx((x - 0.5).abs().mean().item(), rel=0.01)
    elif family == "gaussian":
        assert scale == pytest.approx((x - 0.5).square().mean().sqrt().item(), rel=0.01)
    else:
        scales = torch.linspace(0.5, 2, 151) * scale
        fits = [
            ImageDecoder(Constant(0.0), SHAPE, family, s.item(), fit_scale=False) for s in scales
        ]
        bounds = torch.stack([fit(torch.zeros(500, 2)).log_prob(x).mean() for fit in fits])
        assert scales[bounds.argmax()].item() == pytest.approx(scale, rel=0.02)


def test_a_perfect_reconstruction_keeps_the_density_finite():
    decoder = ImageDecoder(Constant(0.0), SHAPE)
    with torch.no_grad():
        decoder.log_scale.fill_(-1000.0)
    p_x = decoder(torch.zeros(1, 2))
    assert decoder.scale.item() == pytest.approx(0.004)
    assert p_x.log_prob(p_x.mean).isfinite().all()


def test_a_given_scale_is_kept():
    decoder = ImageDecoder(Constant(0.0), SHAPE, scale=0.2, fit_scale=False)
    assert [name for name, _ in decoder.named_parameters()] == ["features.value"]
    expected = dist.Laplace(0.5, 0.2).log_prob(torch.tensor(0.7)) * 6
    assert_close(decoder(torch.zeros(1, 2)).log_prob(torch.full(SHAPE, 0.7)), expected[None])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "cauchy"}, "family must be one of laplace, gaussian, logistic, got 'cauchy'"),
        ({"scale": 0.0}, "scale of the likelihood must be finite and above 0.004, got 0.0"),
        ({"scale": float("inf")}, "must be finite and above 0.004, got inf"),
    ],
)
def test_what_cannot_be_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageDecoder(Constant(0.0), SHAPE, **arguments)
