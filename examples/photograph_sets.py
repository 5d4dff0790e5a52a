"""The data sets of photographs.py, each with few or with many known labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType

import folder
import mnist
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from ccvae_pyro.data import (
    VISIBLE_AVATAR_ATTRIBUTES,
    LabeledImages,
    hide_labels,
    keep_labels_per_class,
    load_avatars,
    load_celeba,
    load_image_csv,
    load_mnist,
    stratified_splits,
)
from ccvae_pyro.data.augmentation import sample_transforms, transform_images
from ccvae_pyro.labels import Categorical

NUM_FEW = 250  # labeled images of a set with attributes, if labels are few
LABELS_PER_CLASS = {"few": 10, "many": 300}  # of MNIST and Fashion-MNIST
DIGIT_SIZE, PERSON_SIZE, AVATAR_SIZE = 64, 64, 128  # pixels
NUM_PEOPLE, NUM_POSES = 40, 10  # of each person: 10 poses to learn from, and 10 to test on


@dataclass(frozen=True)
class ImageSet:
    """A data set, and the example that trains on it.

    :param load: a function from the folder of the data, the folder for decoded images, ``"few"``
        or ``"many"`` labels, and a seed.
    :param source: where the data are from.
    :param example: the example whose defaults are measured.
    :param warp: the augmentation of the CNN, as far as it keeps the labels.
    """

    load: Callable[[Path, Path | None, str, int], LabeledImages]
    source: str
    example: ModuleType = folder
    warp: float = 0.1


def load_glyphs(root: Path, cache: Path | None, labels: str, seed: int) -> LabeledImages:
    """Glyphs of typefaces; labels.csv lacks most of the cells of truth.csv."""
    here = root / "glyphs"
    read = partial(load_image_csv, here / "images", partition="split", cache=cache)
    truth = read(here / "truth.csv", label_types={"weight": "continuous"})
    types = {label.name: label for label in truth.label_types}
    given = read(here / "labels.csv", label_types=types)
    if given.files != truth.files:
        raise ValueError(f"{here}: wanted the same files in labels.csv as in truth.csv")
    if labels == "many":
        return truth
    is_test = np.isin(np.arange(len(truth.images)), truth.splits["test"])
    return replace(truth, labels=np.where(is_test[:, None], truth.labels, given.labels))


def load_faces(root: Path, cache: Path | None, labels: str, seed: int) -> LabeledImages:
    """Faces in CelebA's layout."""
    return with_labels_of(load_celeba(root / "faces", cache=cache), labels, seed)


def load_large_avatars(root: Path, cache: Path | None, labels: str, seed: int) -> LabeledImages:
    """Avatars of 128 pixels."""
    data = load_avatars(cache or root, size=AVATAR_SIZE).select(VISIBLE_AVATAR_ATTRIBUTES)
    return with_labels_of(data, labels, seed)


def load_garments_or_digits(
    root: Path, cache: Path | None, labels: str, seed: int, *, name: str
) -> LabeledImages:
    """MNIST or Fashion-MNIST, 100 or 3,000 images of which have a label."""
    data = load_mnist(root / "mnist" if (root / "mnist").is_dir() else root, name)
    return keep_labels_per_class(data, LABELS_PER_CLASS[labels], seed)


def load_small_digits(root: Path, cache: Path | None, labels: str, seed: int) -> LabeledImages:
    """The 1,797 digits that scikit-learn has, of 8x8 pixels."""
    values, classes = load_digits(return_X_y=True)
    small = (values.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    resized = [
        Image.fromarray(each).resize((DIGIT_SIZE, DIGIT_SIZE), Image.Resampling.BICUBIC)
        for each in small
    ]
    images = np.stack([np.asarray(image) for image in resized])[..., None]
    splits = stratified_splits(np.arange(len(images)), classes, seed=0)
    label = Categorical("digit", tuple("0123456789"))
    data = LabeledImages(images, classes[:, None].astype(np.float32), (label,), splits)
    return data if labels == "many" else keep_labels_per_class(data, 10, seed)


def load_people(root: Path, cache: Path | None, labels: str, seed: int) -> LabeledImages:
    """400 grey images of 40 avatars, each in 10 poses, and 400 more to test on.

    A pose is a rotation, a scale, a shift and an illumination. A few people wear sunglasses.
    """
    people = load_avatars(cache or root, NUM_PEOPLE, size=PERSON_SIZE).select(["Sunglasses"])
    rng, num_poses = np.random.default_rng(0), 2 * NUM_POSES
    person = np.repeat(np.arange(NUM_PEOPLE), num_poses)
    x = people.batch(person)[0].mean(dim=1, keepdim=True)
    x = transform_images(x, sample_transforms(len(x), 4, 0.1, rng))
    x = x * torch.from_numpy(rng.uniform(0.6, 1.0, (len(x), 1, 1, 1))).to(x.dtype)
    images = (255 * x).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    names = tuple(f"person {i}" for i in range(NUM_PEOPLE))
    types = (Categorical("person", names), *people.label_types)
    pose = np.arange(len(person)) % num_poses
    rows = {
        "train": pose < NUM_POSES - 1,
        "valid": pose == NUM_POSES - 1,
        "test": pose >= NUM_POSES,
    }
    splits = {name: np.flatnonzero(is_in) for name, is_in in rows.items()}
    values = np.stack([person, people.labels[person, 0]], axis=1).astype(np.float32)
    data = LabeledImages(images, values, types, splits)
    return hide_labels(data, {"few": 0.5, "many": 1.0}[labels], seed=seed)


def with_labels_of(data: LabeledImages, labels: str, seed: int) -> LabeledImages:
    """The images with the labels of 250 training images, or of all."""
    fraction = min(1.0, NUM_FEW / len(data.splits["train"])) if labels == "few" else 1.0
    return hide_labels(data, fraction, seed=seed)


AVATARS = "avatars need pip install 'ccvae-pyro[avatars]'"
MNIST = "python examples/mnist.py --data {} --download --root ROOT downloads it"
SETS = {
    "glyphs": ImageSet(
        load_glyphs,
        "put images/, labels.csv and truth.csv with the columns file, letter, weight, italic, "
        "serif and split into ROOT/glyphs",
        warp=0.0,  # it would change how heavy and how slanted a glyph is
    ),
    "faces": ImageSet(load_faces, "put faces in CelebA's layout into ROOT/faces"),
    "mnist": ImageSet(
        partial(load_garments_or_digits, name="mnist"), MNIST.format("mnist"), mnist
    ),
    "fashion": ImageSet(
        partial(load_garments_or_digits, name="fashion"), MNIST.format("fashion"), mnist
    ),
    "digits": ImageSet(load_small_digits, "it comes with scikit-learn"),
    "people": ImageSet(load_people, AVATARS),
    "avatars": ImageSet(load_large_avatars, AVATARS),
}
