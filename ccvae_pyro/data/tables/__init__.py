"""Tables of labels: CSV files, CelebA's lists, and what the columns mean."""

from ccvae_pyro.data.tables.celeba_lists import find_list, read_attributes, read_partition
from ccvae_pyro.data.tables.imputed import write_imputed
from ccvae_pyro.data.tables.label_table import LabelTable, find_partition, read_table
from ccvae_pyro.data.tables.label_types import describe, find_classes, guess_type, read_label

__all__ = [
    "LabelTable",
    "describe",
    "find_classes",
    "find_list",
    "find_partition",
    "guess_type",
    "read_attributes",
    "read_label",
    "read_partition",
    "read_table",
    "write_imputed",
]
