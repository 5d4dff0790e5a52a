"""A folder of class folders, such as Medical MNIST: the one label is the folder's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ccvae_pyro.data.cache import FOLDER
from ccvae_pyro.data.decoding import cache_path, load_images
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.splits import random_splits, stratified_splits
from ccvae_pyro.labels import Categorical


def load_class_folders(
    root: Path | str,
    *,
    size: int = 64,
    channels: int | None = None,
    stratify: bool = True,
    seed: int = 0,
    skip_unreadable: bool = False,
    num_images: int | None = None,
) -> LabeledImages:
    """Images that lie in a folder for each class, decoded once into ``root/ccvae_cache``.

    :param size: the height and width to resize to.
    :param channels: 1 for grey, 3 for color; by default grey if all files are.
    :param stratify: split each class alike, or else all images at random.
    :param seed: for the split, and the choice of images.
    :param skip_unreadable: leave out images that cannot be read, and say how many.
    :param num_images: about how many images to take, a like share of each class but two at least;
        by default, all.
    :raises FileNotFoundError: if there is no such folder.
    :raises ValueError: if there are not two classes at least, of two images at least; or an image
        cannot be read.
    """
    root = Path(root)
    folders = find_classes(root)
    files = {folder.name: find_images(folder) for folder in folders}
    if num_images is not None:
        files = _choose(files, num_images, seed)
    names = [f"{name}/{file}" for name, of_class in files.items() for file in of_class]
    path = cache_path(root, names, size, channels, skip_unreadable)
    paths = [root / name for name in names]
    images, is_readable = load_images(path, paths, size, channels, skip_unreadable)
    labels = np.repeat(np.arange(len(files)), [len(of_class) for of_class in files.values()])
    rows = np.flatnonzero(is_readable)
    splits = stratified_splits(rows, labels[rows], seed) if stratify else random_splits(rows, seed)
    kinds = (Categorical("class", tuple(files)),)
    return LabeledImages(images, labels[:, None].astype(np.float32), kinds, splits)


def find_classes(root: Path) -> list[Path]:
    """The folders in a folder, but for hidden ones and the cache."""
    if not root.is_dir():
        raise FileNotFoundError(f"the folder of class folders, {root}, is not there")
    folders = [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."]
    folders = sorted(folder for folder in folders if folder.name != FOLDER)
    if len(folders) < 2:
        got = f"only {folders[0].name!r}" if folders else "none"
        raise ValueError(f"{root}: wanted a folder for each class, two at least, got {got}")
    return folders


def find_images(folder: Path) -> list[str]:
    """The names of the images in a class folder, in order."""
    suffixes = Image.registered_extensions()
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in suffixes)
    names = [name for name in names if name[0] != "."]
    if len(names) < 2:
        raise ValueError(f"{folder}: wanted two images of a class at least, got {len(names)}")
    return names


def _choose(files: dict[str, list[str]], num_images: int, seed: int) -> dict[str, list[str]]:
    """A like share of each class, chosen at random."""
    if num_images < 2 * len(files):
        raise ValueError(
            f"num_images must be two for each of {len(files)} classes at least, got {num_images}"
        )
    share = min(1.0, num_images / sum(map(len, files.values())))
    rng = np.random.default_rng(seed)
    sizes = {name: max(2, round(share * len(names))) for name, names in files.items()}
    return {
        name: sorted(rng.choice(names, sizes[name], replace=False).tolist())
        for name, names in files.items()
    }
