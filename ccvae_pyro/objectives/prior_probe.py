"""What a model makes of each value of a label, read off one run of the model."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution, constraints
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import Distribution, Normal

from ccvae_pyro.distributions.label_vector import LabelPart, is_row_of
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.objectives.prior_rows import of_values, prior_of_part, values_to_try, with_mixtures
from ccvae_pyro.objectives.row_messenger import (
    RowMessenger,
    add_rows,
    labels_of,
    num_characteristics,
)


class PriorProbe(RowMessenger):
    r"""Reads :math:`p(y_i)` and :math:`p(z_c^i \mid y_i)` off a model, for the values of labels.

    The site ``"y"`` reaches the rest of the model as a row for each class of the label that has
    the most, or three for a number: where a label has fewer, the last ones are its last class once
    more. In a trace, it and what depends on it count for nothing: they are the caller's to score.
    Where Pyro validates, further rows mix the values of different labels, to find out whether the
    characteristics of one label depend on others.

    After the run ``parts`` are the label prior's, by their kind, ``values`` the rows, and
    ``priors`` has, by the name of a site, the distribution of characteristics in each row, along a
    new dimension on the left.

    :param max_plate_nesting: the rows go to the left of this many dimensions.
    :param y: as :func:`~ccvae_pyro.objectives.prior_rows.values_to_try` takes it.
    :raises NotFactorizedError: if ``"y"`` is no row of labels, or something of another form
        depends on it, or the characteristics of a label depend on others.
    """

    def __init__(self, max_plate_nesting: int, y: Tensor | None = None) -> None:
        super().__init__(max_plate_nesting)
        self._y = y

    def __enter__(self) -> PriorProbe:
        self.priors: dict[str, TorchDistribution] = {}
        return super().__enter__()

    def _pyro_sample(self, msg: Any) -> None:
        if site_is_subsample(msg):
            return
        fn = msg["fn"]
        if msg["name"] == "y":
            self.parts = labels_of(fn, "model")
            msg["fn"] = fn.mask(False)
            self.values = values_to_try(fn, self._y)
            self._rows = add_rows(list(with_mixtures(self.values)), self.max_plate_nesting)
            self._sizes = torch.Size([num_characteristics(self.parts, fn)])
        elif len(fn.batch_shape) > self.max_plate_nesting:
            is_row = is_row_of(fn, Distribution) and fn.event_shape == self._sizes
            if not is_row or msg["is_observed"]:
                raise NotFactorizedError(f"{msg['name']!r} of the model depends on all labels")
            if (prior := of_values(fn.base_dist, self.values, self.parts)) is None:
                raise NotFactorizedError(
                    f"in {msg['name']!r} of the model, characteristics of a label depend on others"
                )
            self.priors[msg["name"]] = prior
            real = constraints.independent(constraints.real, 1)
            msg["fn"] = dist.ImproperUniform(real, fn.batch_shape[1:], fn.event_shape)

    def prior_of(self, name: str, part: LabelPart) -> Any:
        """The prior of some labels' characteristics, shape ``(num_classes, ..., num, dim)``."""
        fn = self.priors[name]
        if isinstance(fn, Normal):
            return prior_of_part(fn, part)
        if part.latents is not None:
            raise NotFactorizedError(f"{name!r} of the model is {fn}, not a row of Normals")
        return fn
