"""Whether float32, in which labels are kept, tells the values of a continuous label apart."""

from __future__ import annotations

import numpy as np

MAX_ROUNDING_ERROR = 1e-3  # of float32, relative to the standard deviation of a label


def check_precision(values: np.ndarray, what: str) -> None:
    """Checks the values of a continuous label.

    :param values: in double precision, or whole numbers; NaN where missing.
    :param what: what to call them in an error message.
    :raises ValueError: if they differ by too little for float32.

    Example:

        >>> check_precision(1.7e9 + np.arange(5.0), "the values of 'time'")
        Traceback (most recent call last):
            ...
        ValueError: the values of 'time', 1700000000 to 1700000004, are too close together for the
        7 digits of float32: subtract an offset from each, such as 1700000000, or change their unit
    """
    known = values[np.isfinite(values)].astype(np.float64)  # infinities are refused elsewhere
    if len(np.unique(known)) < 2:
        return
    error = np.abs(known.astype(np.float32) - known).max(initial=0.0)
    if error > MAX_ROUNDING_ERROR * known.std():
        raise ValueError(
            f"{what}, {known.min():.16g} to {known.max():.16g}, are too close together for the 7 "
            f"digits of float32: subtract an offset from each, such as {known.min():.16g}, or "
            "change their unit"
        )
