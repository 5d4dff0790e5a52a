"""The label-consistency regularizer: log q(y|x) on images generated from p(x|y)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from ccvae_pyro.distributions.label_vector import LabelVector, are_independent, label_groups
from ccvae_pyro.objectives.base import scaled, site_of


class MeanObservations(Messenger):
    """Replaces what a function observes by the mean of its distribution."""

    def _pyro_sample(self, msg: Any) -> None:
        if msg["is_observed"] and not site_is_subsample(msg):
            msg["is_observed"], msg["done"], msg["value"] = False, True, msg["fn"].mean


class IndependentLabels(Messenger):
    """Samples labels that depend on each other by their marginals alone.

    An edit changes one label and leaves the others, so that images are also wanted of label
    vectors that are rare together.
    """

    def _pyro_sample(self, msg: Any) -> None:
        if not are_independent(msg["fn"]) and not msg["is_observed"]:
            msg["fn"] = LabelVector(label_groups(msg["fn"]), validate_args=False)


def label_consistency(model: Callable[..., Any], guide: Callable[..., Any], x: Tensor) -> Tensor:
    r"""The log-probability, under a guide, of the labels that images were generated for:

    .. math:: \mathbb{E}_{p(y)\, p(z \mid y)} \left[ \log q(y \mid \hat{x}(z)) \right] , \qquad
              \hat{x}(z) = \mathbb{E}_{p_\theta(x \mid z)}[x]

    estimated from one sample for each image of ``x``. Labels of a label prior that is a tree are
    sampled by their marginals, :math:`\prod_i p(y_i)`. Up to a constant it is a lower bound on the
    mutual information of an image and its labels (Barber and Agakov, 2003). Generators are trained
    by it in Hu et al. (2017) and, with labels that nobody gives, in InfoGAN (Chen et al., 2016).
    The gradient is that of the model alone, and the guide is held fixed, lest the two agree on a
    code that no other classifier reads.

    :param model: called with images alone, it samples its labels, and observes only ``"x"``.
    :param guide: called with images and their labels.
    :param x: images, of which only the shape matters.
    :raises ValueError: if the model has no site ``"x"`` or ``"y"``, or the guide no ``"y"``.
    :returns: the sum over the images, which has a gradient if gradients are on.
    """
    program = IndependentLabels()(MeanObservations()(model))
    generated = poutine.trace(program).get_trace(x)
    image, y = (site_of(generated, name, "model")["value"] for name in ("x", "y"))
    seen = image.detach().requires_grad_(torch.is_grad_enabled())
    site = site_of(poutine.trace(guide).get_trace(seen, y), "y", "guide")
    log_q = scaled(site["fn"].log_prob(y), site).sum()
    if not log_q.requires_grad:
        return log_q
    (gradient,) = torch.autograd.grad(log_q, seen)
    through_image = (gradient * image).sum()
    label_consistency: Tensor = through_image + (log_q - through_image).detach()
    return label_consistency
