"""Labels: their kinds, their values, and distributions of rows of them."""

from ccvae_pyro.labels.kinds import (
    Binary,
    Categorical,
    Continuous,
    Label,
    are_plain,
    binaries,
    block_of,
    from_plain,
    to_plain,
)
from ccvae_pyro.labels.values import check_labels, index_of, num_outcomes, outcome_names, value_of

__all__ = [
    "Binary",
    "Categorical",
    "Continuous",
    "Label",
    "are_plain",
    "binaries",
    "block_of",
    "check_labels",
    "from_plain",
    "index_of",
    "num_outcomes",
    "outcome_names",
    "to_plain",
    "value_of",
]
