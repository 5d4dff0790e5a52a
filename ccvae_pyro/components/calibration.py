"""A correction of predicted labels, so that their probabilities are right as often as they say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from ccvae_pyro.components._fitted_part import FittedPart
from ccvae_pyro.distributions.bernoulli import LogitBernoulli
from ccvae_pyro.distributions.label_vector import (
    LabelGroup,
    LabelVector,
    column_numbers,
    label_groups,
)
from ccvae_pyro.labels import Label, num_outcomes

# Of a value that the predictor takes for impossible: no calibration could undo an infinite logit.
MAX_LOGIT = 100.0


class Calibration(FittedPart):
    r"""Temperatures and offsets of predicted labels :math:`q(y \mid x)`, after training.

    The logits :math:`\ell` of a binary or categorical label, and the standard deviation
    :math:`\sigma` of a continuous or ordinal one, become

    .. math:: \ell' = \ell / T + b , \qquad \sigma' = T \sigma .

    Logits are cut off at 100 nats.

    Temperatures (Guo et al., 2017) change how confident a prediction is; offsets, as Platt (1999)
    has them, also which value is predicted.

    :param log_temperature: :math:`\log T` of each label, shape ``(num_labels,)``.
    :param offset: :math:`b` of each column of :func:`~ccvae_pyro.classify`, shape
        ``(num_outcomes,)``. Those of continuous and ordinal labels are not used.
    :param labels: the labels.
    :raises ValueError: if shapes disagree, or a value is not finite.
    """

    description = "a calibration"
    names = ("log_temperature", "offset")

    def __init__(self, log_temperature: Tensor, offset: Tensor, labels: Sequence[Label]) -> None:
        super().__init__()
        sizes = [num_outcomes(label) for label in labels]
        wanted = ((len(sizes),), (sum(sizes),))
        self.keep(*zip((log_temperature, offset), wanted, strict=True))
        self.labels = tuple(labels)
        self.log_temperature: Tensor
        self.offset: Tensor
        self.outcomes = [
            slice(end - size, end) for end, size in zip(accumulate(sizes), sizes, strict=True)
        ]

    def forward(self, q_y_x: Any) -> LabelVector:
        """The label vector of :meth:`~ccvae_pyro.models.ImageModel.q_y_x`, calibrated."""
        groups = []
        for group in label_groups(q_y_x):
            columns = column_numbers(group.columns, group.distribution.batch_shape[-1])
            groups.append(group._replace(distribution=self._calibrated(group, columns)))
        return LabelVector(groups, validate_args=False)

    def _calibrated(self, group: LabelGroup, columns: list[int]) -> Any:
        one, temperature = group.distribution, self.log_temperature[columns].exp()
        if isinstance(one, Normal):
            return dist.Normal(one.loc, temperature * one.scale, validate_args=False)
        offset = torch.stack([self.offset[self.outcomes[column]] for column in columns])
        if isinstance(one, Bernoulli):
            logits = one.logits.clamp(-MAX_LOGIT, MAX_LOGIT) / temperature + offset[:, 0]
            return LogitBernoulli(logits=logits, validate_args=False)
        log_probs = one.logits.log_softmax(-1).clamp(min=-MAX_LOGIT)
        logits = log_probs / temperature[:, None] + offset
        return dist.Categorical(logits=logits, validate_args=False)
