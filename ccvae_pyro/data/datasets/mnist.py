"""MNIST and Fashion-MNIST, in the files that torchvision downloads."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.labels import Categorical

NAMES = {"mnist": "MNIST", "fashion": "FashionMNIST"}
MAX_VALID = 5_000  # or a tenth of the training images, if that is less
SIZE = 28


def load_mnist(
    root: Path | str, name: str = "mnist", *, download: bool = False, seed: int = 0
) -> LabeledImages:
    """Loads 28x28 grey images with one categorical label.

    :param root: torchvision's folder of the data set. The four files may be compressed with gzip.
    :param name: ``"mnist"``, or ``"fashion"`` for Fashion-MNIST.
    :param download: whether torchvision may download missing files.
    :param seed: of the validation split, which is taken from the training images.
    :raises FileNotFoundError: if the files do not exist.
    :raises ValueError: if the name is unknown, or a file is not what its name says.
    """
    if name not in NAMES:
        raise ValueError(f"the name must be {' or '.join(map(repr, NAMES))}, got {name!r}")
    from torchvision import datasets

    dataset = getattr(datasets, NAMES[name])
    folder = Path(root) / NAMES[name] / "raw"
    classes = tuple(each.split(" - ")[0] for each in dataset.classes)  # MNIST has "7 - seven"
    try:
        if download:
            dataset(str(root), download=True)
        parts = [_read_part(folder, part, len(classes)) for part in ("train", "t10k")]
    except (FileNotFoundError, RuntimeError) as error:
        raise FileNotFoundError(
            f"{NAMES[name]} is not in {folder} ({error}): let torchvision download it, or put its "
            "four files there"
        ) from error
    (train, _), _ = parts
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    rows = np.random.default_rng(seed).permutation(len(train))
    valid, train_rows = np.split(rows, [min(MAX_VALID, len(rows) // 10)])
    splits = {"train": np.sort(train_rows), "valid": np.sort(valid)}
    splits["test"] = np.arange(len(train), len(images))
    label_types = (Categorical("class", classes),)
    values = labels[:, None].astype(np.float32)
    preprocessing = Preprocessing(size=SIZE, channels=1)
    return LabeledImages(images[..., None], values, label_types, splits, preprocessing)


def _read_part(folder: Path, part: str, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels for training, ``"train"``, or testing, ``"t10k"``."""
    # Not by torchvision, which takes labels that are fewer than the images, or than it says.
    images_path = _find(folder / f"{part}-images-idx3-ubyte")
    labels_path = _find(folder / f"{part}-labels-idx1-ubyte")
    images, labels = _read_idx(images_path, 3), _read_idx(labels_path, 1)
    if images.shape[1:] != (SIZE, SIZE):
        height, width = images.shape[1:]
        raise ValueError(f"{images_path} has images of {height}x{width}, wanted {SIZE}x{SIZE}")
    if len(images) != len(labels):
        raise ValueError(
            f"{labels_path} has {len(labels)} labels, but {images_path.name} {len(images)} images"
        )
    if len(images) == 0:
        raise ValueError(f"{images_path} has no images")
    if labels.max() >= num_classes:
        row = int(np.argmax(labels >= num_classes))
        raise ValueError(
            f"{labels_path}: label {row} is {labels[row]}, wanted 0 to {num_classes - 1}"
        )
    return images, labels


def _find(path: Path) -> Path:
    """The path, or that of the compressed file."""
    candidates = (path, path.with_name(f"{path.name}.gz"))
    found = next((candidate for candidate in candidates if candidate.exists()), None)
    if found is None:
        raise FileNotFoundError(f"no {path.name}")
    if not found.is_file():
        raise ValueError(f"{found} is not a regular file")
    return found


def _read_idx(path: Path, num_dims: int) -> np.ndarray:
    """Reads a uint8 array in the IDX format, whose magic number is 2048 and the dimensions.

    http://yann.lecun.com/exdb/mnist describes it: the magic number, the sizes and the values.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} cannot be decompressed ({error})") from error
    start = 4 * (1 + num_dims)
    if len(content) < start:
        raise ValueError(f"{path} is truncated: {len(content)} bytes, wanted at least {start}")
    magic, *shape = (int(number) for number in np.frombuffer(content[:start], dtype=">u4"))
    if magic != 2048 + num_dims:
        is_page = content.lstrip()[:1] == b"<"
        raise ValueError(
            f"{path} starts with the number {magic}, wanted {2048 + num_dims}: "
            + ("it is a web page" if is_page else f"it is no IDX file of {num_dims} dimensions")
        )
    wanted = start + int(np.prod([*shape], dtype=object))
    if len(content) != wanted:
        raise ValueError(
            f"{path} has {len(content)} bytes, wanted {wanted} for an array of "
            f"{'x'.join(map(str, shape))}: download it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
