"""Fits a linear classifier of labels to the encodings of labeled images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.components import MIN_SCALE
from ccvae_pyro.components.classifiers import ROUNDING_STD
from ccvae_pyro.components.linear_probe import LinearProbe
from ccvae_pyro.distributions._device import to_float64
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.labels import Categorical, Continuous, Label, Ordinal
from ccvae_pyro.models import CCVAE, evaluation


@evaluation
def fit_probe(ccvae: CCVAE, batches: Iterable[tuple[Tensor, Tensor]]) -> LinearProbe:
    r"""A linear classifier of labels from all latents of an image, fitted after training.

    The classifier :math:`q_\varphi(y \mid z_c)` predicts a label from its own characteristic.
    Where few labels are known, the encoder overfits them there, while the other latents, which the
    unlabeled images have shaped, still tell of the label. The probe is Bayes' rule for Normal
    posterior means with a covariance that all classes share, estimated as Ledoit and Wolf (2004)
    do: Fisher's linear discriminant. Of a continuous label, or a rank, it is Bayesian ridge
    regression.

    The model predicts by it once it is set, ``ccvae.probe = fit_probe(ccvae, batches)``, and
    checkpoints hold it. :func:`~ccvae_pyro.evaluation.choose_predictor` sets it where it is better
    than the classifier.

    :param ccvae: a trained model.
    :param batches: training images and their labels, NaN where missing.
    :raises UnsupportedError: if the model is no CCVAE.
    :raises ValueError: if no label is known, or latents are not finite.

    Example:

        >>> from ccvae_pyro import celeba, predict
        >>> ccvae, x, y = celeba(), torch.rand(6, 3, 64, 64), torch.rand(6, 18).round()
        >>> ccvae.probe = fit_probe(ccvae, [(x, y)])
        >>> predict(ccvae, x)[0].shape
        torch.Size([6, 18])
    """
    if not isinstance(ccvae, CCVAE):
        raise UnsupportedError(f"a probe is fitted to a CCVAE, got a {type(ccvae).__name__}")
    parts = [
        (
            to_float64(torch.cat(ccvae.encode(x), dim=-1)),
            to_float64(ccvae.checked_labels(y, len(x))),
        )
        for x, y in batches
    ]
    if not parts:
        raise ValueError("wanted labeled images to fit a probe to, got none")
    z, y = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not np.isfinite(z).all():
        raise ValueError("the latents are not finite, and perhaps the parameters are not")
    center, spread = z.mean(0), np.maximum(z.std(0), MIN_SCALE)
    u = (z - center) / spread
    fitted = [
        _fit_one(label, u[known], column[known])
        for label, column in zip(ccvae.labels, y.T, strict=True)
        for known in [~np.isnan(column)]
    ]
    weights, biases, scales = zip(*fitted, strict=True)
    weight = np.concatenate(weights, axis=1) / spread[:, None]
    bias = np.concatenate(biases) - center @ weight
    weight, bias, scale = (torch.from_numpy(each) for each in (weight, bias, np.array(scales)))
    return LinearProbe(weight, bias, scale, ccvae.labels).to(next(ccvae.parameters()))


Fitted = tuple[np.ndarray, np.ndarray, float]  # weight, bias and standard deviation of one label


def _fit_one(label: Label, u: np.ndarray, y: np.ndarray) -> Fitted:
    """Fits one label, given standardized latents of the images where it is known."""
    if isinstance(label, Continuous | Ordinal):
        return _fit_mean(label, u, y)
    if isinstance(label, Categorical):
        return _fit_classes(len(label.classes), u, y.astype(int))
    weight, bias, _ = _fit_classes(2, u, y.astype(int))
    return weight[:, 1:] - weight[:, :1], bias[1:] - bias[:1], 1.0


def _fit_classes(num_classes: int, u: np.ndarray, y: np.ndarray) -> Fitted:
    """The logits of classes. One that no image has is as frequent as half an image."""
    from sklearn.covariance import ledoit_wolf

    counts = np.bincount(y, minlength=num_classes)
    weight, bias = np.zeros((u.shape[1], num_classes)), np.log(np.maximum(counts, 0.5))
    present = np.flatnonzero(counts)
    if 1 < len(present) < len(y):  # a covariance within classes needs more images than classes
        means = np.stack([u[y == k].mean(0) for k in present])
        covariance, _ = ledoit_wolf(u - means[np.searchsorted(present, y)], assume_centered=True)
        weight[:, present] = np.linalg.solve(covariance, means.T)
        bias[present] -= (means * weight[:, present].T).sum(1) / 2
    return weight, bias - bias.mean(), 1.0


def _fit_mean(label: Continuous | Ordinal, u: np.ndarray, y: np.ndarray) -> Fitted:
    """The mean of a continuous label, or of a rank."""
    from sklearn.linear_model import BayesianRidge

    weight, bias, scale = np.zeros((u.shape[1], 1)), np.array([label.mean]), label.std
    if len(y) > 1:
        ridge = BayesianRidge().fit(u, (y - label.mean) / label.std)
        weight[:, 0] = label.std * ridge.coef_
        bias = bias + label.std * ridge.intercept_
        scale = label.std * max(float(ridge.alpha_) ** -0.5, MIN_SCALE)
    return (
        weight,
        bias,
        float(np.hypot(scale, ROUNDING_STD)) if isinstance(label, Ordinal) else scale,
    )
