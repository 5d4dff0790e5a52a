"""The six parts of a CCVAE: modules that return a distribution, ready to be sampled or scored."""

from __future__ import annotations

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccvae_pyro.laplace import SharedScaleLaplace
from ccvae_pyro.logistic import LogitBernoulli

MIN_SCALE = (
    1e-3  # no deviation falls below this: the paper's guard against a density that diverges
)


class GaussianEncoder(nn.Module):
    r"""The posterior :math:`q_\phi(z \mid x)`: one diagonal Normal for each block of latents.

    :param features: a network from ``x`` to shape ``(batch, 2 * sum(block_dims))``.
    :param block_dims: the sizes of :math:`z_c` and :math:`z_{\setminus c}`.

    Example:

        >>> encoder = GaussianEncoder(nn.Linear(8, 10), block_dims=(3, 2))
        >>> q_z_c, q_z_style = encoder(torch.zeros(4, 8))
        >>> q_z_c.batch_shape, q_z_c.event_shape
        (torch.Size([4]), torch.Size([3]))
    """

    def __init__(self, features: nn.Module, block_dims: tuple[int, ...]) -> None:
        super().__init__()
        self.features = features
        self.block_dims = block_dims

    def forward(self, x: Tensor) -> tuple[dist.Independent, ...]:
        q_z = normal_of(self.features(x))
        blocks = (parameter.split(self.block_dims, -1) for parameter in (q_z.loc, q_z.scale))
        return tuple(dist.Normal(*block).to_event(1) for block in zip(*blocks, strict=True))


class LaplaceDecoder(nn.Module):
    r"""The likelihood :math:`p_\theta(x \mid z)` of the paper: a Laplace at every pixel.

    .. math:: \log p_\theta(x \mid z) = -\sum_i |x_i - \sigma(f_\theta(z))_i| / b - \log 2b

    :param features: the network :math:`f_\theta`, from shape ``(batch, z_dim)`` to images.
    :param scale: :math:`b`, the same for every pixel; the paper's is 1.
    :param event_dim: how many dimensions an image has.
    """

    def __init__(self, features: nn.Module, scale: float = 1.0, event_dim: int = 3) -> None:
        super().__init__()
        self.features = features
        self.event_dim = event_dim
        self.scale: Tensor
        self.register_buffer("scale", torch.tensor(scale))

    def forward(self, z: Tensor) -> SharedScaleLaplace:
        loc = _over_batch(self.features, z).sigmoid()
        return SharedScaleLaplace(loc, self.scale, self.event_dim)


class BernoulliDecoder(nn.Module):
    r"""The likelihood :math:`p_\theta(x \mid z)` for images that are nearly black and white.

    Grey values between 0 and 1 are scored by the cross-entropy, as is the custom with MNIST.

    :param features: a network from shape ``(batch, z_dim)`` to the logit of each pixel.
    :param event_dim: how many dimensions an image has.
    """

    def __init__(self, features: nn.Module, event_dim: int = 3) -> None:
        super().__init__()
        self.features = features
        self.event_dim = event_dim

    def forward(self, z: Tensor) -> dist.Independent:
        logits = _over_batch(self.features, z)
        return LogitBernoulli(logits=logits, validate_args=False).to_event(self.event_dim)


class GaussianDecoder(nn.Module):
    r"""The likelihood :math:`p_\theta(x \mid z)` of vectors: a Normal for each entry.

    :param features: a network from ``z`` to twice as many features as there are entries.
    """

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, z: Tensor) -> dist.Independent:
        return normal_of(self.features(z)).to_event(1)


class DiagonalClassifier(nn.Module):
    r"""The classifier :math:`q_\varphi(y \mid z_c)`, in which :math:`y_i` sees :math:`z_c^i` only.

    .. math:: \operatorname{logit} q_\varphi(y_i = 1 \mid z_c) = w_i z_c^i + b_i

    :param num_labels: the number of labels, and so of characteristics.
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_labels))
        self.bias = nn.Parameter(torch.zeros(num_labels))

    def forward(self, z_c: Tensor) -> dist.Independent:
        return LogitBernoulli(logits=self.weight * z_c + self.bias).to_event(1)


class GaussianConditionalPrior(nn.Module):
    r"""The conditional prior :math:`p_\psi(z_c \mid y)`: two Normals for each label.

    A label anywhere in [0, 1] interpolates between them, location and raw scale alike:

    .. math:: p_\psi(z_c^i \mid y_i) = \mathcal{N}(y_i \mu_i^1 + (1 - y_i) \mu_i^0, \;
              \operatorname{softplus}(y_i s_i^1 + (1 - y_i) s_i^0))

    :param num_labels: the number of labels, and so of characteristics.
    :param start: where the two locations begin, at minus and plus this value.
    """

    def __init__(self, num_labels: int, start: float = 2.0) -> None:
        super().__init__()
        self.loc_false = nn.Parameter(torch.full((num_labels,), -start))
        self.loc_true = nn.Parameter(torch.full((num_labels,), start))
        self.raw_scale_false = nn.Parameter(torch.ones(num_labels))
        self.raw_scale_true = nn.Parameter(torch.ones(num_labels))

    def forward(self, y: Tensor) -> dist.Independent:
        loc = torch.lerp(self.loc_false, self.loc_true, y)
        raw_scale = torch.lerp(self.raw_scale_false, self.raw_scale_true, y)
        scale = F.softplus(raw_scale).clamp(min=MIN_SCALE)
        return dist.Normal(loc, scale).to_event(1)


class StandardNormal(nn.Module):
    r"""The style prior :math:`p(z_{\setminus c}) = \mathcal{N}(0, I)`.

    :param dim: the number of style dimensions.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.loc: Tensor
        self.scale: Tensor
        self.register_buffer("loc", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def forward(self) -> dist.Independent:
        return dist.Normal(self.loc, self.scale).to_event(1)


class BernoulliLabelPrior(nn.Module):
    r"""The label prior :math:`p(y) = \prod_i \operatorname{Bernoulli}(y_i; \pi_i)`.

    :param probs: :math:`\pi`, the frequency of each label, shape ``(num_labels,)``.
    :raises ValueError: if a frequency is not strictly between 0 and 1, where a label that is
        always or never given would have an infinite bound.
    """

    def __init__(self, probs: Tensor) -> None:
        super().__init__()
        if not ((probs > 0) & (probs < 1)).all():
            raise ValueError(f"label_prior must lie strictly between 0 and 1, got {probs}")
        self.register_buffer("probs", probs)

    def forward(self) -> dist.Independent:
        return dist.Bernoulli(self.probs).to_event(1)


def normal_of(features: Tensor) -> dist.Normal:
    """A Normal for each two features: locations first, then scales before their softplus."""
    loc, raw_scale = features.chunk(2, dim=-1)
    return dist.Normal(loc, F.softplus(raw_scale).clamp(min=MIN_SCALE))


def _over_batch(network: nn.Module, z: Tensor) -> Tensor:
    """Applies a network that takes one batch dimension to ``z``, which may have several."""
    return network(z.flatten(0, -2)).unflatten(0, z.shape[:-1])
