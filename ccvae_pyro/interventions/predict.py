"""Predictions of labels from images, without gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ccvae_pyro.distributions.label_vector import confidence, expectations, most_likely
from ccvae_pyro.distributions.normal import rank_log_probs
from ccvae_pyro.labels import Binary, Categorical, Continuous, Ordinal
from ccvae_pyro.models import ImageModel, evaluation


@evaluation
def classify(model: ImageModel, x: Tensor) -> Tensor:
    r"""The probability of each label, :math:`q(y \mid x)`.

    A CCVAE evaluates :math:`q_\varphi(y \mid z_c)` at the posterior mean of :math:`z_c`. If the
    model has a :attr:`~ccvae_pyro.models.ImageModel.calibration`, probabilities are calibrated on
    validation images: see :func:`~ccvae_pyro.calibrate`.

    :returns: shape ``(batch, num_labels)`` if all labels are binary. A categorical or ordinal
        label has a column for each class, and a continuous label has a column with its mean,
        clamped to its bounds.
    """
    q_y_x = _calibrated(model, x)
    probabilities: Tensor = expectations(q_y_x)
    if all(isinstance(label, Binary | Categorical) for label in model.labels):
        return probabilities
    sizes = [len(each.classes) if isinstance(each, Categorical) else 1 for each in model.labels]
    blocks, scales = list(probabilities.split(sizes, -1)), confidence(q_y_x)
    for i, label in enumerate(model.labels):
        if isinstance(label, Ordinal):
            blocks[i] = rank_probs(label, blocks[i][..., 0], scales[..., i])
        elif isinstance(label, Continuous):
            blocks[i] = blocks[i].clamp(*label.bounds)
    return torch.cat(blocks, dim=-1)


@evaluation
def predict(model: ImageModel, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""The most probable value of each label, and its probability.

    :returns: two tensors of shape ``(batch, num_labels)``: the values, in the format of ``y``, and
        their probabilities. For a continuous label these are the mean, clamped to its bounds, and
        the standard deviation of :math:`q(y \mid x)`.
    """
    q_y_x = _calibrated(model, x)
    values, confidences = most_likely(q_y_x), confidence(q_y_x)
    for i, label in enumerate(model.labels):
        if isinstance(label, Ordinal):
            probs = rank_probs(label, values[..., i], confidences[..., i])
            confidences[..., i], values[..., i] = probs.max(-1)
        elif isinstance(label, Continuous):
            values[..., i] = values[..., i].clamp(*label.bounds)
    return values, confidences


@evaluation
def impute(model: ImageModel, x: Tensor, y: Tensor) -> Tensor:
    """The labels, with predictions in place of the missing ones.

    The prediction is the probability of a binary label, the most probable class of a categorical
    or ordinal one, or the mean of a continuous one.

    :param y: labels of ``x``, shape ``(batch, num_labels)``, NaN where missing. A binary label may
        be a probability: what is imputed can be imputed again.
    """
    y = model.checked_labels(y, len(x), soft=True)
    predicted, confidences = predict(model, x)
    for i, label in enumerate(model.labels):
        if isinstance(label, Binary):
            predicted[:, i] = torch.where(
                predicted[:, i] == 1, confidences[:, i], 1 - confidences[:, i]
            )
    return torch.where(y.isnan(), predicted, y)


def _calibrated(model: ImageModel, x: Tensor) -> Any:
    """The predictive distribution of the labels, calibrated if the model is."""
    q_y_x = model.q_y_x(x)
    return q_y_x if model.calibration is None else model.calibration(q_y_x)


def rank_probs(label: Ordinal, loc: Tensor, scale: Tensor) -> Tensor:
    """The probability of each class of an ordinal label, by the Normal of its rank.

    The model has a Normal prior of ranks; the frequencies of the classes take its place.
    """
    num_ranks, frequencies = len(label.classes), label.class_frequencies
    log_probs = rank_log_probs(loc, scale, num_ranks)
    prior = rank_log_probs(loc.new_tensor(label.mean), loc.new_tensor(label.std), num_ranks)
    log_ratio = loc.new_tensor(frequencies or [1.0] * num_ranks).log() - prior
    return (log_probs + log_ratio).softmax(-1)
