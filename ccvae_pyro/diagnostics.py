"""How far a guide is from the posterior, in ArviZ's terms: weights, draws, priors."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ccvae_pyro import arviz_bridge
from ccvae_pyro.model import CCVAE

CHUNK = 20  # draws decoded at a time


class ImportanceWeights(NamedTuple):
    r"""Logarithms of weights at draws of :math:`z` from :math:`q(z \mid x)`.

    :param images: :math:`p(x, z) / q(z \mid x)`, shape ``(num_draws, batch)``.
    :param labels: :math:`q(y \mid z_c) / q(y \mid x)`, the weights of Eq. (4), of the same shape;
        None without labels.
    """

    images: Tensor
    labels: Tensor | None


@torch.no_grad()
def importance_weights(
    ccvae: CCVAE, x: Tensor, y: Tensor | None = None, num_draws: int = 1000
) -> ImportanceWeights:
    r"""Weighs draws of the guide by the model, with the label summed out of its prior:

    .. math:: p(x, z) = p(x \mid z) \, p(z_{\setminus c})
              \prod_i \sum_{y_i} p(y_i) \, p(z_c^i \mid y_i)

    :param x: images, shape ``(batch, ...)``.
    :param y: their labels, NaN where missing.
    """
    q_z_c, q_z_style = ccvae.encoder(x)
    z_c, z_style = (q.sample((num_draws,)) for q in (q_z_c, q_z_style))
    log_p = mixture_log_prob(ccvae, z_c) + ccvae.style_prior().log_prob(z_style)
    log_p += torch.cat(
        [
            ccvae.decoder(torch.cat(z, dim=-1)).log_prob(x)
            for z in zip(z_c.split(CHUNK), z_style.split(CHUNK), strict=True)
        ]
    )
    images = log_p - q_z_c.log_prob(z_c) - q_z_style.log_prob(z_style)
    if y is None:
        return ImportanceWeights(images, None)
    known = ~y.isnan()
    log_q_y_z = ccvae.classifier(z_c).base_dist.log_prob(y.nan_to_num().expand_as(z_c))
    log_q_y_x = log_q_y_z.logsumexp(0) - math.log(num_draws)
    return ImportanceWeights(images, ((log_q_y_z - log_q_y_x) * known).sum(-1))


def mixture_log_prob(ccvae: CCVAE, z_c: Tensor) -> Tensor:
    r""":math:`\log p(z_c)`, the prior of characteristics whose labels are not known."""
    label_prior = ccvae.label_prior().base_dist
    values = torch.stack([torch.zeros_like(z_c[0, 0]), torch.ones_like(z_c[0, 0])])
    log_p = [
        ccvae.conditional_prior(y).base_dist.log_prob(z_c) + label_prior.log_prob(y)
        for y in values
    ]
    return torch.logaddexp(*log_p).sum(-1)


def log_likelihood(weights: ImportanceWeights) -> Tensor:
    r"""Estimates :math:`\log p(x)` for each image (Burda et al., 2016), shape ``(batch,)``.

    .. math:: \log p(x) \approx \log \frac{1}{K} \sum_k p(x, z^{(k)}) / q(z^{(k)} \mid x)
    """
    return weights.images.logsumexp(0) - math.log(len(weights.images))


def effective_sample_size(log_weights: Tensor) -> Tensor:
    r"""How many equal weights these are worth, :math:`(\sum w)^2 / \sum w^2`, for each image.

    :param log_weights: shape ``(num_draws, batch)``.
    """
    return (2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp()


def pareto_k(log_weights: Tensor) -> np.ndarray:
    r"""The shape :math:`\hat k` of the weights' tail, for each image (Vehtari et al., 2024).

    Below 0.7 an average of these weights can be relied on.

    :param log_weights: shape ``(num_draws, batch)``.
    """
    return arviz_bridge.pareto_k(log_weights.T.double().cpu().numpy())


@torch.no_grad()
def inference_data(ccvae: CCVAE, x: Tensor, y: Tensor | None = None, num_draws: int = 1000) -> Any:
    """Draws from the guide and from the conditional prior, for ArviZ.

    Dimensions are ``image``, ``label``, ``latent`` and ``value``, of a label. The group
    ``posterior`` holds ``z_c``, ``z_style`` and ``y_probability`` of each image; ``prior`` holds
    ``z_c_given_y``, and ``observed_data`` the labels, if given.

    :returns: ArviZ's own container: ``InferenceData`` before ArviZ 1, a ``DataTree`` since.
    """
    q_z_c, q_z_style = ccvae.encoder(x)
    z_c, z_style = (q.sample((num_draws,)) for q in (q_z_c, q_z_style))
    posterior = {"z_c": z_c, "z_style": z_style, "y_probability": ccvae.classifier(z_c).mean}
    groups = {"posterior": _arrays(posterior), "prior": _prior_draws(ccvae, num_draws)}
    if y is not None:
        groups["observed_data"] = {"y": y.cpu().numpy()}
    return _bridge(ccvae, groups)


def plot_prior_forest(ccvae: CCVAE, num_draws: int = 4000) -> Figure:
    """Draws the learned conditional prior of each label as intervals, without it and with it."""
    data = _bridge(ccvae, {"posterior": _prior_draws(ccvae, num_draws)})
    return arviz_bridge.plot_forest(data)


@torch.no_grad()
def _prior_draws(ccvae: CCVAE, num_draws: int) -> dict[str, np.ndarray]:
    zeros = torch.zeros_like(ccvae.label_prior().mean)
    values = torch.stack([zeros, torch.ones_like(zeros)])
    z_c = ccvae.conditional_prior(values).sample((num_draws,)).transpose(1, 2)
    return _arrays({"z_c_given_y": z_c})


def _arrays(draws: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """As of one chain."""
    return {name: array[None].cpu().numpy() for name, array in draws.items()}


def _bridge(ccvae: CCVAE, groups: dict[str, dict[str, np.ndarray]]) -> Any:
    dims = {"z_c": ["image", "label"], "z_style": ["image", "latent"]}
    dims |= {"y_probability": ["image", "label"], "y": ["image", "label"]}
    dims |= {"z_c_given_y": ["label", "value"]}
    num_labels = ccvae.label_prior().event_shape[0]
    names = list(ccvae.label_names) or [str(i) for i in range(num_labels)]
    coords = {"label": names, "value": ["without", "with"]}
    used = {name for group in groups.values() for name in group}
    dims = {name: axes for name, axes in dims.items() if name in used}
    coords = {key: coords[key] for key in coords if any(key in axes for axes in dims.values())}
    return arviz_bridge.inference_data(groups, dims, coords)
