"""Whether images may be mirrored from left to right, or rotated a little, as an augmentation."""

from __future__ import annotations

import math
import re

import numpy as np

from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.labels import Categorical, Continuous, Label

# Words of labels that are no longer true of an image that is rotated, or mirrored.
_ANGLES = (
    "orientation angle angles rotation rotated lean leaning slant slanted slope tilt tilted yaw "
    "roll azimuth heading clockwise counterclockwise"
)
_SIDES = (
    "left right side sides direction facing east west mirrored flipped "
    "letter letters digit digits glyph glyphs handedness laterality"
)
ANGLES = frozenset(_ANGLES.split())
SIDES = ANGLES | frozenset(_SIDES.split())
NUM_IMAGES, SIZE = 1_000, 16  # as many images, of so many pixels along each axis, tell
# A mirrored set is another set if the asymmetry is more than this, and than chance explains.
MIN_ASYMMETRY, MIN_SIGMA = 0.01, 5.0


def why_not_flip(data: LabeledImages) -> str | None:
    r"""The reason why training images should not be mirrored from left to right, None without one.

    A mirrored image should be as probable as the original, with the same labels. It is not

    - if the name of a label or of a class speaks of a side, an angle or a text, or if the classes
      are single letters or digits;
    - if the images are not symmetric on average, or those of the values of a label are not.

    For the latter, let :math:`a = (x - \bar x) / 2` be the difference of an image to its mirror
    image. If :math:`x` and :math:`\bar x` have the same distribution, then
    :math:`\mathrm{E}[a] = 0`. The asymmetry is the unbiased estimate of
    :math:`\lVert \mathrm{E}[a] \rVert^2` from pairs of images, as a fraction of the variance of
    the images; its standard error is that under random signs of each :math:`a`. A continuous label
    is split at its median.

    :param data: the images, of which some of the split ``train`` are looked at.
    """
    return _reason_of_names(data.label_types) or _reason_of_images(data)


def why_not_warp(data: LabeledImages) -> str | None:
    """The reason why training images should not be rotated, sheared or scaled a little.

    That is a label or a class whose name speaks of an angle. None without one.

    :param data: the images, of which only the labels' names are looked at.
    """
    return _spoken_of(data.label_types, ANGLES)


def _reason_of_names(labels: tuple[Label, ...]) -> str | None:
    for label in labels:
        if isinstance(label, Categorical) and _are_signs(label.classes):
            return f"the classes of {label.name!r} are letters or digits"
    return _spoken_of(labels, SIDES)


def _spoken_of(labels: tuple[Label, ...], words: frozenset[str]) -> str | None:
    """Which of these words the name of a label or of a class has."""
    for label in labels:
        for name in (label.name, *label.classes):
            of_name = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
            if spoken := [word for word in of_name if word in words]:
                return f"{name!r} speaks of {spoken[0]!r}"
    return None


def _are_signs(classes: tuple[str, ...]) -> bool:
    """Whether classes are letters or digits; two may be codes, as M and F are."""
    return len(classes) > 2 and all(len(name) == 1 and name.isalnum() for name in classes)


def _reason_of_images(data: LabeledImages) -> str | None:
    rows = data.splits["train"]
    rows = rows[np.linspace(0, len(rows) - 1, min(NUM_IMAGES, len(rows))).astype(int)]
    x = np.stack([_small(data.images[row]) for row in rows])
    difference = ((x - x[:, :, ::-1]) / 2).reshape(len(x), -1)
    products = difference @ difference.T
    np.fill_diagonal(products, 0)
    threshold = MIN_ASYMMETRY * x.var(0).sum()
    if _is_asymmetric(products, np.zeros(len(rows)), threshold):
        return "the images are not symmetric on average"
    for label, values in zip(data.label_types, data.labels[rows].T, strict=True):
        is_known = ~np.isnan(values)
        if isinstance(label, Continuous) and is_known.any():
            values = np.where(is_known, values > np.median(values[is_known]), np.nan)
        if _is_asymmetric(products, values, threshold):
            return f"the images of the values of {label.name!r} are not symmetric on average"
    return None


def _is_asymmetric(products: np.ndarray, values: np.ndarray, threshold: float) -> bool:
    """Whether images of the same value are asymmetric in the same way.

    :param products: inner products of each two asymmetries, with zeros on the diagonal.
    :param values: shape ``(batch,)``, NaN where one is missing.
    :param threshold: the least mean over the values that counts.
    """
    known = np.unique(values[~np.isnan(values)])
    members = (values[:, None] == known).astype(float)  # (batch, value)
    members = members[:, members.sum(0) > 1]
    if not members.size:
        return False
    num_pairs = members.sum(0) * (members.sum(0) - 1)
    estimates = (members * (products @ members)).sum(0) / num_pairs
    squared_errors = 2 * (members * (products**2 @ members)).sum(0) / num_pairs**2
    error = math.sqrt(squared_errors.sum()) / len(num_pairs)
    return bool(estimates.mean() > max(threshold, MIN_SIGMA * error))


def _small(image: np.ndarray) -> np.ndarray:
    """An image of at most ``SIZE`` pixels along each axis: means over blocks of pixels."""
    height, width, channels = image.shape
    down, right = -(-height // SIZE), -(-width // SIZE)
    top, left = height % down // 2, width % right // 2  # the margin that is left out is even
    inner = image[top : top + height // down * down, left : left + width // right * right]
    blocks = inner.reshape(height // down, down, width // right, right, channels)
    small: np.ndarray = blocks.mean((1, 3), dtype=np.float64) / 255
    return small
