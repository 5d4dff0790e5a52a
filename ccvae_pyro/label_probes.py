"""What a guide and a model make of a label, at both of its values, read off one run of each."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution, constraints
from pyro.distributions.util import scale_and_mask
from pyro.infer.util import is_validation_enabled
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, Normal


class NotFactorizedError(ValueError):
    """A model or a guide in which labels cannot be dealt with one by one."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}: CCVAE_ELBO takes any model and guide")


class RowMessenger(Messenger):
    """Hands a function rows of values where a trace outside records one.

    :param max_plate_nesting: the rows go to the left of this many dimensions.
    """

    def __init__(self, max_plate_nesting: int) -> None:
        super().__init__()
        self.max_plate_nesting = max_plate_nesting

    def __enter__(self) -> Any:
        self._rows: Tensor | None = None
        self._is_before_y = True
        return super().__enter__()

    def _pyro_post_sample(self, msg: Any) -> None:
        """Hands out all rows, after the trace has recorded one value."""
        if self._rows is not None:
            msg["value"], self._rows = self._rows, None


class ClassifierProbe(RowMessenger):
    r"""Reads :math:`\operatorname{logit} q(y_i = 1 \mid z) = a_i z_c^i + b_i` off a guide.

    What is sampled before the site ``"y"`` reaches the rest of the guide as three rows: zeros,
    ones, and numbers that show whether the logits are a line in ``z_c`` alone. A missing label is
    NaN in the trace.

    After the run ``name`` is the site of ``z_c``, and ``slope`` and ``offset`` are :math:`a` and
    :math:`b`, of the shape of ``y``.

    :param max_plate_nesting: the rows go to the left of this many dimensions.
    :raises NotFactorizedError: if ``"y"`` is not a row of Bernoullis, or not one Normal of its
        size comes before it, or its logits are not such lines, or something depends on it.
    """

    def __enter__(self) -> ClassifierProbe:
        self._distributions: dict[str, TorchDistribution] = {}
        self._probes: dict[str, Tensor] = {}
        return super().__enter__()

    def _pyro_sample(self, msg: Any) -> None:
        if site_is_subsample(msg):
            return
        fn = msg["fn"]
        if msg["name"] == "y":
            self._read_line(fn)
            y = msg["value"] if msg["is_observed"] else torch.full_like(self.offset, torch.nan)
            msg["fn"], msg["value"], msg["done"] = dist.Delta(y, event_dim=1), y, True
            self._rows, self._is_before_y = add_rows([y] * 3, self.max_plate_nesting), False
        elif len(fn.batch_shape) > self.max_plate_nesting:
            raise NotFactorizedError(f"{msg['name']!r} of the guide depends on z_c or on a label")
        elif self._is_before_y and not msg["is_observed"]:
            msg["value"], msg["done"] = fn(), True
            self._distributions[msg["name"]] = fn
            self._rows = self._probes[msg["name"]] = self._probe(fn)

    def _probe(self, fn: TorchDistribution) -> Tensor:
        value = fn.sample()
        pattern = torch.linspace(-2, 3, fn.event_shape.numel()).to(value).view(fn.event_shape)
        rows = [torch.zeros_like(value), torch.ones_like(value), pattern.expand_as(value)]
        return add_rows(rows, self.max_plate_nesting)

    def _read_line(self, fn: TorchDistribution) -> None:
        if not is_row_of(fn, Bernoulli):
            raise NotFactorizedError(f"'y' of the guide is {fn}, and not one Bernoulli a label")
        self.name = self._find_characteristics(fn.event_shape)
        logits = fn.base_dist.logits
        if len(fn.batch_shape) <= self.max_plate_nesting:  # it does not depend on any latent
            self.slope, self.offset = torch.zeros_like(logits), logits
            return
        self.offset, self.slope = logits[0], logits[1] - logits[0]
        line = self.offset + self.slope * self._probes[self.name][2]
        if is_validation_enabled() and not torch.allclose(logits[2], line, rtol=1e-3, atol=1e-3):
            raise NotFactorizedError("a label's logit in the guide is no line in its own z_c")

    def _find_characteristics(self, shape: torch.Size) -> str:
        names = [name for name, rows in self._probes.items() if rows.shape[-1:] == shape]
        if len(names) != 1:
            raise NotFactorizedError(
                f"of the guide, one latent of the size of 'y', {tuple(shape)}, has to come before "
                f"it, got {' and '.join(names) or 'none'}"
            )
        fn = self._distributions[names[0]]
        if not is_row_of(fn, Normal):
            raise NotFactorizedError(f"{names[0]!r} of the guide is {fn}, not a row of Normals")
        return names[0]


class BothLabels(RowMessenger):
    r"""Reads :math:`p(y_i)` and :math:`p(z_c^i \mid y_i)` off a model, for both values of a label.

    The site ``"y"`` reaches the rest of the model as two rows, zeros and ones. In a trace, it and
    what depends on it count for nothing: they are the caller's to score.

    After the run ``label_prior`` is the distribution of one label, and ``priors`` has, by the name
    of a site, that of one characteristic under either value, along a new dimension on the left.

    :param max_plate_nesting: the rows go to the left of this many dimensions.
    :raises NotFactorizedError: if ``"y"`` is not a row of Bernoullis, or something of another
        form depends on it.
    """

    def __enter__(self) -> BothLabels:
        self.priors: dict[str, TorchDistribution] = {}
        return super().__enter__()

    def _pyro_sample(self, msg: Any) -> None:
        if site_is_subsample(msg):
            return
        fn = msg["fn"]
        if msg["name"] == "y":
            if not is_row_of(fn, Bernoulli):
                raise NotFactorizedError(f"'y' of the model is {fn}, not one Bernoulli a label")
            self.label_prior = fn.base_dist
            msg["fn"] = fn.mask(False)
            zeros = torch.zeros_like(self.label_prior.probs)
            self._rows = add_rows([zeros, torch.ones_like(zeros)], self.max_plate_nesting)
        elif len(fn.batch_shape) > self.max_plate_nesting:
            is_row = is_row_of(fn, Distribution) and fn.event_shape == self._num_labels
            if not is_row or msg["is_observed"]:
                raise NotFactorizedError(f"{msg['name']!r} of the model depends on all labels")
            self.priors[msg["name"]] = fn.base_dist
            real = constraints.independent(constraints.real, 1)
            msg["fn"] = dist.ImproperUniform(real, fn.batch_shape[1:], fn.event_shape)

    @property
    def _num_labels(self) -> torch.Size:
        return self.label_prior.batch_shape[-1:]


def add_rows(rows: list[Tensor], max_plate_nesting: int) -> Tensor:
    """Stacks tensors whose last dimension is an event's, to the left of all plates."""
    stacked = torch.stack(rows)
    missing = [1] * (max_plate_nesting + 2 - stacked.dim())
    return stacked.view(len(rows), *missing, *stacked.shape[1:])


def scaled(term: Tensor, site: Any) -> Tensor:
    """A term of a bound, scaled and masked as the site that it is about."""
    return scale_and_mask(term, site["scale"], site["mask"])


def is_row_of(fn: Any, kind: type) -> bool:
    """Whether a distribution is a row of independent ones of this kind."""
    if not isinstance(fn, Independent) or fn.reinterpreted_batch_ndims != 1:
        return False
    base: Any = fn.base_dist
    return isinstance(base, kind) and base.event_shape == torch.Size()  # type: ignore[attr-defined]
