"""Data sets: avatars, CelebA, MNIST, folders of images, and those of Hugging Face."""

from ccvae_pyro.data.datasets._avatar_tables import ATTRIBUTES as AVATAR_ATTRIBUTES
from ccvae_pyro.data.datasets._avatar_tables import VISIBLE_ATTRIBUTES as VISIBLE_AVATAR_ATTRIBUTES
from ccvae_pyro.data.datasets.avatars import load_avatars
from ccvae_pyro.data.datasets.celeba import PAPER_ATTRIBUTES, download_celeba, load_celeba
from ccvae_pyro.data.datasets.hugging_face import from_hugging_face
from ccvae_pyro.data.datasets.image_csv import load_image_csv
from ccvae_pyro.data.datasets.image_folder import load_image_folder
from ccvae_pyro.data.datasets.mnist import load_mnist

__all__ = [
    "AVATAR_ATTRIBUTES",
    "PAPER_ATTRIBUTES",
    "VISIBLE_AVATAR_ATTRIBUTES",
    "download_celeba",
    "from_hugging_face",
    "load_avatars",
    "load_celeba",
    "load_image_csv",
    "load_image_folder",
    "load_mnist",
]
