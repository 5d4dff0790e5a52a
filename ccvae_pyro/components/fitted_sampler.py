"""A sampler of latents that is fitted to the encodings of images, beside the priors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ccvae_pyro.components.encoders import LabelCode
from ccvae_pyro.labels import Label

NAMES = ("weight", "bias", "scale_tril")


class FittedSampler(nn.Module):
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

    def __init__(
        self, weight: Tensor, bias: Tensor, scale_tril: Tensor, labels: Sequence[Label]
    ) -> None:
        super().__init__()
        self.code = LabelCode(labels)
        z_dim = bias.shape[-1] if bias.dim() else 0
        wanted = ((self.code.num_features, z_dim), (z_dim,), (z_dim, z_dim))
        for name, tensor, shape in zip(NAMES, (weight, bias, scale_tril), wanted, strict=True):
            if tensor.shape != shape or not tensor.isfinite().all():
                raise ValueError(
                    f"wanted {name} of finite numbers, of shape {shape}, got {tuple(tensor.shape)}"
                )
            # Not in the state dict, which is that of a model as it was trained.
            self.register_buffer(name, tensor, persistent=False)
        if not torch.equal(scale_tril, scale_tril.tril()) or scale_tril.diagonal().min() <= 0:
            raise ValueError("wanted scale_tril lower triangular, with a positive diagonal")
        self.weight: Tensor
        self.bias: Tensor
        self.scale_tril: Tensor

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name, as a checkpoint has them."""
        return {name: getattr(self, name) for name in NAMES}

    def forward(self, y: Tensor) -> dist.MultivariateNormal:
        """The distribution of :math:`u` given labels of shape ``(..., num_labels)``."""
        mean = self.code(y) @ self.weight + self.bias
        return dist.MultivariateNormal(mean, scale_tril=self.scale_tril, validate_args=False)


def sampler_from_tensors(tensors: Mapping[str, Tensor], labels: Sequence[Label]) -> FittedSampler:
    """The sampler from its :attr:`~FittedSampler.tensors`.

    :raises ValueError: if they are none of a sampler of these labels.
    """
    is_complete = isinstance(tensors, Mapping) and sorted(tensors) == sorted(NAMES)
    if not is_complete or not all(isinstance(each, Tensor) for each in tensors.values()):
        raise ValueError(f"wanted the tensors {', '.join(NAMES)} of a fitted sampler")
    return FittedSampler(**tensors, labels=labels)
