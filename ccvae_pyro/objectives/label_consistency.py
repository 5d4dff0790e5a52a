"""Whether a guide reads the labels off images that a model generates to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from ccvae_pyro.objectives.traces import scaled


class SampleMeanImages(Messenger):
    """Gives what a function observes the mean of its distribution, in place of what was seen."""

    def _pyro_sample(self, msg: Any) -> None:
        if msg["is_observed"] and not site_is_subsample(msg):
            msg["is_observed"], msg["done"], msg["value"] = False, True, msg["fn"].mean


def label_consistency(model: Callable, guide: Callable, x: Tensor) -> Tensor:
    r"""How surely a guide reads off images the labels that a model generated them to.

    .. math:: \mathbb{E}_{p(y)\, p(z \mid y)} \left[ \log q(y \mid \hat{x}(z)) \right] , \qquad
              \hat{x}(z) = \mathbb{E}_{p_\theta(x \mid z)}[x]

    estimated from one draw for each image of ``x``. But for a constant it bounds, from below, what
    an image tells of the labels that it was generated to (Barber and Agakov, 2003); generators are
    trained by it in Hu et al. (2017) and, with labels that nobody gives, in InfoGAN
    (Chen et al., 2016). The guide is as good as fixed: the gradient is that of the model alone,
    lest the two agree on signs that no one else can read.

    :param model: called with images alone, it draws its labels, and observes nothing but ``"x"``.
    :param guide: called with images and their labels.
    :param x: what the model is called with, of which it needs no more than the shape.
    :returns: the sum over the images, which has a gradient if gradients are on.
    """
    generated = poutine.trace(SampleMeanImages()(model)).get_trace(x)
    image, y = (generated.nodes[name]["value"] for name in ("x", "y"))
    seen = image.detach().requires_grad_(torch.is_grad_enabled())
    site: Any = poutine.trace(guide).get_trace(seen, y).nodes["y"]
    log_q = scaled(site["fn"].log_prob(y), site).sum()
    if not log_q.requires_grad:
        return log_q
    (gradient,) = torch.autograd.grad(log_q, seen)
    through_image = (gradient * image).sum()
    return through_image + (log_q - through_image).detach()
