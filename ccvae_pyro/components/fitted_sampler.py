"""A sampler of latents that is fitted to the encodings of images, beside the priors."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor

from ccvae_pyro.components._fitted_part import FittedPart
from ccvae_pyro.components.encoders import LabelCode
from ccvae_pyro.labels import Label


class FittedSampler(FittedPart):
    r"""The distribution of images' latents given their labels: the priors, corrected.

    The priors give latents :math:`z = \mu(y) + \sigma(y) \odot u` with standard normal :math:`u`.
    Here :math:`u` is a linear regression on labels, whose errors are correlated:

    .. math:: u \mid y \sim \mathcal{N}(W^\top c(y) + b, \; L L^\top) ,

    where :math:`c(y)` is the :class:`LabelCode`. With :math:`W = 0`, :math:`b = 0` and
    :math:`L = I` it has the priors' means and variances. Each label moves all latents, those of
    other labels and of the style too, and the effects of labels add up, so that labels may be
    combined as they never were in the training images.

    :param weight: :math:`W`, shape ``(num_features, z_dim)``, a row for each entry of the code.
    :param bias: :math:`b`, shape ``(z_dim,)``.
    :param scale_tril: :math:`L`, lower triangular, shape ``(z_dim, z_dim)``.
    :param labels: the labels, for their code.
    :raises ValueError: if shapes disagree, or a value is not finite, or :math:`L` is no lower
        triangular matrix with a positive diagonal.
    """

    description = "a fitted sampler"
    names = ("weight", "bias", "scale_tril")

    def __init__(
        self, weight: Tensor, bias: Tensor, scale_tril: Tensor, labels: Sequence[Label]
    ) -> None:
        super().__init__()
        self.code = LabelCode(labels)
        z_dim = bias.shape[-1] if bias.dim() else 0
        wanted = ((self.code.num_features, z_dim), (z_dim,), (z_dim, z_dim))
        self.keep(*zip((weight, bias, scale_tril), wanted, strict=True))
        if not torch.equal(scale_tril, scale_tril.tril()) or scale_tril.diagonal().min() <= 0:
            raise ValueError("wanted scale_tril lower triangular, with a positive diagonal")
        self.weight: Tensor
        self.bias: Tensor
        self.scale_tril: Tensor

    def forward(self, y: Tensor) -> dist.MultivariateNormal:
        """The distribution of :math:`u` given labels of shape ``(..., num_labels)``."""
        mean = self.code(y) @ self.weight + self.bias
        return dist.MultivariateNormal(mean, scale_tril=self.scale_tril, validate_args=False)
