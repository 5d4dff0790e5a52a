"""The prior of a label that its observed values give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ccvae_pyro.labels.types import Binary, Continuous, Label


def with_empirical_prior(label: Label, values: np.ndarray) -> Label:
    """A label type with the prior that its known values give.

    Prevalences and class frequencies use Laplace's rule of succession.
    """
    if isinstance(label, Continuous):
        mean, std = (values.mean(), values.std()) if len(values) else (0.0, 1.0)
        label = replace(label, mean=float(mean), std=float(std) or 1.0)
        if len(values) and values.min() < values.max():
            label = replace(label, observed_range=(float(values.min()), float(values.max())))
        return label
    if isinstance(label, Binary):
        return replace(label, prevalence=float((values.sum() + 1) / (len(values) + 2)))
    counts = np.bincount(values.astype(int), minlength=len(label.classes)) + 1.0
    return replace(label, class_frequencies=tuple((counts / counts.sum()).tolist()))
