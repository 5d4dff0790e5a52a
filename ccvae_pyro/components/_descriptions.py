"""A check of labels' descriptions, before parts are made by them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ccvae_pyro.labels import Binary, Categorical, Label
from ccvae_pyro.networks._sizes import check_positive, check_sizes


def check_descriptions(labels: Sequence[Label]) -> None:
    """Makes sure that a model can have these labels.

    :raises ValueError: if not; the message names the label, what was got and what was wanted.

    Example:

        >>> check_descriptions([Categorical("Hair", ("black",))])
        Traceback (most recent call last):
            ...
        ValueError: 'Hair' needs two classes or more, each of another name, got ('black',)
    """
    for label in labels:
        if not isinstance(label, Label):
            raise ValueError(f"wanted a Binary, a Categorical or a Continuous, got {label!r}")
        check_sizes(0, **{f"extra_dims of {label.name!r}": label.extra_dims})
        if isinstance(label, Categorical):
            _check_classes(label)
        elif isinstance(label, Binary):
            if not 0 < label.prevalence < 1:
                raise ValueError(
                    f"the prevalence of {label.name!r} must lie strictly between 0 and 1, as in "
                    f"any label_prior, got {label.prevalence}"
                )
        else:
            check_positive(**{f"the standard deviation of {label.name!r}": label.std})
            if not math.isfinite(label.mean):
                raise ValueError(f"the mean of {label.name!r} must be finite, got {label.mean}")
    names = [label.name for label in labels]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"labels need names of their own, got several {repeated[0]!r}")


def _check_classes(label: Categorical) -> None:
    classes, frequencies = label.classes, label.class_frequencies
    if not len(classes) == len(set(classes)) > 1:
        raise ValueError(
            f"{label.name!r} needs two classes or more, each of another name, got {classes}"
        )
    if frequencies and len(frequencies) != len(classes):
        raise ValueError(
            f"{label.name!r} needs a frequency for each of its {len(classes)} classes, got "
            f"{len(frequencies)}"
        )
    for frequency in frequencies:
        check_positive(**{f"a class frequency of {label.name!r}": frequency})
