"""Which of two classifiers predicts the labels: the trained one, or that of Bayes' rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccvae_pyro.data import Batches
from ccvae_pyro.evaluation.label_metrics import label_metrics, mean_of_known
from ccvae_pyro.models import CCVAE, with_bayes_classifier


@dataclass(frozen=True)
class PredictorChoice:
    """The result of :func:`choose_predictor`.

    :param by_bayes_rule: whether labels are predicted by Bayes' rule.
    :param classifier: the score of the classifier: balanced accuracy, or :math:`R^2` of continuous
        labels, the mean of the two if there are both; NaN if no validation image has a label.
    :param bayes_rule: the score of Bayes' rule.
    """

    by_bayes_rule: bool
    classifier: float
    bayes_rule: float


def choose_predictor(ccvae: CCVAE, batches: Batches) -> PredictorChoice:
    """Lets a model predict its labels by whichever is better on validation images.

    A classifier is trained on the labeled images only, while priors also fit the unlabeled ones:
    with few labels, Bayes' rule is often the more accurate. The classifier is kept where it is as
    good, or nothing can be compared. The choice is the model's
    :attr:`~ccvae_pyro.models.ImageModel.predicts_by_bayes_rule`, which checkpoints hold.

    :param ccvae: a trained model.
    :param batches: the data; their split ``valid`` is used.
    """
    ccvae.predicts_by_bayes_rule = False
    if not len(batches.data.splits.get("valid", ())):
        return PredictorChoice(False, np.nan, np.nan)
    classifier, bayes_rule = (
        _score(model, batches) for model in (ccvae, with_bayes_classifier(ccvae))
    )
    ccvae.predicts_by_bayes_rule = bool(bayes_rule > classifier)  # not if they are NaN
    return PredictorChoice(ccvae.predicts_by_bayes_rule, classifier, bayes_rule)


def _score(model: CCVAE, batches: Batches) -> float:
    summary = label_metrics(model, batches.held_out("valid"))
    return mean_of_known([summary.balanced_accuracy, summary.r_squared])
