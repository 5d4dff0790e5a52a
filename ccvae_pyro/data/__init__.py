"""Images and labels: loaders, the uint8 cache and batches."""

from ccvae_pyro.data.avatars import load_avatars
from ccvae_pyro.data.batches import Batches
from ccvae_pyro.data.celeba import load_celeba
from ccvae_pyro.data.class_folders import load_class_folders
from ccvae_pyro.data.decoding import read_image
from ccvae_pyro.data.folder import load_folder
from ccvae_pyro.data.images import LabeledImages
from ccvae_pyro.data.imputed import write_imputed
from ccvae_pyro.data.label_columns import describe
from ccvae_pyro.data.missing import hide_labels, keep_labels_per_class
from ccvae_pyro.data.mnist import load_mnist
from ccvae_pyro.data.splits import partition_splits, random_splits, stratified_splits

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
