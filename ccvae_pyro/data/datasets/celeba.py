"""CelebA, or any folder in its layout: aligned faces with 40 binary attributes.

::

    root/
      img_align_celeba/000001.jpg ...
      list_attr_celeba.txt or .csv         -1 or 0 is no, 1 is yes, an empty cell is unknown
      list_eval_partition.txt or .csv      0 train, 1 valid, 2 test; by default a random split

The images may be one folder deeper, as Kaggle's archive unpacks, or in a zip archive, which is
read where it is: Kaggle's, which has the lists too, or ``img_align_celeba.zip``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import numpy as np

from ccvae_pyro.data.archives import ZipMember, open_zip
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
IMAGES = "img_align_celeba"


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
    """CelebA from a folder in its own layout or from a zip archive, decoded once and cached.

    :param root: the folder, or its parent, which is what torchvision's download expects; or a zip
        archive, or the folder that it is in.
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
    :raises ValueError: if a list, an image or an archive is invalid; names the line or the file.
    """
    with _opened(Path(root)) as layout:
        attribute_list = layout.find_list("list_attr_celeba")
        if attribute_list is None:
            raise FileNotFoundError(
                f"{layout.root} has no list_attr_celeba.txt or list_attr_celeba.csv"
            )
        label_names, files, labels = read_attributes(attribute_list)
        partition = layout.find_list("list_eval_partition")
        split_names = None if partition is None else read_partition(partition, files)
        images, is_readable, preprocessing = load_images(
            layout.root,
            [layout.image(file) for file in files],
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
        folder = Path(root) / "celeba"
        raise ConnectionError(
            f"torchvision could not download CelebA ({error}). Google limits how often it is "
            "fetched in a day: try again tomorrow, or use --data hf:flwrlabs/celeba, which is "
            "on Hugging Face, or put Kaggle's archive (jessicali9530/celeba-dataset), packed or "
            f"unpacked, into {folder} and leave --download out, or download "
            "img_align_celeba.zip, list_attr_celeba.txt and list_eval_partition.txt with a "
            "browser from the CelebA project's page into that folder"
        ) from error


@dataclass(frozen=True)
class _Layout:
    """Where the lists and the images of CelebA are.

    :param root: the folder of the lists or of the archive.
    :param images: the folder of the images, below ``root`` or within the archive.
    :param archive: the archive and its path, if the images are in one.
    """

    root: Path
    images: str
    archive: tuple[Path, ZipFile] | None = None

    def image(self, file: str) -> Path | ZipMember:
        """The image of a name."""
        if self.archive is None:
            return self.root / self.images / file
        path, archive = self.archive
        return ZipMember(path, f"{self.images}/{file}", archive)

    def find_list(self, stem: str) -> Path | ZipMember | None:
        """The list ``stem.txt`` or ``stem.csv``, beside the images or their archive, or in it."""
        found = find_list(self.root, stem)
        if found is not None or self.archive is None:
            return found
        path, archive = self.archive
        names = {f"{stem}.txt", f"{stem}.csv"}
        members = (name for name in _members(archive) if PurePosixPath(name).name in names)
        return next((ZipMember(path, name, archive) for name in members), None)


@contextmanager
def _opened(root: Path) -> Iterator[_Layout]:
    """Finds the images of CelebA, in a folder or else in an archive, which stays open."""
    if root.is_file():
        with open_zip(root) as archive:
            images = _folder_in(archive)
            if images is None:
                raise ValueError(f"{root} is not CelebA's archive: it has no folder {IMAGES}")
            yield _Layout(root.parent, images, (root, archive))
        return
    bases = (root, root / "celeba")
    for base in bases:
        for images in (f"{IMAGES}/{IMAGES}", IMAGES):
            if (base / images).is_dir():
                yield _Layout(base, images)
                return
    unreadable: ValueError | None = None
    for path in (each for base in bases for each in sorted(base.glob("*.zip"))):
        try:
            with open_zip(path) as archive:
                found = _folder_in(archive)
        except ValueError as error:
            unreadable = error
            continue
        if found is not None:
            with _opened(path) as layout:
                yield layout
            return
    raise unreadable or FileNotFoundError(
        f"{root} is not in CelebA's layout: it has no folder {IMAGES}, and no zip archive of one"
    )


def _folder_in(archive: ZipFile) -> str | None:
    """The folder of the images in an archive."""
    folders = (PurePosixPath(name).parent for name in _members(archive))
    return next((str(folder) for folder in folders if folder.name == IMAGES), None)


def _members(archive: ZipFile) -> Iterator[str]:
    """The names of the files in an archive, without what a Mac adds beside each of them."""
    names = (name for name in archive.namelist() if not name.endswith("/"))
    return (name for name in names if not name.startswith("__MACOSX/"))
