"""How far a guide is from the posterior, in ArviZ's terms: weights, draws, priors."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from pyro import poutine
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from ccvae_pyro.components.bayes_classifier import mixture_log_prob
from ccvae_pyro.distributions.label_vector import expectations, observed_log_probs
from ccvae_pyro.evaluation import _arviz as arviz_bridge
from ccvae_pyro.labels import Continuous, Label, are_plain, block_of, outcome_names
from ccvae_pyro.models.ccvae import CCVAE
from ccvae_pyro.objectives.base import log_joint

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
    log_p = mixture_log_prob(
        ccvae.label_prior, ccvae.conditional_prior, z_c
    ) + ccvae.style_prior().log_prob(z_style)
    log_p += torch.cat(
        [
            _log_p_x_z(ccvae, x, torch.cat(z, dim=-1))
            for z in zip(z_c.split(CHUNK), z_style.split(CHUNK), strict=True)
        ]
    )
    images = log_p - q_z_c.log_prob(z_c) - q_z_style.log_prob(z_style)
    if y is None:
        return ImportanceWeights(images, None)
    log_q_y_z = observed_log_probs(ccvae.classifier(z_c), y)
    log_q_y_x = log_q_y_z.logsumexp(0) - math.log(num_draws)  # label by label
    return ImportanceWeights(images, (log_q_y_z - log_q_y_x).sum(-1))


def _log_p_x_z(ccvae: CCVAE, x: Tensor, z: Tensor) -> Tensor:
    """Of images at draws, shape ``(num_draws, batch)``; the decoder sees one batch of them all."""
    images = x.expand(len(z), *x.shape).flatten(0, 1)
    return ccvae.decoder(z.flatten(0, 1)).log_prob(images).unflatten(0, z.shape[:2])


def log_likelihood(weights: ImportanceWeights) -> Tensor:
    r"""Estimates :math:`\log p(x)` for each image (Burda et al., 2016), shape ``(batch,)``.

    .. math:: \log p(x) \approx \log \frac{1}{K} \sum_k p(x, z^{(k)}) / q(z^{(k)} \mid x)
    """
    return weights.images.logsumexp(0) - math.log(len(weights.images))


@torch.no_grad()
def log_p_x(model: Any, x: Tensor, num_draws: int = 100) -> Tensor:
    r"""Estimates :math:`\log p(x)` for each image, by any model and guide, shape ``(batch,)``.

    All latents are weighed at draws from the guide, a label among them; of a
    :class:`~ccvae_pyro.CCVAE`, labels are summed out: see :func:`importance_weights`.
    """
    if isinstance(model, CCVAE):
        return log_likelihood(importance_weights(model, x, num_draws=num_draws))
    log_weights = []
    for _ in range(num_draws):
        guide = poutine.trace(model.guide).get_trace(x)
        traces = poutine.trace(poutine.replay(model.model, guide)).get_trace(x), guide
        for trace in traces:
            trace.compute_log_prob()
        log_p, log_q = (log_joint(prune_subsample_sites(t), x.shape[:1]) for t in traces)
        log_weights.append(log_p - log_q)
    return torch.stack(log_weights).logsumexp(0) - math.log(num_draws)


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
    ``z_c_given_y``, and ``observed_data`` the labels, if given. Unless all labels are binary and
    have one characteristic, ``z_c`` has a dimension ``characteristic`` and ``y_probability`` one
    of each ``outcome``, and in place of ``z_c_given_y`` is a variable for each label, by its name.

    :returns: ArviZ's own container: ``InferenceData`` before ArviZ 1, a ``DataTree`` since.
    """
    q_z_c, q_z_style = ccvae.encoder(x)
    z_c, z_style = (q.sample((num_draws,)) for q in (q_z_c, q_z_style))
    y_probability = expectations(ccvae.classifier(z_c))
    posterior = {"z_c": z_c, "z_style": z_style, "y_probability": y_probability}
    groups = {"posterior": _arrays(posterior), "prior": _prior_draws(ccvae, num_draws)}
    if y is not None:
        groups["observed_data"] = {"y": y.cpu().numpy()}
    return _bridge(ccvae, groups)


def plot_prior_forest(ccvae: CCVAE, num_draws: int = 4000) -> Figure:
    """Draws the learned conditional prior of each label as intervals, for each of its values."""
    data = _bridge(ccvae, {"posterior": _prior_draws(ccvae, num_draws)})
    return arviz_bridge.plot_forest(data)


@torch.no_grad()
def _prior_draws(ccvae: CCVAE, num_draws: int) -> dict[str, np.ndarray]:
    """Of ``z_c_given_y`` of all labels, or by label, if they differ in what they need."""
    z_c = ccvae.conditional_prior(_values_of_labels(ccvae)).sample((num_draws,))
    if are_plain(ccvae.labels):
        return _arrays({"z_c_given_y": z_c.transpose(1, 2)})
    draws = {}
    for i, label in enumerate(ccvae.labels):
        num_values = len(label.classes) or 3
        draws[label.name] = z_c[:, :num_values, block_of(ccvae.labels, i)]
    return _arrays(draws)


def _arrays(draws: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """As of one chain."""
    return {name: array[None].cpu().numpy() for name, array in draws.items()}


def _bridge(ccvae: CCVAE, groups: dict[str, dict[str, np.ndarray]]) -> Any:
    dims = {"z_c": ["image", "label"], "z_style": ["image", "latent"]}
    dims |= {"y_probability": ["image", "label"], "y": ["image", "label"]}
    dims |= {"z_c_given_y": ["label", "value"]}
    coords = {"label": list(ccvae.label_names), "value": ["without", "with"]}
    if not are_plain(ccvae.labels):
        dims |= {"z_c": ["image", "characteristic"], "y_probability": ["image", "outcome"]}
        coords["characteristic"] = [
            f"{label.name} {k}" for label in ccvae.labels for k in range(label.dim)
        ]
        coords["outcome"] = outcome_names(ccvae.labels)
        for label in ccvae.labels:
            value, entry = f"value of {label.name}", f"characteristic of {label.name}"
            dims[label.name] = [value, entry]
            coords |= {value: _values(label), entry: list(map(str, range(label.dim)))}
    used = {name for group in groups.values() for name in group}
    dims = {name: axes for name, axes in dims.items() if name in used}
    coords = {key: coords[key] for key in coords if any(key in axes for axes in dims.values())}
    return arviz_bridge.inference_data(groups, dims, coords)


def _values(label: Label) -> list[str]:
    """The values of a label whose priors are drawn."""
    if isinstance(label, Continuous):
        return [f"{label.mean + count * label.std:.3g}" for count in range(3)]
    return list(label.classes)


def _values_of_labels(ccvae: CCVAE) -> Tensor:
    """Label vectors in which each label takes each of its values, the last one repeated."""
    columns = []
    for label in ccvae.labels:
        if isinstance(label, Continuous):
            columns.append([label.mean + count * label.std for count in range(3)])
        else:
            columns.append([float(i) for i in range(len(label.classes))])
    num_rows = max(map(len, columns))
    padded = [column + column[-1:] * (num_rows - len(column)) for column in columns]
    like = next(ccvae.parameters())
    return torch.tensor(padded, dtype=like.dtype, device=like.device).T
