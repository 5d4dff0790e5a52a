"""Linear probes: which part of the latents a label can be predicted from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.evaluation.label_metrics import balanced_accuracy, r_squared
from ccvae_pyro.labels import Continuous
from ccvae_pyro.models import ImageModel, evaluation


@dataclass(frozen=True)
class Encodings:
    """The latents of images, and their labels.

    :param z_c: characteristics, shape ``(num_images, num_characteristics)``.
    :param z_style: style, shape ``(num_images, num_style)``.
    :param y: true labels, shape ``(num_images, num_labels)``, NaN where missing.
    """

    z_c: np.ndarray
    z_style: np.ndarray
    y: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """All latents, characteristics first."""
        return np.concatenate([self.z_c, self.z_style], axis=1)


@evaluation
def encode_all(model: ImageModel, batches: Iterable[tuple[Tensor, Tensor]]) -> Encodings:
    """Encodes the images of all batches to the means of their latents.

    :raises ValueError: if there are no images, or latents are not finite.
    """
    encoded = [(*model.encode(x), model.checked_labels(y, len(x))) for x, y in batches]
    if not encoded:
        raise ValueError("wanted images to encode, got none")
    z_c, z_style, y = (torch.cat(part).cpu().numpy() for part in zip(*encoded, strict=True))
    if not (np.isfinite(z_c).all() and np.isfinite(z_style).all()):
        raise ValueError(
            f"the latents of a {type(model).__name__} are not finite, and perhaps its parameters "
            "are not: wanted a model whose training went well"
        )
    return Encodings(z_c, z_style, y)


def linear_probes(
    model: ImageModel, train: Encodings, test: Encodings
) -> dict[str, dict[str, float]]:
    """Predicts each label from parts of the latents by linear models.

    The probe of a binary or categorical label is a logistic regression with balanced class
    weights, scored by its balanced accuracy: chance is one over the number of classes. The probe
    of a continuous label is a linear regression, scored by R squared. A label should be predicted
    from its own characteristics only: any other information about it stays when it is edited.

    :param train: the encodings that probes are fitted to.
    :param test: the encodings that they are scored on.
    :returns: by label, the score from its ``own`` characteristics, from those of the ``others``,
        and from ``style``; NaN if there are none, or the label has only one value in either.
    """
    scores = {}
    for index, label in enumerate(model.labels):
        is_own = np.zeros(train.z_c.shape[1], dtype=bool)
        is_own[model.latent_slice(index)] = True
        parts = {
            "own": [each.z_c[:, is_own] for each in (train, test)],
            "others": [each.z_c[:, ~is_own] for each in (train, test)],
            "style": [each.z_style for each in (train, test)],
        }
        y = train.y[:, index], test.y[:, index]
        is_continuous = isinstance(label, Continuous)
        scores[label.name] = {name: _score(z, y, is_continuous) for name, z in parts.items()}
    return scores


def _score(z: Sequence[np.ndarray], y: Sequence[np.ndarray], is_continuous: bool) -> float:
    """The test score of a probe, given latents and one label of the training and test images."""
    (z_train, y_train), (z_test, y_test) = (
        (latents[~np.isnan(label)], label[~np.isnan(label)])
        for latents, label in zip(z, y, strict=True)
    )
    if z_train.shape[1] == 0 or min(len(np.unique(y)) for y in (y_train, y_test)) < 2:
        return np.nan
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind = LinearRegression() if is_continuous else LogisticRegression(class_weight="balanced")
    probe = make_pipeline(StandardScaler(), kind).fit(z_train, y_train)
    score = r_squared if is_continuous else balanced_accuracy
    return float(score(y_test, probe.predict(z_test)))
