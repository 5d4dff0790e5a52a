"""One run of a guide for the draw that a bound is computed at and those that q(y|x) needs."""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.label_vector import LabelPart, missing_labels, parts_of, row_of
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.objectives.row_messenger import (
    RowMessenger,
    add_rows,
    labels_of,
)


class LabelDraws(RowMessenger):
    r"""Runs a guide once, for one draw of its latents and for the many that q(y|x) needs.

    What is sampled before the site ``"y"`` reaches the rest of the guide with one more dimension,
    on the left, whose rows are the used draw :math:`z`, the further draws :math:`z^{(k)}`, and
    :math:`z` once more with its gradient stopped. A trace outside of this handler sees the used
    draw alone, and so does the model that is replayed against it. What the guide samples after
    ``"y"`` is drawn once, unless it depends on these rows.

    After the run, ``log_q_y_x`` holds the estimate of :math:`\log q_{\varphi,\phi}(y \mid x)`
    of the labels that are known, and None if the label was drawn. Where some are missing (NaN)
    and are to be summed out, ``parts`` holds :math:`q(y_i \mid z)` of the used draw, ``y`` the
    labels, and ``filled`` these with numbers that are missing drawn.

    :param num_draws: the number :math:`K` of draws to average over.
    :param max_plate_nesting: the rows go to the left of this many dimensions.
    :param sum_labels: do not draw an unobserved label, but prepare for summing it out.
    :raises NotFactorizedError: if labels are missing and cannot be dealt with one by one.
    """

    def __init__(
        self,
        num_draws: int,
        max_plate_nesting: int,
        *,
        stop_gradient: bool,
        share_sample: bool,
        sum_labels: bool = True,
    ) -> None:
        super().__init__(max_plate_nesting)
        self.num_draws = num_draws
        self.stop_gradient = stop_gradient
        self.first = 0 if share_sample else 1  # of the rows that the average is over
        self.sum_labels = sum_labels
        self.log_q_y_x: Tensor | None = None
        self.parts: tuple[LabelPart, ...] = ()

    def __exit__(self, *error: Any) -> Any:
        """What the guide computes of a label need not take rows of it: it depends on the label."""
        if self.parts and isinstance(error[1], RuntimeError):
            raise NotFactorizedError("the guide computes something of the label") from error[1]
        return super().__exit__(*error)

    def _pyro_sample(self, msg: Any) -> None:
        """Replaces a site's distribution by what the trace outside is to see of it."""
        if site_is_subsample(msg):
            return
        is_label = msg["name"] == "y"
        depends_on_rows = len(msg["fn"].batch_shape) > self.max_plate_nesting
        if is_label and self._is_missing(msg):
            self._score_known(msg, depends_on_rows)
        elif is_label and msg["is_observed"]:
            log_q_y_z = msg["fn"].log_prob(msg["value"])
            msg["fn"] = self._score(log_q_y_z, msg["value"], depends_on_rows)
        elif depends_on_rows and self.parts:
            raise NotFactorizedError(f"{msg['name']!r} of the guide depends on the label or z_c")
        elif depends_on_rows:
            self._rows = self._stop_last(msg["fn"]())
            msg["value"], msg["done"] = self._rows[0], True
            # Where the label is drawn, the paper's code stops the gradient of z just the same.
            msg["fn"] = _Row(msg["fn"], self._used if is_label else 0)
        elif self._is_before_y and not is_label and not msg["is_observed"]:
            msg["value"], self._rows = self._draw_rows(msg["fn"])
            msg["done"] = True
        self._is_before_y &= not is_label

    def _is_missing(self, msg: Any) -> bool:
        """Whether some labels are to be summed out."""
        if not msg["is_observed"]:
            return self.sum_labels
        # A row without any that is missing comes to the same by either way.
        is_free = is_free_to_read(msg["value"])
        return bool(msg["value"].isnan().any()) if is_free or not self.sum_labels else True

    def _draw_rows(self, fn: TorchDistribution) -> tuple[Tensor, Tensor]:
        """The used draw, and all rows."""
        further = fn(torch.Size((self.first + self.num_draws - 1,)))
        used = fn()  # last, and kept as it is: a flow may know the density of this only
        rows = [used[None], further]
        if self.stop_gradient:
            rows.append(used[None].detach())
        # A site outside of some plates has no dimensions there: the rows go to the left of them.
        missing = [1] * (self.max_plate_nesting - len(fn.batch_shape))
        return used, torch.cat(rows).view(-1, *missing, *fn.shape())

    def _stop_last(self, rows: Tensor) -> Tensor:
        """Makes the last row the first one with its gradient stopped, noise and all."""
        return torch.cat([rows[:-1], rows[:1].detach()]) if self.stop_gradient else rows

    def _score(self, log_q_y_z: Tensor, y: Tensor, depends_on_rows: bool) -> dist.Delta:
        """Scores the label in every row, and keeps of it what the used draw gives it."""
        if not depends_on_rows:
            self.log_q_y_x = log_q_y_z
            return dist.Delta(y, log_density=log_q_y_z, event_dim=1)
        average_over = log_q_y_z[self.first : self.first + self.num_draws]
        self.log_q_y_x = average_over.logsumexp(dim=0) - math.log(self.num_draws)
        return dist.Delta(y, log_density=log_q_y_z[self._used], event_dim=1)

    def _score_known(self, msg: Any, depends_on_rows: bool) -> None:
        """Scores the labels that are known; what would draw the others is kept for their sum."""
        fn = msg["fn"]
        parts = labels_of(fn, "guide")
        used = fn if not depends_on_rows else row_of(fn, self._used)
        self.parts = parts_of(used)
        self.y = msg["value"] if msg["is_observed"] else missing_labels(used)
        self.filled, log_q_y_z = self.y.nan_to_num(), torch.zeros(())
        for part, of_used in zip(parts, self.parts, strict=True):
            y = part.labels(self.y)
            known, filled = ~y.isnan(), y.nan_to_num()
            if isinstance(of_used.distribution, Normal):
                filled = torch.where(known, filled, of_used.distribution.rsample())
                self.filled = part.with_labels(self.filled, filled)
            log_q_y_z = log_q_y_z + (part.distribution.log_prob(filled) * known).sum(-1)
        msg["fn"] = self._score(log_q_y_z, self.filled, depends_on_rows)
        msg["value"], msg["done"] = self.filled, True
        # What comes after may not depend on the label: it would be seen by these rows.
        self._rows = add_rows([self.filled] * 2, self.max_plate_nesting)

    @property
    def _used(self) -> int:
        """The row that the label is scored at in the bound."""
        return -1 if self.stop_gradient else 0


class _Row(TorchDistribution):
    """One row of a distribution whose leftmost batch dimension is rows."""

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, base: TorchDistribution, row: int) -> None:
        self.base, self.row = base, row
        self.has_rsample = base.has_rsample
        super().__init__(base.batch_shape[1:], base.event_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.base.log_prob(value)[self.row]
