"""Importance weights, which compare the guide with the posterior, and exports to ArviZ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pyro import poutine
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from ccvae_pyro.components.bayes_classifier import mixture_log_prob
from ccvae_pyro.distributions._device import to_float64
from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.distributions.label_vector import expectations, observed_log_probs
from ccvae_pyro.evaluation import _arviz
from ccvae_pyro.labels import Continuous, Label, are_plain, block_of, outcome_names
from ccvae_pyro.labels._plain_values import plain_int
from ccvae_pyro.models import CCVAE, evaluation
from ccvae_pyro.objectives.base import log_joint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHUNK_SIZE = 20  # samples of z that are decoded at a time


@dataclass(frozen=True)
class ImportanceWeights:
    r"""Logarithms of importance weights at samples of :math:`z` from :math:`q(z \mid x)`.

    :param images: :math:`p(x, z) / q(z \mid x)`, shape ``(num_samples, batch)``.
    :param labels: :math:`q(y \mid z_c) / q(y \mid x)`, the weights of Eq. (4), of the same shape;
        None without labels.
    """

    images: Tensor
    labels: Tensor | None


@evaluation
def importance_weights(
    ccvae: CCVAE,
    x: Tensor,
    y: Tensor | None = None,
    num_samples: int = 1000,
    *,
    seed: int | None = 0,
) -> ImportanceWeights:
    r"""Weights of samples from the guide under the model, with the labels summed out:

    .. math:: p(x, z) = p(x \mid z) \, p(z_{\setminus c})
              \prod_i \sum_{y_i} p(y_i) \, p(z_c^i \mid y_i)

    :param x: images, shape ``(batch, ...)``.
    :param y: labels of the images, NaN where missing.
    :param seed: the seed of the samples; None samples by the global generator.
    :raises ValueError: if there are no images or no samples.
    """
    num_samples = _checked_number(x, num_samples)
    ccvae.check_images(x)
    q_z_c, q_z_style = ccvae.encoder(x)
    with seeded(seed):
        z_c, z_style = (q(torch.Size((num_samples,))) for q in (q_z_c, q_z_style))
    log_p = mixture_log_prob(
        ccvae.label_prior, ccvae.conditional_prior, z_c
    ) + ccvae.style_prior().log_prob(z_style)
    z_chunks = torch.split(torch.cat([z_c, z_style], dim=-1), CHUNK_SIZE)
    log_p += torch.cat([_log_p_x_z(ccvae, x, z) for z in z_chunks])
    images = log_p - q_z_c.log_prob(z_c) - q_z_style.log_prob(z_style)
    if y is None:
        return ImportanceWeights(images, None)
    log_q_y_z = observed_log_probs(ccvae.classifier(z_c), ccvae.checked_labels(y, len(x)))
    log_q_y_x = log_q_y_z.logsumexp(0) - math.log(num_samples)  # label by label
    return ImportanceWeights(images, (log_q_y_z - log_q_y_x).sum(-1))


def _checked_number(x: Tensor, num_samples: int) -> int:
    """The number of samples, at least one, of images that there are."""
    if not len(x):
        raise ValueError("wanted at least one image to sample the latents of, got none")
    return plain_int(num_samples, "num_samples", minimum=1)


def _log_p_x_z(ccvae: CCVAE, x: Tensor, z: Tensor) -> Tensor:
    """The log-likelihood at samples, which are decoded as one batch."""
    images = x.expand(len(z), *x.shape).flatten(0, 1)
    log_p: Tensor = ccvae.decoder(z.flatten(0, 1)).log_prob(images)
    return log_p.view(z.shape[:2])


def log_likelihood(weights: ImportanceWeights) -> Tensor:
    r"""Estimates :math:`\log p(x)` for each image (Burda et al., 2016), shape ``(batch,)``.

    .. math:: \log p(x) \approx \log \frac{1}{K} \sum_k p(x, z^{(k)}) / q(z^{(k)} \mid x)
    """
    return weights.images.logsumexp(0) - math.log(len(weights.images))


@evaluation
def log_p_x(model: Any, x: Tensor, num_samples: int = 100, *, seed: int | None = 0) -> Tensor:
    r"""Estimates :math:`\log p(x)` for each image, shape ``(batch,)``.

    All latents are sampled from the guide, labels included. The labels of a
    :class:`~ccvae_pyro.CCVAE` are summed out: see :func:`importance_weights`.

    :param model: any object with a ``model`` and a ``guide`` that are called with images.
    :param seed: the seed of the samples; None samples by the global generator.
    :raises ValueError: if there are no images or no samples.
    """
    num_samples = _checked_number(x, num_samples)
    if isinstance(model, CCVAE):
        return log_likelihood(importance_weights(model, x, num_samples=num_samples, seed=seed))
    with seeded(seed):
        log_weights = [_log_weight(model, x) for _ in range(num_samples)]
    return torch.stack(log_weights).logsumexp(0) - math.log(num_samples)


def _log_weight(model: Any, x: Tensor) -> Tensor:
    """The importance weight of one sample of all latents for each image, shape ``(batch,)``."""
    guide = poutine.trace(model.guide).get_trace(x)
    traces = poutine.trace(poutine.replay(model.model, guide)).get_trace(x), guide
    for trace in traces:
        trace.compute_log_prob()
    log_p, log_q = (log_joint(prune_subsample_sites(t), x.shape[:1]) for t in traces)
    return log_p - log_q


def effective_sample_size(log_weights: Tensor) -> Tensor:
    r"""The effective sample size :math:`(\sum w)^2 / \sum w^2` for each image.

    :param log_weights: shape ``(num_samples, batch)``.
    """
    return (2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp()


def pareto_k(log_weights: Tensor) -> np.ndarray:
    r"""The Pareto shape :math:`\hat k` of the weights' tail for each image (Vehtari et al., 2024).

    Averages of these weights are reliable below 0.7. It is infinite for few samples, and NaN for
    one.

    :param log_weights: shape ``(num_samples, batch)``.
    """
    if len(log_weights) < 2:
        return np.full(log_weights.shape[1], np.nan)
    return _arviz.pareto_k(to_float64(log_weights.T))


@evaluation
def inference_data(
    ccvae: CCVAE,
    x: Tensor,
    y: Tensor | None = None,
    num_samples: int = 1000,
    *,
    seed: int | None = 0,
) -> Any:
    """Samples from the guide and from the conditional prior, for ArviZ.

    The group ``posterior`` holds ``z_c``, ``z_style`` and ``y_probability`` for each image, the
    group ``prior`` holds ``z_c_given_y``, and ``observed_data`` holds the labels, if given. The
    dimensions are ``image``, ``label``, ``latent`` and ``value`` (of a label). Unless all labels
    are binary with one characteristic each, ``z_c`` has a dimension ``characteristic``,
    ``y_probability`` has a dimension ``outcome``, and a variable for each label, by its name,
    replaces ``z_c_given_y``.

    :param seed: the seed of the samples; None samples by the global generator.
    :returns: ArviZ's own container: ``InferenceData`` before ArviZ 1, a ``DataTree`` since.
    """
    num_samples = _checked_number(x, num_samples)
    ccvae.check_images(x)
    q_z_c, q_z_style = ccvae.encoder(x)
    with seeded(seed):
        z_c, z_style = (q(torch.Size((num_samples,))) for q in (q_z_c, q_z_style))
        prior = _prior_samples(ccvae, num_samples)
    y_probability = expectations(ccvae.classifier(z_c))
    posterior = {"z_c": z_c, "z_style": z_style, "y_probability": y_probability}
    groups = {"posterior": _to_arrays(posterior), "prior": prior}
    if y is not None:
        groups["observed_data"] = {"y": ccvae.checked_labels(y, len(x)).cpu().numpy()}
    return _to_arviz(ccvae, groups)


def plot_prior_forest(ccvae: CCVAE, num_samples: int = 4000, *, seed: int | None = 0) -> Figure:
    """A forest plot of the conditional prior: an interval for each value of each label.

    :param seed: the seed of the samples; None samples by the global generator.
    """
    num_samples = plain_int(num_samples, "num_samples", minimum=1)
    with seeded(seed):
        data = _to_arviz(ccvae, {"posterior": _prior_samples(ccvae, num_samples)})
    return _arviz.plot_forest(data)


@evaluation
def _prior_samples(ccvae: CCVAE, num_samples: int) -> dict[str, np.ndarray]:
    """Samples given each value of each label, together if all labels have the same values."""
    values = [_values(label) for label in ccvae.labels]
    num_values = max(map(len, values))
    # Label vectors, in which each label takes each of its values; the shorter lists are padded.
    columns = [each + each[-1:] * (num_values - len(each)) for each in values]
    y = next(ccvae.parameters()).new_tensor(columns).T
    z_c = ccvae.conditional_prior(y)(torch.Size((num_samples,)))
    if are_plain(ccvae.labels):
        return _to_arrays({"z_c_given_y": z_c.transpose(1, 2)})
    samples = {}
    for index, label in enumerate(ccvae.labels):
        samples[label.name] = z_c[:, : len(values[index]), block_of(ccvae.labels, index)]
    return _to_arrays(samples)


def _values(label: Label) -> list[float]:
    """The values of a label whose conditional priors are sampled."""
    if isinstance(label, Continuous):
        return [label.mean + count * label.std for count in range(3)]
    return [float(index) for index in range(len(label.classes))]


def _to_arrays(samples: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Arrays with a dimension for chains, of which there is one."""
    return {name: tensor[None].cpu().numpy() for name, tensor in samples.items()}


def _to_arviz(ccvae: CCVAE, groups: dict[str, dict[str, np.ndarray]]) -> Any:
    """ArviZ's container of the groups, with names for dimensions and coordinates."""
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
            coords |= {value: _value_names(label), entry: list(map(str, range(label.dim)))}
    used = {name for group in groups.values() for name in group}
    dims = {name: axes for name, axes in dims.items() if name in used}
    coords = {key: coords[key] for key in coords if any(key in axes for axes in dims.values())}
    return _arviz.inference_data(groups, dims, coords)


def _value_names(label: Label) -> list[str]:
    """The names of :func:`_values`."""
    return list(label.classes) or [f"{value:.3g}" for value in _values(label)]
