"""Whether images may be mirrored from left to right, as an augmentation."""

from __future__ import annotations

import math
import re

import numpy as np

from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.labels import Categorical, Continuous, Label

# Words of labels that are no longer true of an image that is mirrored.
_SIDES = (
    "left right side sides direction facing orientation angle rotation rotated lean leaning tilt "
    "tilted yaw azimuth heading clockwise counterclockwise east west mirrored flipped "
    "letter letters digit digits glyph glyphs handedness laterality"
)
SIDES = frozenset(_SIDES.split())
NUM_IMAGES, SIZE = 2_000, 16  # as many images, of so many pixels along each axis, tell
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


def _reason_of_names(labels: tuple[Label, ...]) -> str | None:
    for label in labels:
        if isinstance(label, Categorical) and _are_signs(label.classes):
            return f"the classes of {label.name!r} are letters or digits"
        for name in (label.name, *label.classes):
            words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
            if spoken := [word for word in words if word in SIDES]:
                return f"{name!r} speaks of {spoken[0]!r}"
    return None


def _are_signs(classes: tuple[str, ...]) -> bool:
    """Whether classes are letters or digits; two may be codes, as M and F are."""
    return len(classes) > 2 and all(len(name) == 1 and name.isalnum() for name in classes)


def _reason_of_images(data: LabeledImages) -> str | None:
    rows = data.splits["train"]
    rows = rows[np.linspace(0, len(rows) - 1, min(NUM_IMAGES, len(rows))).astype(int)]
    x = np.stack([_small(data.images[row]) for row in rows])
    if _is_asymmetric(x, np.zeros(len(rows))):
        return "the images are not symmetric on average"
    for label, values in zip(data.label_types, data.labels[rows].T, strict=True):
        if isinstance(label, Continuous):
            values = np.where(np.isnan(values), np.nan, values > np.nanmedian(values))
        if _is_asymmetric(x, values):
            return f"the images of the values of {label.name!r} are not symmetric on average"
    return None


def _is_asymmetric(x: np.ndarray, values: np.ndarray) -> bool:
    """Whether images of the same value are asymmetric in the same way.

    :param x: images, shape ``(batch, height, width, channels)``.
    :param values: shape ``(batch,)``, NaN where one is missing.
    """
    variance = x.var(0).sum()
    known = np.unique(values[~np.isnan(values)])
    groups = [group for value in known if len(group := x[values == value]) > 1]
    if not groups or not variance:
        return False
    asymmetries, errors = zip(*(_asymmetry(group) for group in groups), strict=True)
    total, error = sum(asymmetries), math.hypot(*errors)
    return bool(total / len(groups) > MIN_ASYMMETRY * variance and total > MIN_SIGMA * error)


def _asymmetry(x: np.ndarray) -> tuple[float, float]:
    """The estimate of the squared norm of the mean asymmetry, and its standard error."""
    difference = ((x - x[:, :, ::-1]) / 2).reshape(len(x), -1)
    products = difference @ difference.T
    np.fill_diagonal(products, 0)
    num_pairs = len(x) * (len(x) - 1)
    return products.sum() / num_pairs, math.sqrt(2 * (products**2).sum()) / num_pairs


def _small(image: np.ndarray) -> np.ndarray:
    """An image of at most ``SIZE`` pixels along each axis: means over blocks of pixels."""
    height, width, channels = image.shape
    down, right = -(-height // SIZE), -(-width // SIZE)
    top, left = height % down // 2, width % right // 2  # the margin that is left out is even
    inner = image[top : top + height // down * down, left : left + width // right * right]
    blocks = inner.reshape(height // down, down, width // right, right, channels)
    small: np.ndarray = blocks.mean((1, 3), dtype=np.float64) / 255
    return small
