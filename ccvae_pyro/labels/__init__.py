"""Labels: descriptions of their types, and checks of their values."""

from ccvae_pyro.labels.comparison import check_same_labels
from ccvae_pyro.labels.types import (
    Binary,
    Categorical,
    Classes,
    Continuous,
    Label,
    Ordinal,
    are_plain,
    binaries,
    block_of,
    check_distinct,
    from_plain,
    num_outcomes,
    outcome_names,
    to_plain,
)
from ccvae_pyro.labels.values import check_distances, check_labels, index_of, is_wrong, value_of

__all__ = [
    "Binary",
    "Categorical",
    "Classes",
    "Continuous",
    "Label",
    "Ordinal",
    "are_plain",
    "binaries",
    "block_of",
    "check_distances",
    "check_distinct",
    "check_labels",
    "check_same_labels",
    "from_plain",
    "index_of",
    "is_wrong",
    "num_outcomes",
    "outcome_names",
    "to_plain",
    "value_of",
]
