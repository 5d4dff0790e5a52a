"""A folder with one folder of images for each class, such as Medical MNIST."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ccvae_pyro.data.cache import CACHE_FOLDER, load_images
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.data.splits import random_splits, stratified_splits
from ccvae_pyro.labels import Categorical


def load_image_folder(
    root: Path | str,
    *,
    size: int = 64,
    channels: int | None = None,
    resize: str = "squash",
    white: float | None = None,
    stratify: bool = True,
    seed: int = 0,
    skip_unreadable: bool = False,
    num_images: int | None = None,
    cache: Path | str | None = None,
) -> LabeledImages:
    """Images in one folder per class, decoded once and cached.

    The images have one categorical label, ``"class"``, whose classes are the names of the folders.

    :param root: the folder of the class folders.
    :param size: the height and width to resize to.
    :param channels: 1 for grey, 3 for color; by default grey if all files are.
    :param resize: ``"squash"``, ``"crop"`` or ``"pad"``: see
        :class:`~ccvae_pyro.data.Preprocessing`.
    :param white: the value of white in files of more than 8 bits, by default found from them.
    :param stratify: whether each class is split in the same proportions.
    :param seed: of the split, and of the choice of images.
    :param skip_unreadable: leave out images that cannot be read, and print how many.
    :param num_images: load about this many images, chosen at random: the same fraction of each
        class, but at least two images. By default all are loaded.
    :param cache: the folder of the decoded images, by default ``root/ccvae_cache``, or in the
        cache folder of the user if ``root`` cannot be written.
    :raises FileNotFoundError: if there is no such folder.
    :raises ValueError: if there are fewer than two classes, a class has fewer than two images, or
        an image cannot be read.
    """
    root = Path(root)
    files_of_class = {folder.name: find_images(folder) for folder in find_class_folders(root)}
    if num_images is not None:
        files_of_class = _choose(files_of_class, num_images, seed)
    names = [f"{name}/{file}" for name, files in files_of_class.items() for file in files]
    images, is_readable, preprocessing = load_images(
        root,
        [root / name for name in names],
        Preprocessing(size, channels, resize, white=white),
        skip_unreadable=skip_unreadable,
        cache=cache,
    )
    num_files = [len(files) for files in files_of_class.values()]
    labels = np.repeat(np.arange(len(num_files)), num_files)
    rows = np.flatnonzero(is_readable)
    splits = stratified_splits(rows, labels[rows], seed) if stratify else random_splits(rows, seed)
    label_types = (Categorical("class", tuple(files_of_class)),)
    values = labels[:, None].astype(np.float32)
    return LabeledImages(images, values, label_types, splits, preprocessing, files=tuple(names))


def find_class_folders(root: Path) -> list[Path]:
    """The class folders in alphabetical order, without hidden folders and the cache."""
    if not root.is_dir():
        raise FileNotFoundError(f"the folder of class folders, {root}, does not exist")
    folders = [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."]
    folders = sorted(folder for folder in folders if folder.name != CACHE_FOLDER)
    if len(folders) < 2:
        got = f"only {folders[0].name!r}" if folders else "none"
        raise ValueError(f"{root}: wanted a folder for each class, at least two, got {got}")
    return folders


def find_images(folder: Path) -> list[str]:
    """The names of the image files in a class folder, in alphabetical order."""
    suffixes = Image.registered_extensions()
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in suffixes)
    names = [name for name in names if name[0] != "."]
    if len(names) < 2:
        raise ValueError(f"{folder}: wanted at least two images of a class, got {len(names)}")
    return names


def _choose(
    files_of_class: dict[str, list[str]], num_images: int, seed: int
) -> dict[str, list[str]]:
    """Chooses the same fraction of each class at random."""
    if num_images < 2 * len(files_of_class):
        raise ValueError(
            f"num_images must be at least two for each of {len(files_of_class)} classes, "
            f"got {num_images}"
        )
    fraction = min(1.0, num_images / sum(map(len, files_of_class.values())))
    rng = np.random.default_rng(seed)
    chosen = {}
    for name, files in files_of_class.items():
        num_chosen = max(2, round(fraction * len(files)))
        chosen[name] = sorted(rng.choice(files, num_chosen, replace=False).tolist())
    return chosen
