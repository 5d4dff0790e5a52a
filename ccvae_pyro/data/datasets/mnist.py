"""MNIST and the sets that come in its form, through torchvision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.labels import Categorical

NAMES = {"mnist": "MNIST", "fashion": "FashionMNIST"}
NUM_VALID = 5_000  # at most, and a tenth of the training images if these are few


def load_mnist(
    root: Path | str, name: str = "mnist", *, download: bool = False, seed: int = 0
) -> LabeledImages:
    """Loads 28x28 images of one channel, with one label, their class.

    :param root: the folder that torchvision keeps the set in.
    :param name: ``"mnist"``, or ``"fashion"`` for Fashion-MNIST.
    :param download: let torchvision download what is missing.
    :param seed: for the choice of training images that validate.
    :raises FileNotFoundError: if the set is not there.
    :raises ValueError: if there is no such set.
    """
    if name not in NAMES:
        raise ValueError(f"the set must be {' or '.join(map(repr, NAMES))}, got {name!r}")
    from torchvision import datasets  # slow to import, and others need it not

    kind = getattr(datasets, NAMES[name])
    try:
        train, test = (kind(str(root), train=part, download=download) for part in (True, False))
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{NAMES[name]} is not in {Path(root) / NAMES[name] / 'raw'}: let torchvision "
            "download it, or put its four files there"
        ) from error
    images = torch.cat([train.data, test.data])[..., None].numpy()
    labels = torch.cat([train.targets, test.targets])[:, None].float().numpy()
    rows = np.random.default_rng(seed).permutation(len(train.data))
    valid, train_rows = np.split(rows, [min(NUM_VALID, len(rows) // 10)])
    splits = {"train": np.sort(train_rows), "valid": np.sort(valid)}
    splits["test"] = np.arange(len(train.data), len(images))
    classes = tuple(name.split(" - ")[0] for name in train.classes)  # MNIST has "7 - seven"
    return LabeledImages(images, labels, (Categorical("class", classes),), splits)
