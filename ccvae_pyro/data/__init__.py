"""Images and labels: loaders, the uint8 cache and batches."""

from ccvae_pyro.data.batches import Batches
from ccvae_pyro.data.datasets.avatars import load_avatars
from ccvae_pyro.data.datasets.celeba import load_celeba
from ccvae_pyro.data.datasets.image_csv import load_folder
from ccvae_pyro.data.datasets.image_folder import load_class_folders
from ccvae_pyro.data.datasets.mnist import load_mnist
from ccvae_pyro.data.decoding import read_image
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.missing_labels import hide_labels, keep_labels_per_class
from ccvae_pyro.data.splits import partition_splits, random_splits, stratified_splits
from ccvae_pyro.data.tables.imputed import write_imputed
from ccvae_pyro.data.tables.label_columns import describe

__all__ = [
    "Batches",
    "LabeledImages",
    "describe",
    "hide_labels",
    "keep_labels_per_class",
    "load_avatars",
    "load_celeba",
    "load_class_folders",
    "load_folder",
    "load_mnist",
    "partition_splits",
    "random_splits",
    "read_image",
    "stratified_splits",
    "write_imputed",
]
