"""CelebA, or any folder in its layout: aligned faces with 40 binary attributes.

::

    root/
      img_align_celeba/000001.jpg ...
      list_attr_celeba.txt or .csv         -1 or 0 is no, 1 is yes, an empty cell is unknown
      list_eval_partition.txt or .csv      0 train, 1 valid, 2 test; by default a random split
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ccvae_pyro.data.cache import load_images
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.data.splits import partition_splits, random_splits
from ccvae_pyro.data.tables.celeba_lists import find_list, read_attributes, read_partition
from ccvae_pyro.labels import binaries

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
    resize: str = "squash",
    skip_unreadable: bool = False,
    seed: int = 0,
    cache: Path | str | None = None,
) -> LabeledImages:
    """CelebA from a folder in its own layout, decoded once and cached.

    :param root: the folder, or its parent, which is what torchvision's download expects.
    :param size: the height and width to resize to.
    :param crop: the side of a square to cut from the center first (148 is common); by default the
        whole image is resized, as in the paper.
    :param resize: ``"squash"``, ``"crop"`` or ``"pad"``: see
        :class:`~ccvae_pyro.data.Preprocessing`.
    :param skip_unreadable: leave out images that cannot be read, and print how many.
    :param seed: of the random split, which is used if there is no partition list.
    :param cache: the folder of the decoded images, by default ``root/ccvae_cache``, or in the
        cache folder of the user if ``root`` cannot be written.
    :raises FileNotFoundError: if the folder, a list or an image does not exist.
    :raises ValueError: if a list or an image is invalid; names the line or the file.
    """
    root, folder = find_folders(Path(root))
    attribute_list = find_list(root, "list_attr_celeba")
    if attribute_list is None:
        raise FileNotFoundError(f"{root} has no list_attr_celeba.txt or list_attr_celeba.csv")
    label_names, files, labels = read_attributes(attribute_list)
    partition = find_list(root, "list_eval_partition")
    split_names = None if partition is None else read_partition(partition, files)
    images, is_readable, preprocessing = load_images(
        root,
        [folder / file for file in files],
        Preprocessing(size, 3, resize, crop),
        skip_unreadable=skip_unreadable,
        are_aligned=True,
        cache=cache,
    )
    rows = np.flatnonzero(is_readable)
    if split_names is None:
        splits = random_splits(rows, seed)
    else:
        splits = partition_splits(rows, split_names)
    return LabeledImages(images, labels, binaries(label_names), splits, preprocessing)


def download_celeba(root: Path | str) -> None:
    """Downloads CelebA (1.4 GB) to ``root/celeba`` with torchvision.

    :raises ConnectionError: if that fails, as it does when Google's daily quota is used up.
    """
    from torchvision import datasets

    try:
        datasets.CelebA(str(root), target_type="attr", download=True)
    except Exception as error:  # gdown and torchvision raise many types
        raise ConnectionError(
            f"torchvision could not download CelebA ({error}). Google limits how often it is "
            "fetched in a day: try again tomorrow, or download img_align_celeba.zip, "
            "list_attr_celeba.txt and list_eval_partition.txt with a browser from the CelebA "
            f"project's page, unpack them into {Path(root) / 'celeba'}, and leave --download out"
        ) from error


def find_folders(root: Path) -> tuple[Path, Path]:
    """The folder of the lists, and the folder of the images."""
    for base in (root, root / "celeba"):
        for folder in (base / "img_align_celeba" / "img_align_celeba", base / "img_align_celeba"):
            if folder.is_dir():
                return base, folder
    raise FileNotFoundError(f"{root} is not in CelebA's layout: it has no folder img_align_celeba")
