"""Which of several classifiers predicts the labels, with which calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ccvae_pyro.data import Batches
from ccvae_pyro.evaluation.calibrate import CalibrationResult, calibrate
from ccvae_pyro.interventions.fit_probe import fit_probe
from ccvae_pyro.models import CCVAE

MAX_PROBE_IMAGES = 10_000  # that a probe is fitted to


@dataclass(frozen=True)
class PredictorChoice:
    """The result of :func:`choose_predictor`.

    :param predictor: ``"classifier"``, ``"bayes_rule"`` or ``"probe"``.
    :param calibrations: the calibration of each of them; empty if no validation image has a label.
    """

    predictor: str
    calibrations: dict[str, CalibrationResult]


def choose_predictor(ccvae: CCVAE, batches: Batches) -> PredictorChoice:
    r"""Lets a model predict its labels by whichever is best on validation images, calibrated.

    The classifier :math:`q_\varphi(y \mid z_c)` is trained on the labeled images only. With few of
    them, other predictors are often better: Bayes' rule from the priors, which also fit the
    unlabeled images, and a linear probe of all latents (:func:`~ccvae_pyro.fit_probe`). Each is
    calibrated (:func:`~ccvae_pyro.calibrate`), and the least log loss of the known validation
    labels wins; it is a proper score of labels of any kind. The classifier is kept if nothing can
    be compared.

    The choice is the model's :attr:`~ccvae_pyro.models.ImageModel.predicts_by_bayes_rule` or
    :attr:`~ccvae_pyro.models.ImageModel.probe`, and its
    :attr:`~ccvae_pyro.models.ImageModel.calibration`, which checkpoints hold.

    :param ccvae: a trained model.
    :param batches: the data; labeled images of the split ``train``, at most 10,000, and the split
        ``valid`` are used.
    """
    calibrations, parts = {}, {}
    has_valid = len(batches.data.splits.get("valid", ())) > 0
    for predictor in ("classifier", "bayes_rule", "probe") if has_valid else ():
        _use(ccvae, predictor, batches)
        result = calibrate(ccvae, batches.held_out("valid"))
        if not np.isnan(result.log_loss):
            calibrations[predictor] = result
            parts[predictor] = (ccvae.predicts_by_bayes_rule, ccvae.probe, ccvae.calibration)
    if not calibrations:
        _use(ccvae, "classifier", batches)
        return PredictorChoice("classifier", {})
    best = min(calibrations, key=lambda name: calibrations[name].calibrated_log_loss)
    ccvae.predicts_by_bayes_rule, ccvae.probe, ccvae.calibration = parts[best]
    return PredictorChoice(best, calibrations)


def _use(ccvae: CCVAE, predictor: str, batches: Batches) -> None:
    ccvae.predicts_by_bayes_rule = predictor == "bayes_rule"
    ccvae.probe = ccvae.calibration = None
    if predictor == "probe" and len(batches.labeled):
        rows = np.linspace(
            0, len(batches.labeled) - 1, min(len(batches.labeled), MAX_PROBE_IMAGES)
        )
        labeled = np.sort(batches.labeled)[rows.astype(int)]
        data = replace(batches.data, splits={"train": labeled})
        size = min(batches.batch_size, len(labeled))
        few = Batches(data, size, device=batches.device, resident=False)
        ccvae.probe = fit_probe(ccvae, few.held_out("train"))
