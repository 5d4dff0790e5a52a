"""Images and labels: loaders, the uint8 cache and batches."""

from ccvae_pyro.data.avatars import load_avatars
from ccvae_pyro.data.batches import Batches
from ccvae_pyro.data.celeba import load_celeba
from ccvae_pyro.data.images import LabeledImages
from ccvae_pyro.data.missing import hide_labels
from ccvae_pyro.data.mnist import load_mnist

__all__ = ["Batches", "LabeledImages", "hide_labels", "load_avatars", "load_celeba", "load_mnist"]
