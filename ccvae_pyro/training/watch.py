"""Warnings during training, when a model is no better than a trivial baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from tqdm.auto import tqdm

from ccvae_pyro.data import LabeledImages
from ccvae_pyro.evaluation import (
    Evaluation,
    Finding,
    TrivialReconstructions,
    label_finding,
    reconstruction_finding,
    trivial_reconstructions,
)

# The fraction of the epochs after which a model should be better than a trivial baseline: images
# are soon better than their average, labels may take longer.
PATIENCE_WITH_IMAGES, PATIENCE_WITH_LABELS = 0.1, 0.5
MIN_EPOCHS = 2


@dataclass
class Watch:
    """Compares each evaluation of validation images with trivial baselines.

    It writes one line, once, if reconstructions are no better than the average training image
    after a tenth of the epochs, and if labels are predicted no better than without the image after
    half of them: see :func:`~ccvae_pyro.evaluation.verdict`.

    :param data: the images that the model is trained and evaluated on.
    :param num_epochs: how many epochs are to be taken.
    """

    data: LabeledImages
    num_epochs: int
    _told: set[str] = field(default_factory=set)

    def look(self, evaluation: Evaluation, epoch: int) -> None:
        """Writes what falls short after an epoch, unless it has been written before.

        :param evaluation: the metrics on the validation images.
        :param epoch: the number of epochs that are complete.
        """
        if epoch < MIN_EPOCHS or epoch == self.num_epochs:  # after the last one is the verdict
            return
        if epoch >= PATIENCE_WITH_IMAGES * self.num_epochs:
            error = evaluation.reconstruction_error
            self._tell(reconstruction_finding(error, self._baselines), epoch)
        if epoch >= PATIENCE_WITH_LABELS * self.num_epochs:
            self._tell(label_finding(evaluation.per_label), epoch)

    @cached_property
    def _baselines(self) -> TrivialReconstructions:
        return trivial_reconstructions(self.data, "valid")

    def _tell(self, finding: Finding | None, epoch: int) -> None:
        if finding is not None and finding.code not in self._told:
            self._told.add(finding.code)
            tqdm.write(f"warning after epoch {epoch} of {self.num_epochs}: {finding.message}")
