"""Fits temperatures and offsets of predicted labels to validation images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ccvae_pyro.components import Calibration
from ccvae_pyro.distributions.label_vector import (
    confidence,
    most_likely,
    observed_log_probs,
)
from ccvae_pyro.interventions.predict import rank_probs
from ccvae_pyro.labels import Label, Ordinal, num_outcomes
from ccvae_pyro.models import ImageModel, evaluation

MAX_LOG_TEMPERATURE = 5.0  # where the logits of a float32 do not overflow
NUM_STEPS, TOLERANCE = 100, 1e-3  # of L-BFGS, in nats of all labels together

# Predicted labels of a batch, and the labels that they are compared with.
Predicted = tuple[Any, Tensor]


@dataclass(frozen=True)
class CalibrationResult:
    r"""The result of :func:`calibrate`.

    :param log_loss: the mean of :math:`-\log q(y_i \mid x)` over the known labels before it, NaN
        if no label is known.
    :param calibrated_log_loss: the mean after it.
    :param labels_with_offsets: the labels of which other values are predicted than before.
    """

    log_loss: float
    calibrated_log_loss: float
    labels_with_offsets: tuple[str, ...]


@evaluation
def calibrate(
    model: ImageModel, batches: Iterable[tuple[Tensor, Tensor]], *, offsets: bool = True
) -> CalibrationResult:
    r"""Fits the confidence of predictions to images that the model was not trained on.

    A classifier that was trained on few labels overfits them, and its probabilities are too close
    to 0 and 1. Temperatures and offsets (see :class:`~ccvae_pyro.components.Calibration`) are
    fitted to the known labels, with standard normal priors of :math:`\log T` and :math:`b`:

    .. math:: \max_{T, b} \; \sum_n \sum_i \log q_{T, b}(y_{n i} \mid x_n)
              - \tfrac{1}{2} \sum_i \log^2 T_i - \tfrac{1}{2} \sum_j b_j^2 .

    A temperature (Guo et al., 2017) leaves what is predicted as it is. Offsets move it: a rare
    value that was predicted too often no longer is, which is more accurate, but has a lower
    balanced accuracy. A label has offsets only where they correct more predictions than they
    spoil, by more than the standard error of the difference, the square root of the number of
    predictions that change.

    The result is the model's :attr:`~ccvae_pyro.models.ImageModel.calibration`, which
    :func:`~ccvae_pyro.classify`, :func:`~ccvae_pyro.predict` and :func:`~ccvae_pyro.impute` apply
    and checkpoints hold. Training removes it.

    :param model: a trained model that predicts labels.
    :param batches: images and their labels, NaN where missing, as from
        ``Batches(data).held_out("valid")``. Without any label, the model has no calibration.
    :param offsets: whether labels may have offsets.
    :raises UnsupportedError: if the model predicts no labels.
    """
    like, sizes = next(model.parameters()), [num_outcomes(label) for label in model.labels]
    none = Calibration(like.new_zeros(len(sizes)), like.new_zeros(sum(sizes)), model.labels)
    # Of distributions that compute their logits when asked, it has the logits.
    pairs = [(none(model.q_y_x(x)), model.checked_labels(y, len(x))) for x, y in batches]
    if not any((~y.isnan()).any() for _, y in pairs):
        model.calibration = None
        return CalibrationResult(math.nan, math.nan, ())
    has_offset = torch.full_like(none.log_temperature, offsets, dtype=torch.bool)
    if offsets:
        has_offset = _corrects_more(_fit(model, pairs, has_offset), none, pairs)
    model.calibration = _fit(model, pairs, has_offset)
    names = [name for name, has in zip(model.label_names, has_offset.tolist(), strict=True) if has]
    num_known = sum(int((~y.isnan()).sum()) for _, y in pairs)
    before, after = (float(_log_loss(each, pairs)) for each in (none, model.calibration))
    return CalibrationResult(before / num_known, after / num_known, tuple(names))


@torch.enable_grad()
def _fit(model: ImageModel, pairs: Sequence[Predicted], has_offset: Tensor) -> Calibration:
    """The calibration with the highest posterior density, with offsets of some labels."""
    sizes = torch.tensor([num_outcomes(label) for label in model.labels], device=has_offset.device)
    is_free = has_offset.repeat_interleave(sizes)
    dtype = next(model.parameters()).dtype
    log_temperature = torch.zeros(len(sizes), dtype=dtype, device=is_free.device)
    free = torch.zeros(len(is_free), dtype=dtype, device=is_free.device)
    parameters = [log_temperature.requires_grad_(), free.requires_grad_()]
    lbfgs = torch.optim.LBFGS(
        parameters,
        max_iter=NUM_STEPS,
        tolerance_grad=TOLERANCE,
        tolerance_change=TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    def bounded(log_temperature: Tensor) -> Tensor:
        """Within bounds that no prior permits to be left: a line search may look beyond."""
        return log_temperature.clamp(-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE)

    def closure() -> Tensor:
        lbfgs.zero_grad()
        calibration = Calibration(bounded(log_temperature), free * is_free, model.labels)
        loss = _log_loss(calibration, pairs)
        loss = loss + (log_temperature.square().sum() + free.square().sum()) / 2
        loss.backward()
        return loss

    lbfgs.step(closure)
    fitted = bounded(log_temperature.detach()), free.detach() * is_free
    return Calibration(*fitted, model.labels)


def _log_loss(calibration: Calibration, pairs: Sequence[Predicted]) -> Tensor:
    labels = calibration.labels
    log_probs = [_log_prob(calibration(q_y_x), y, labels) for q_y_x, y in pairs]
    return -torch.stack(log_probs).sum()


def _log_prob(q_y_x: Any, y: Tensor, labels: Sequence[Label]) -> Tensor:
    """The log-probability of all known labels of a batch. Ordinal labels have that of a class."""
    ordinal = {i: label for i, label in enumerate(labels) if isinstance(label, Ordinal)}
    columns = torch.tensor([*ordinal], dtype=torch.long, device=y.device)
    log_prob = observed_log_probs(q_y_x, y.index_fill(-1, columns, math.nan)).sum()
    loc, scale = most_likely(q_y_x), confidence(q_y_x)
    for i, label in ordinal.items():
        probs = rank_probs(label, loc[:, i], scale[:, i])
        of_rank = probs.gather(1, y[:, i : i + 1].nan_to_num().long())[:, 0]
        log_prob = log_prob + (of_rank.log() * ~y[:, i].isnan()).sum()
    return log_prob


def _corrects_more(
    calibration: Calibration, before: Calibration, pairs: Sequence[Predicted]
) -> Tensor:
    """For which labels it corrects more predictions than it spoils, beyond a standard error."""
    is_right = [
        torch.cat([most_likely(each(q_y_x)) == y for q_y_x, y in pairs]).long()
        for each in (calibration, before)
    ]
    difference = is_right[0] - is_right[1]
    better: Tensor = difference.sum(0) > difference.abs().sum(0).sqrt()
    return better
