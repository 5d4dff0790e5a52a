"""Reconstruction errors of trivial baselines: one image for all, and principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccvae_pyro.data import LabeledImages

MAX_IMAGES = 2000  # training images that the baselines are fitted to
# Their pixels in all, 256 MiB of float32: large images are fewer, 1,365 of 128x128x3.
MAX_PIXELS = 2**26
CHUNK = 200  # held-out images at a time


@dataclass(frozen=True)
class TrivialReconstructions:
    """Mean absolute reconstruction errors of trivial baselines, on held-out images.

    :param average_image: the error of one image for all: the mean or the pixelwise median of the
        training images, whichever is better. The median minimizes the mean absolute error on the
        training images, so that no decoder that ignores its latents is much better.
    :param principal_components: the error of PCA, whose reconstructions are clipped to [0, 1];
        NaN without components.
    :param num_components: the number of principal components.
    """

    average_image: float
    principal_components: float = np.nan
    num_components: int = 0


def trivial_reconstructions(
    data: LabeledImages, split: str, num_components: int = 0, *, seed: int = 0
) -> TrivialReconstructions:
    """Fits trivial baselines to training images, and reconstructs held-out images with them.

    At most 2,000 training images are used, a random sample. With principal components it takes
    about two seconds for color images of 64x64 pixels.

    :param split: the held-out images, ``"valid"`` or ``"test"``.
    :param num_components: how many principal components to use: for a fair comparison, as many as
        a model has latents. There are at most one less than training images, and one per pixel.
    :param seed: the seed of the sample, and of the randomized singular value decomposition.
    :raises ValueError: if there are no training images, or no held-out ones.
    """
    rows, held_out = data.splits.get("train", ()), data.splits.get(split, ())
    if not len(rows) or not len(held_out):
        raise ValueError(
            f"wanted training images and images of the split {split!r}, got {len(rows)} and "
            f"{len(held_out)}"
        )
    num_pixels = int(np.prod(data.images.shape[1:]))
    num_images = min(len(rows), MAX_IMAGES, max(2, MAX_PIXELS // num_pixels))
    sample = np.sort(np.random.default_rng(seed).choice(rows, num_images, replace=False))
    x = data.images[sample].reshape(num_images, num_pixels)
    mean, median = x.mean(0, dtype=np.float32), np.median(x, axis=0).astype(np.float32)
    components = _principal_components(x - mean, num_components, seed)
    errors = np.zeros(3)
    for start in range(0, len(held_out), CHUNK):
        images = data.images[held_out[start : start + CHUNK]].reshape(-1, num_pixels)
        projected = (images - mean) @ components.T @ components + mean
        for i, reconstructed in enumerate((mean, median, projected.clip(0, 255))):
            errors[i] += np.abs(images - reconstructed).sum() / (255 * num_pixels)
    of_mean, of_median, of_pca = (errors / len(held_out)).tolist()
    return TrivialReconstructions(
        average_image=min(of_mean, of_median),
        principal_components=of_pca if len(components) else np.nan,
        num_components=len(components),
    )


def _principal_components(centered: np.ndarray, num_components: int, seed: int) -> np.ndarray:
    """Orthonormal directions of the largest variance, shape ``(num_components, num_pixels)``."""
    # Centered images span one dimension less than there are.
    count = min(num_components, len(centered) - 1, centered.shape[1])
    if count < 1:
        return np.zeros((0, centered.shape[1]), dtype=np.float32)
    from sklearn.utils.extmath import randomized_svd

    _, _, components = randomized_svd(centered, count, n_iter=2, random_state=seed)
    return np.asarray(components, dtype=np.float32)
