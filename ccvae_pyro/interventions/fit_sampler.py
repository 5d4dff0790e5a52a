"""Fits a sampler of latents to the encodings of images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.components import MIN_SCALE, FittedSampler, LabelCode
from ccvae_pyro.distributions._device import to_float64
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.interventions.predict import predict
from ccvae_pyro.models import CCVAE, evaluation


@evaluation
def fit_sampler(ccvae: CCVAE, batches: Iterable[tuple[Tensor, Tensor]]) -> FittedSampler:
    r"""The distribution of images' encodings given labels, for :func:`~ccvae_pyro.generate`.

    A decoder is trained on latents that images are encoded to. If their distribution given labels
    is not the priors', latents from the priors are such as it has not seen, and images generated
    from them are poor, though edited images are good. The sampler is fitted after training to the
    posterior means, in units of the priors: a ridge regression on the labels with one
    pseudo-observation, whose errors have the covariance of Ledoit and Wolf (2004). So the
    characteristics of a class that no image has are those of the conditional prior. Labels that
    are missing are predicted.

    The model uses it once it is set: ``ccvae.sampler = fit_sampler(ccvae, batches)``. A checkpoint
    holds it. :func:`~ccvae_pyro.choose_sampler` also compares it with the priors.

    :param ccvae: a trained model.
    :param batches: training images and their labels, NaN where missing, as from
        ``Batches(data).held_out("train")``.
    :raises UnsupportedError: if the model is no CCVAE.
    :raises ValueError: if there are fewer than two images, or their latents are not finite.

    Example:

        >>> from ccvae_pyro import celeba, generate
        >>> ccvae, x, y = celeba(), torch.rand(5, 3, 64, 64), torch.zeros(5, 18)
        >>> ccvae.sampler = fit_sampler(ccvae, [(x, y)])
        >>> generate(ccvae, y[:2], sampler="fitted").shape
        torch.Size([2, 3, 64, 64])
    """
    if not isinstance(ccvae, CCVAE):
        raise UnsupportedError(f"a sampler is fitted to a CCVAE, got a {type(ccvae).__name__}")
    code = LabelCode(ccvae.labels)
    parts = []
    for x, given in batches:
        y = ccvae.checked_labels(given, len(x))
        if y.isnan().any():
            y = torch.where(y.isnan(), predict(ccvae, x)[0], y)
        loc, scale = ccvae.prior_moments(y)
        in_units = (torch.cat(ccvae.encode(x), dim=-1) - loc) / scale
        parts.append([to_float64(each) for each in (code(y), in_units)])
    num_images = sum(len(u) for _, u in parts)
    if num_images < 2:
        raise ValueError(f"wanted at least two images to fit a sampler to, got {num_images}")
    codes, u = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not np.isfinite(u).all():
        raise ValueError(
            "the latents are not finite in units of the priors, and perhaps the parameters are "
            "not: wanted a model whose training went well"
        )
    weight, bias, scale_tril = (torch.from_numpy(each) for each in _regression(codes, u))
    sampler = FittedSampler(weight, bias, scale_tril, ccvae.labels)
    return sampler.to(next(ccvae.parameters()))


def _regression(codes: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight and bias of a ridge regression, and the Cholesky factor of its errors' covariance."""
    from sklearn.covariance import ledoit_wolf
    from sklearn.linear_model import Ridge

    ridge = Ridge(alpha=1.0).fit(codes, u)
    errors = u - ridge.predict(codes)
    # The estimator shrinks towards equal variances, so the latents are scaled to have them.
    scale = np.maximum(errors.std(0), MIN_SCALE)
    covariance, _ = ledoit_wolf(errors / scale)
    # A latent that is constant has no variance, nor a Cholesky factor.
    covariance[np.diag_indices_from(covariance)] += 1e-6
    return ridge.coef_.T.copy(), ridge.intercept_, scale[:, None] * np.linalg.cholesky(covariance)
