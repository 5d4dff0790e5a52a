"""Images and labels: loaders, the uint8 cache and batches."""

from ccvae_pyro.data.avatars import avatars
from ccvae_pyro.data.batches import Batches
from ccvae_pyro.data.celeba import celeba
from ccvae_pyro.data.images import LabeledImages

__all__ = ["Batches", "LabeledImages", "avatars", "celeba"]
