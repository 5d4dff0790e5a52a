"""The images of a loader, such as a :class:`torch.utils.data.DataLoader`, as a data set."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.splits import SPLIT_NAMES
from ccvae_pyro.labels import Label
from ccvae_pyro.labels._plain_values import shown

Loader = Iterable[Sequence[Tensor]]


def collect(loaders: Loader | Mapping[str, Loader], labels: Sequence[Label]) -> LabeledImages:
    """The images and labels of loaders, from one pass over each.

    Images are kept as bytes. Transforms of a loader that are random are applied once:
    :class:`~ccvae_pyro.data.Batches` shifts, warps and flips images anew in each epoch. The order
    of the images does not depend on that of a loader, which may shuffle.

    :param loaders: an iterable of batches ``(x, y)`` or ``(x,)``, which are the training images;
        or one for each of the splits ``"train"``, ``"valid"`` and ``"test"``. ``x`` has shape
        ``(batch, channels, height, width)`` and is uint8, or floating point in [0, 1]; ``y`` has
        shape ``(batch, num_labels)``, or ``(batch,)`` if there is one label. A label that is
        missing is NaN, and all are in a batch ``(x,)``.
    :param labels: descriptions of the labels, in the order of the columns of ``y``.
    :raises ValueError: if a batch is not as described, or there is none; names split and batch.

    Example:

        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> from ccvae_pyro.labels import Binary
        >>> loader = DataLoader(TensorDataset(torch.rand(10, 3, 8, 8), torch.ones(10)), 4)
        >>> print(collect(loader, [Binary("Hat")]))
        LabeledImages: 10 images of 8x8x3
          train 10
          1 binary label: Hat
          0.0% of the labels are missing
    """
    of_split = loaders if isinstance(loaders, Mapping) else {"train": loaders}
    images: list[np.ndarray] = []
    values: list[np.ndarray] = []
    splits: dict[str, np.ndarray] = {}
    for split, loader in of_split.items():
        if split not in SPLIT_NAMES:
            raise ValueError(f"wanted a split of {', '.join(SPLIT_NAMES)}, got {shown(split)}")
        if not isinstance(loader, Iterable):
            raise ValueError(f"wanted an iterable of batches for {split!r}, got {shown(loader)}")
        x, y = _collected(split, loader, len(labels))
        if images and x.shape[1:] != images[0].shape[1:]:
            raise ValueError(
                f"the images of {split!r} have shape {x.shape[1:]}, others {images[0].shape[1:]}"
            )
        start = sum(map(len, images))
        splits[split] = np.arange(start, start + len(x))
        images.append(x)
        values.append(y)
    if not images:
        raise ValueError("wanted a loader of at least one split, got none")
    return LabeledImages(np.concatenate(images), np.concatenate(values), tuple(labels), splits)


def _collected(split: str, loader: Loader, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of one split, uint8 with the channels last, and their labels, in a fixed order."""
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for number, batch in enumerate(loader, start=1):
        try:
            x, y = _checked(batch, num_labels)
            if images and x.shape[1:] != images[0].shape[1:]:
                raise ValueError(f"images of shape {x.shape[1:]}, before {images[0].shape[1:]}")
        except ValueError as error:
            raise ValueError(f"batch {number} of {split!r}: {error}") from None
        images.append(x)
        labels.append(y)
    if not images:
        raise ValueError(f"the loader of {split!r} has no batch")
    x, y = np.concatenate(images), np.concatenate(labels)
    pairs = zip(x, y, strict=True)
    digests = [hashlib.sha256(image.tobytes() + row.tobytes()).digest() for image, row in pairs]
    order = sorted(range(len(x)), key=digests.__getitem__)
    return x[order], y[order]


def _checked(batch: Any, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """The images of a batch as bytes, with the channels last, and its labels."""
    is_pair = isinstance(batch, list | tuple) and len(batch) in (1, 2)
    if not is_pair or not all(isinstance(each, Tensor) for each in batch):
        raise ValueError(f"wanted tensors (x, y) or (x,), got {_kind(batch)}")
    x = batch[0].detach().cpu()
    if x.dim() != 4:
        raise ValueError(f"wanted images (batch, channels, height, width), got {tuple(x.shape)}")
    if x.is_floating_point():
        low, high = map(float, torch.aminmax(x)) if x.numel() else (0.0, 0.0)
        if not (low >= 0 and high <= 1):
            raise ValueError(f"wanted pixels in [0, 1], got some from {low:.4g} to {high:.4g}")
        x = x.mul(255).round().byte()
    elif x.dtype != torch.uint8:
        raise ValueError(f"wanted images of uint8 or floating point, got {x.dtype}")
    y = torch.full((len(x), num_labels), math.nan) if len(batch) == 1 else batch[1]
    y = y.detach().cpu().to(torch.float32)
    y = y[:, None] if y.dim() == 1 else y
    if y.shape != (len(x), num_labels):
        raise ValueError(f"wanted labels of shape {(len(x), num_labels)}, got {tuple(y.shape)}")
    return x.permute(0, 2, 3, 1).contiguous().numpy(), y.numpy()


def _kind(batch: Any) -> str:
    """What a batch is, in a few words."""
    if isinstance(batch, list | tuple):
        return f"a {type(batch).__name__} of {', '.join(type(e).__name__ for e in batch)}"
    return f"a {type(batch).__name__}"
