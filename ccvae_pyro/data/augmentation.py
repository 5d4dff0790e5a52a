"""Random flips, shifts and affine warps of training images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ccvae_pyro.data.prefetch import pin, to_device


def sample_transforms(
    num_images: int, shift: int, warp: float, rng: np.random.Generator
) -> np.ndarray:
    r"""Samples one transform per image, for :func:`transform_images`.

    The transformed image shows at position :math:`u`, relative to the center, the pixel that was
    at :math:`A u + t`. The entries of :math:`A - I` are uniform in ``[-warp, warp]``, so that
    :math:`A` rotates, scales and shears the image. The entries of :math:`t` are uniform in
    ``[-shift, shift]``.

    :param shift: the largest shift along each axis, in pixels. Without a warp, shifts are whole
        numbers of pixels.
    :param warp: the largest difference between the entries of :math:`A` and the identity.
    :returns: affine maps :math:`(A, t)` with coordinates in the order (right, down), shape
        ``(num_images, 2, 3)``. If ``warp`` is 0, shifts (down, right), shape ``(num_images, 2)``.
    """
    if not warp:
        return rng.integers(2 * shift + 1, size=(2, num_images)).T - shift
    uniform = rng.uniform(-1, 1, size=(num_images, 2, 3))
    matrices, shifts = np.eye(2) + warp * uniform[:, :, :2], shift * uniform[:, :, 2:]
    return np.concatenate([matrices, shifts], axis=2)


def transform_images(x: Tensor, transforms: np.ndarray) -> Tensor:
    """Applies one transform to each image. Pixels from outside an image repeat its edge.

    :param x: shape ``(batch, channels, height, width)``.
    :param transforms: from :func:`sample_transforms`.
    """
    prepared = pin(prepare_transforms(transforms, x.shape[2:], x.dtype), x.device)
    return apply_transforms(x, to_device(prepared, x.device))


def prepare_transforms(
    transforms: np.ndarray, size: Sequence[int], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Transforms as :func:`apply_transforms` takes them, computed on the host.

    :param transforms: from :func:`sample_transforms`.
    :param size: the height and the width of an image.
    :param dtype: that of the images.
    """
    if transforms.ndim == 2:
        return torch.from_numpy(np.ascontiguousarray(transforms))
    pixels_per_unit = np.ones((2, 3))
    pixels_per_unit[:, 2] = np.array(size[::-1]) / 2  # a grid's coordinates end at -1 and 1
    return torch.from_numpy(transforms / pixels_per_unit).to(dtype)


def apply_transforms(x: Tensor, prepared: Tensor) -> Tensor:
    """Applies transforms that are prepared and on the device of the images.

    :param x: shape ``(batch, channels, height, width)``.
    :param prepared: from :func:`prepare_transforms`.
    """
    if not len(x):
        return x  # affine_grid refuses an empty batch
    return _shift(x, prepared) if prepared.dim() == 2 else _warp(x, prepared)


def flip_images(x: Tensor, is_flipped: np.ndarray | Tensor) -> Tensor:
    """Mirrors some images from left to right.

    :param x: shape ``(batch, channels, height, width)``.
    :param is_flipped: which images are mirrored, shape ``(batch,)``.
    """
    mask = to_device(pin(is_flipped, x.device), x.device)[:, None, None, None]
    return torch.where(mask, x.flip(-1), x).contiguous(memory_format=torch.channels_last)


def _warp(x: Tensor, theta: Tensor) -> Tensor:
    """Resamples each image at the positions that its affine map gives."""
    grid = F.affine_grid(theta, list(x.shape), False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _shift(x: Tensor, offsets: Tensor) -> Tensor:
    """Shifts each image by a whole number of pixels along each axis."""
    down, right = (
        (torch.arange(size, device=x.device) + offsets[:, axis : axis + 1]).clamp(0, size - 1)
        for axis, size in enumerate(x.shape[2:])
    )
    image = torch.arange(len(x), device=x.device)[:, None, None]
    pixels = x.permute(0, 2, 3, 1)
    return pixels[image, down[:, :, None], right[:, None]].permute(0, 3, 1, 2)
