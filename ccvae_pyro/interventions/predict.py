"""What a trained model reads off images: labels, no gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from ccvae_pyro.distributions.label_vector import confidence, expectations, most_likely
from ccvae_pyro.labels import Binary
from ccvae_pyro.models.base import ImageModel


@torch.no_grad()
def classify(model: ImageModel, x: Tensor) -> Tensor:
    r"""The probability of each label, :math:`q(y \mid x)`.

    Of a CCVAE it is :math:`q_\varphi(y \mid z_c)` at the mean of :math:`z_c`.

    :returns: shape ``(batch, num_labels)`` if all labels are binary. A label with classes has a
        column for each class in place of one, and of a label that is a number it is the mean.
    """
    return expectations(model.q_y_x(x))


@torch.no_grad()
def predict(model: ImageModel, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""The likeliest value of each label, and how sure that is.

    :returns: values as ``y`` has them, and of each its probability; for a number its mean, and the
        deviation of :math:`q(y \mid x)`. Both have shape ``(batch, num_labels)``.
    """
    row = model.q_y_x(x)
    return most_likely(row), confidence(row)


@torch.no_grad()
def impute(model: ImageModel, x: Tensor, y: Tensor) -> Tensor:
    """The labels, and in place of those that are missing (NaN) what is expected of them.

    That is the probability of a binary label, the likeliest class, or the mean of a number.

    :param y: labels of ``x``, shape ``(batch, num_labels)``.
    """
    expected, sure = predict(model, x)
    for i, label in enumerate(model.labels):
        if isinstance(label, Binary):
            expected[:, i] = torch.where(expected[:, i] == 1, sure[:, i], 1 - sure[:, i])
    return torch.where(y.isnan(), expected, y)
