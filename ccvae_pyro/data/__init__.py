"""Images and labels: data sets, the cache, and batches."""

from ccvae_pyro.data.batches import Batches, balanced_weights
from ccvae_pyro.data.collect import collect
from ccvae_pyro.data.datasets import (
    AVATAR_ATTRIBUTES,
    PAPER_ATTRIBUTES,
    VISIBLE_AVATAR_ATTRIBUTES,
    download_celeba,
    from_hugging_face,
    load_avatars,
    load_celeba,
    load_image_csv,
    load_image_folder,
    load_mnist,
)
from ccvae_pyro.data.decoding import read_image
from ccvae_pyro.data.exclusivity import exclusive_pairs, with_exclusions
from ccvae_pyro.data.files import atomic_write
from ccvae_pyro.data.labeled_images import LabeledImages
from ccvae_pyro.data.missing_labels import hide_labels, keep_labels_per_class
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.data.splits import partition_splits, random_splits, stratified_splits
from ccvae_pyro.data.symmetry import why_not_flip, why_not_warp
from ccvae_pyro.data.tables import describe, write_imputed

__all__ = [
    "AVATAR_ATTRIBUTES",
    "PAPER_ATTRIBUTES",
    "VISIBLE_AVATAR_ATTRIBUTES",
    "Batches",
    "LabeledImages",
    "Preprocessing",
    "atomic_write",
    "balanced_weights",
    "collect",
    "describe",
    "download_celeba",
    "exclusive_pairs",
    "from_hugging_face",
    "hide_labels",
    "keep_labels_per_class",
    "load_avatars",
    "load_celeba",
    "load_image_csv",
    "load_image_folder",
    "load_mnist",
    "partition_splits",
    "random_splits",
    "read_image",
    "stratified_splits",
    "why_not_flip",
    "why_not_warp",
    "with_exclusions",
    "write_imputed",
]
