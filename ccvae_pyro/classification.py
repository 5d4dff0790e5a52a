"""What a trained CCVAE reads off images: labels and characteristics, no gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.labels import Binary
from ccvae_pyro.labels.rows import in_order, likeliest, log_prob_of_classes, outcomes, parts_of
from ccvae_pyro.model import CCVAE


@torch.no_grad()
def encode(ccvae: CCVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""The posterior mean of the characteristics and of the style, ``z_c`` and ``z_style``."""
    q_z_c, q_z_style = ccvae.encoder(x)
    return q_z_c.mean, q_z_style.mean


@torch.no_grad()
def classify(ccvae: CCVAE, x: Tensor) -> Tensor:
    r"""The probability of each label, :math:`q_\varphi(y \mid z_c)`.

    :returns: shape ``(batch, num_labels)`` if all labels are binary. A label with classes has a
        column for each class in place of one, and of a label that is a number it is the mean.
    """
    z_c, _ = encode(ccvae, x)
    return outcomes(ccvae.classifier(z_c))


@torch.no_grad()
def predict(ccvae: CCVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""The likeliest value of each label, and how sure that is.

    :returns: values as ``y`` has them, and of each its probability; for a number its mean, and the
        deviation of :math:`q(y \mid x)`. Both have shape ``(batch, num_labels)``.
    """
    q_z_c = ccvae.encoder(x)[0]
    row, further = (ccvae.classifier(q_z_c.mean + by) for by in (0, q_z_c.variance.sqrt()))
    parts, certainty = parts_of(row), []
    for part, aside in zip(parts, parts_of(further), strict=True):
        fn = part.distribution
        if isinstance(fn, Normal):
            sure = (aside.distribution.loc - fn.loc).hypot(fn.scale)
        else:
            sure = log_prob_of_classes(fn).amax(0).exp()
        certainty.append(sure.unbind(-1))
    return likeliest(row), torch.stack(in_order(parts, certainty), dim=-1)


@torch.no_grad()
def impute(ccvae: CCVAE, x: Tensor, y: Tensor) -> Tensor:
    """The labels, and in place of those that are missing (NaN) what is expected of them.

    That is the probability of a binary label, the likeliest class, or the mean of a number.

    :param y: labels of ``x``, shape ``(batch, num_labels)``.
    """
    expected, certainty = predict(ccvae, x)
    for i, label in enumerate(ccvae.labels):
        if isinstance(label, Binary):
            is_true = expected[:, i] == 1
            expected[:, i] = torch.where(is_true, certainty[:, i], 1 - certainty[:, i])
    return torch.where(y.isnan(), expected, y)
