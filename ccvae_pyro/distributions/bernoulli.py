"""The Bernoulli distribution, scored fast."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class LogitBernoulli(dist.Bernoulli):
    r"""A Bernoulli whose logits :math:`t` are given.

    .. math:: \log p(x) = x t + \log \sigma(-t)

    The same as :class:`pyro.distributions.Bernoulli`, whose logarithm PyTorch computes element by
    element on a CPU, six times as slowly: of 100 draws of a batch's labels, that took 3 % of a
    training step. A value between 0 and 1 is scored by the cross-entropy, as there.
    """

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return value * self.logits + log_sigmoid(-self.logits)


def log_sigmoid(t: Tensor) -> Tensor:
    r"""As :func:`torch.nn.functional.logsigmoid`: :math:`\min(t, 0) + \log \sigma(|t|)`."""
    return _LogSigmoid.apply(t)


class _LogSigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, t: Tensor) -> Tensor:
        ctx.save_for_backward(t)
        return t.abs().sigmoid_().log_().add_(t.clamp(max=0))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (t,) = ctx.saved_tensors
        return gradient * t.neg().sigmoid_()
