"""Where in the latents a label can be read: in its own characteristics, in others', in style."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ccvae_pyro.evaluation.label_metrics import balanced
from ccvae_pyro.labels import Continuous
from ccvae_pyro.models.base import ImageModel


class Codes(NamedTuple):
    """Images as a model encodes them.

    :param z_c: characteristics, shape ``(num_images, ...)``.
    :param z_style: style.
    :param y: true labels, NaN where missing.
    """

    z_c: np.ndarray
    z_style: np.ndarray
    y: np.ndarray


@torch.no_grad()
def encode_all(model: ImageModel, batches: Iterable[tuple[Tensor, Tensor]]) -> Codes:
    """Encodes images, as :func:`leakage` and the scores of disentanglement take them."""
    rows = [(*model.encode(x), y) for x, y in batches]
    return Codes(*(torch.cat(column).cpu().numpy() for column in zip(*rows, strict=True)))


def leakage(model: ImageModel, train: Codes, test: Codes) -> dict[str, dict[str, float]]:
    """How well probes read each label off parts of the latents.

    A probe is a logistic regression, which weighs the values of a label alike, scored by its
    balanced accuracy: chance is one by the number of values. Of a number it is a linear
    regression, scored by R squared. A label's own characteristics should tell it, and nothing
    else; what else tells it is not changed when it is edited.

    :param train: what probes are fitted to.
    :param test: what they are scored on.
    :returns: by label, the score of its ``own`` characteristics, of those of the ``others``, and
        of ``style``; NaN where there are none, or the label has one value.
    """
    figures = {}
    for index, label in enumerate(model.labels):
        own = np.zeros(train.z_c.shape[1], dtype=bool)
        own[model.latent_slice(index)] = True
        parts = {
            "own": [codes.z_c[:, own] for codes in (train, test)],
            "others": [codes.z_c[:, ~own] for codes in (train, test)],
            "style": [codes.z_style for codes in (train, test)],
        }
        truths = train.y[:, index], test.y[:, index]
        is_number = isinstance(label, Continuous)
        figures[label.name] = {name: _probe(z, truths, is_number) for name, z in parts.items()}
    return figures


def _probe(z: Sequence[np.ndarray], y: Sequence[np.ndarray], is_number: bool) -> float:
    """What a probe scores that is fitted to the first of two sets and tried on the second."""
    train, test = ((a[~np.isnan(b)], b[~np.isnan(b)]) for a, b in zip(z, y, strict=True))
    if train[0].shape[1] == 0 or len(np.unique(train[1])) < 2 or len(test[1]) == 0:
        return np.nan
    kind = LinearRegression() if is_number else LogisticRegression(class_weight="balanced")
    probe = make_pipeline(StandardScaler(), kind).fit(*train)
    score = r2_score if is_number else balanced
    return float(score(test[1], probe.predict(test[0])))
