"""CelebA, or any folder in its layout: aligned faces with 40 binary attributes.

::

    root/
      img_align_celeba/000001.jpg ...
      list_attr_celeba.txt or .csv         -1 or 0 is no, 1 is yes, an empty cell is unknown
      list_eval_partition.txt or .csv      0 train, 1 valid, 2 test; without it, a random split
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ccvae_pyro.data import cache as image_cache
from ccvae_pyro.data.decoding import decode_all, decode_image
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.splits import partition_splits, random_splits
from ccvae_pyro.data.tables.celeba_lists import find_list, read_attributes
from ccvae_pyro.data.tables.lists import read_partition

# The 18 attributes of the CCVAE paper.
PAPER_ATTRIBUTES = (
    "Arched_Eyebrows", "Bags_Under_Eyes", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair",
    "Bushy_Eyebrows", "Chubby", "Eyeglasses", "Heavy_Makeup", "Male", "No_Beard", "Pale_Skin",
    "Receding_Hairline", "Smiling", "Wavy_Hair", "Wearing_Necktie", "Young",
)  # fmt: skip


def load_celeba(
    root: Path | str,
    *,
    size: int = 64,
    crop: int | None = None,
    skip_unreadable: bool = False,
    seed: int = 0,
) -> LabeledImages:
    """CelebA from a folder in its own layout, decoded once and cached in ``root/ccvae_cache``.

    :param root: the folder, or the one above it, as torchvision leaves it.
    :param size: the height and width to resize to.
    :param crop: the side of the square to cut from the center first (148 is common); by default
        the whole image is resized, as in the paper.
    :param skip_unreadable: leave out images that cannot be read, and say how many.
    :param seed: for the random split, where there is no partition list.
    :raises FileNotFoundError: if the folder, a list or an image is not there.
    :raises ValueError: if a list or an image is not as it should be; says which line or file.
    """
    root, folder = find_folders(Path(root))
    attribute_list = find_list(root, "list_attr_celeba")
    if attribute_list is None:
        raise FileNotFoundError(f"{root} has no list_attr_celeba.txt or list_attr_celeba.csv")
    label_names, files, labels = read_attributes(attribute_list)
    partition = find_list(root, "list_eval_partition")
    parts = None if partition is None else read_partition(partition, files)
    settings = [label_names, files, parts, size, crop, skip_unreadable, seed]
    digest = hashlib.sha256(repr(settings).encode() + labels.tobytes()).hexdigest()[:12]
    path = root / image_cache.FOLDER / f"celeba-{size}px-{digest}.npy"
    if (cached := image_cache.read(path)) is not None:
        return cached

    paths = [folder / file for file in files]
    expected = next(filter(None, map(_size, paths)), None)
    decode = partial(decode_image, size=size, crop=crop, expected=expected)
    is_readable = decode_all(path, paths, decode, (size, size, 3), skip_unreadable)
    rows = np.flatnonzero(is_readable)
    splits = random_splits(rows, seed) if parts is None else partition_splits(rows, parts)
    image_cache.write_labels(path, labels, label_names, splits)
    return image_cache.read(path)


def download(root: Path | str) -> None:
    """Asks torchvision to download CelebA to ``root/celeba``, some 1.4 GB.

    :raises ConnectionError: if that fails, as it does whenever Google's daily quota is used up.
    """
    from torchvision import datasets

    try:
        datasets.CelebA(str(root), target_type="attr", download=True)
    except Exception as error:  # gdown and torchvision raise whatever they met
        raise ConnectionError(
            f"torchvision could not download CelebA ({error}). Google limits how often it is "
            "fetched in a day: try again tomorrow, or download img_align_celeba.zip, "
            "list_attr_celeba.txt and list_eval_partition.txt with a browser from the CelebA "
            f"project's page, unpack them into {Path(root) / 'celeba'}, and leave --download out"
        ) from error


def find_folders(root: Path) -> tuple[Path, Path]:
    """The folder that holds the lists, and the one that holds the images."""
    for base in (root, root / "celeba"):
        for folder in (base / "img_align_celeba" / "img_align_celeba", base / "img_align_celeba"):
            if folder.is_dir():
                return base, folder
    raise FileNotFoundError(f"{root} is not in CelebA's layout: it has no folder img_align_celeba")


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as file:
            return file.size
    except OSError:
        return None
