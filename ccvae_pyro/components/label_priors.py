"""Label priors: modules that return p(y)."""

from __future__ import annotations

import math

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ccvae_pyro.components._normal import vector
from ccvae_pyro.distributions.bernoulli import LogitBernoulli
from ccvae_pyro.distributions.normal import ClampedNormal
from ccvae_pyro.networks._sizes import check_positive


class BernoulliLabelPrior(nn.Module):
    r"""The label prior :math:`p(y) = \prod_i \operatorname{Bernoulli}(y_i; \pi_i)`.

    :param probs: :math:`\pi`, the prevalence of each label, shape ``(num_labels,)``.
    :raises ValueError: if a prevalence is not strictly between 0 and 1: a label that is always or
        never true would have an infinite bound.
    """

    def __init__(self, probs: Tensor) -> None:
        super().__init__()
        # Tensors on the meta device have no values: loading compares shapes there.
        if not probs.is_meta and not ((probs > 0) & (probs < 1)).all():
            raise ValueError(f"label_prior must lie strictly between 0 and 1, got {probs}")
        self.probs: Tensor
        self.register_buffer("probs", probs)

    def forward(self) -> dist.Independent:
        return vector(LogitBernoulli(logits=self.probs.logit(), validate_args=False))


class CategoricalLabelPrior(nn.Module):
    """The prior of a categorical label.

    :param class_frequencies: the frequency of each class, shape ``(num_classes,)``.
    :raises ValueError: if one is not positive and finite: its class would have an infinite bound.
    """

    def __init__(self, class_frequencies: Tensor) -> None:
        super().__init__()
        is_valid = (class_frequencies > 0) & class_frequencies.isfinite()
        if not class_frequencies.is_meta and not is_valid.all():
            raise ValueError(f"class frequencies must be positive, got {class_frequencies}")
        self.class_frequencies: Tensor
        self.register_buffer("class_frequencies", class_frequencies / class_frequencies.sum())

    def forward(self) -> dist.Categorical:
        return dist.Categorical(self.class_frequencies[None], validate_args=False)


class NormalLabelPrior(nn.Module):
    """The prior of a continuous label, or of the rank of an ordinal one.

    :param mean: the labels' mean.
    :param std: the labels' standard deviation, positive.
    :param bounds: the least and the greatest value of a label: samples are clamped to them.
    :param are_whole: whether samples are rounded to whole numbers, as ranks are.
    """

    def __init__(
        self,
        mean: float,
        std: float,
        bounds: tuple[float, float] = (-math.inf, math.inf),
        *,
        are_whole: bool = False,
    ) -> None:
        super().__init__()
        check_positive(**{"the standard deviation of a label": std})
        if not math.isfinite(mean):
            raise ValueError(f"the mean of a label must be finite, got {mean}")
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor([mean]))
        self.register_buffer("std", torch.tensor([std]))
        self.bounds, self.are_whole = bounds, are_whole

    def forward(self) -> dist.Normal:
        return ClampedNormal(
            self.mean, self.std, self.bounds, are_whole=self.are_whole, validate_args=False
        )
