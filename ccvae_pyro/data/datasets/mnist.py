"""MNIST and Fashion-MNIST, through torchvision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.labels import Categorical

NAMES = {"mnist": "MNIST", "fashion": "FashionMNIST"}
MAX_VALID = 5_000  # or a tenth of the training images, if that is less


def load_mnist(
    root: Path | str, name: str = "mnist", *, download: bool = False, seed: int = 0
) -> LabeledImages:
    """Loads 28x28 grey images with one categorical label.

    :param root: torchvision's folder of the data set.
    :param name: ``"mnist"``, or ``"fashion"`` for Fashion-MNIST.
    :param download: whether torchvision may download missing files.
    :param seed: of the validation split, which is taken from the training images.
    :raises FileNotFoundError: if the files do not exist.
    :raises ValueError: if the name is unknown.
    """
    if name not in NAMES:
        raise ValueError(f"the name must be {' or '.join(map(repr, NAMES))}, got {name!r}")
    from torchvision import datasets  # slow to import

    dataset = getattr(datasets, NAMES[name])
    try:
        train, test = (
            dataset(str(root), train=is_train, download=download) for is_train in (True, False)
        )
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{NAMES[name]} is not in {Path(root) / NAMES[name] / 'raw'}: let torchvision "
            "download it, or put its four files there"
        ) from error
    images = torch.cat([train.data, test.data])[..., None].numpy()
    labels = torch.cat([train.targets, test.targets])[:, None].float().numpy()
    rows = np.random.default_rng(seed).permutation(len(train.data))
    valid, train_rows = np.split(rows, [min(MAX_VALID, len(rows) // 10)])
    splits = {"train": np.sort(train_rows), "valid": np.sort(valid)}
    splits["test"] = np.arange(len(train.data), len(images))
    classes = tuple(name.split(" - ")[0] for name in train.classes)  # MNIST has "7 - seven"
    preprocessing = Preprocessing(size=images.shape[1], channels=1)
    return LabeledImages(images, labels, (Categorical("class", classes),), splits, preprocessing)
