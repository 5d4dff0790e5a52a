"""One run of a guide for the sample of the ELBO and the K samples of the label marginal."""

from __future__ import annotations

import math
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.label_vector import label_groups, missing_labels, select
from ccvae_pyro.objectives.base import HandOn, plate_shape


class MarginalSamples(HandOn):
    r"""Runs a guide once, for a sample :math:`z` of its latents and K more for the marginal.

    The latents before the site ``"y"`` reach the rest of the guide with a sample dimension on the
    left. Its entries are :math:`z`, the samples :math:`z^{(1)}, \dots, z^{(K)}` of the marginal
    :math:`q(y \mid x)`, and :math:`z` once more with its gradient stopped. A trace outside of
    this handler records :math:`z` alone. Labels that are missing are sampled at :math:`z`.

    :param num_samples: K; 0, if all labels are missing, and there is no marginal to estimate.
    :param max_plate_nesting: the sample dimension is to the left of this many dimensions.
    :param is_missing: which label vectors are missing, shape ``(batch,)``, or None if none is.
    :param stop_gradient: whether :math:`q(y \mid z)` is computed at a :math:`z` without gradient.
    :param share_sample: whether :math:`z` is one of the K samples, too.
    """

    #: The labels, with samples in place of those that are missing, shape ``(batch, num_labels)``.
    y: Tensor
    #: :math:`q(y \mid z)`, with the gradient of :math:`z` stopped if it is to be.
    q_y: Any
    #: :math:`\log q(y \mid z)`, and the estimate of :math:`\log q(y \mid x)`.
    log_q_y_z: Tensor
    log_q_y_x: Tensor

    def __init__(
        self,
        num_samples: int,
        max_plate_nesting: int,
        is_missing: Tensor | None = None,
        *,
        stop_gradient: bool,
        share_sample: bool,
        sum_labels: bool,
    ) -> None:
        super().__init__(max_plate_nesting)
        self.num_samples, self.is_missing, self.sum_labels = num_samples, is_missing, sum_labels
        self.stop_gradient = stop_gradient
        self.first = 0 if share_sample else 1  # of the entries that the marginal averages
        self.has_latents = self.is_past_labels = False

    @property
    def can_sum_out(self) -> bool:
        """Whether the guide's labels are a label vector, and depend on latents of the guide."""
        return self.sum_labels and self.has_latents and bool(label_groups(self.q_y))

    @property
    def log_q_y(self) -> Tensor:
        r""":math:`\log q(y \mid z)`, with the gradient of :math:`z`."""
        log_q_y: Tensor = self.fn.log_prob(self.y)
        return log_q_y[0] if self.is_marked(self.fn) else log_q_y

    def _pyro_sample(self, msg: Any) -> None:
        if site_is_subsample(msg):
            return
        fn = msg["fn"]
        if msg["name"] == "y":
            self._score_labels(msg, fn)
            self.is_past_labels = True
        elif len(fn.batch_shape) > self.max_plate_nesting + 1:
            raise ValueError(
                f"missing labels cannot be summed out, as {msg['name']!r} of the guide depends on "
                "'y': wanted sum_labels=False"
            )
        elif self.is_marked(fn):
            values = fn()
            self._hand_on(msg, values[0], values[:-1] if self.stop_gradient else values)
            msg["fn"] = _FirstSample(fn)
        elif not self.is_past_labels and not msg["is_observed"]:
            self.has_latents = True
            if self.num_samples or self.stop_gradient:
                num_further = max(self.first + self.num_samples - 1, 0)
                further = fn(torch.Size((num_further,)))
                z = fn()  # last, and recorded as it is: a flow may know the density of it alone
                self._hand_on(msg, z, torch.cat([z[None], further]))

    def _hand_on(self, msg: Any, z: Tensor, samples: Tensor) -> None:
        msg["value"], msg["done"] = z, True
        if self.stop_gradient:
            samples = torch.cat([samples, z[None].detach()])
        self._handed = self.on_the_left(samples, msg["fn"])

    def _score_labels(self, msg: Any, fn: TorchDistribution) -> None:
        has_samples, at_z = self.is_marked(fn), -1 if self.stop_gradient else 0
        self.fn, self.q_y = fn, fn
        if has_samples and label_groups(fn):
            self.q_y = select(fn, at_z)
            # Without the dimensions of size 1 between the samples and the plates that are in use.
            while len(self.q_y.batch_shape) > len(plate_shape(msg)):
                self.q_y = select(self.q_y, 0)
        self.y = self._complete(msg["value"] if msg["is_observed"] else None)
        msg["value"], msg["done"] = self.y, True
        if self.is_missing is not None and self.can_sum_out:
            # Marked by two dimensions, one more than what depends on samples of a latent has.
            self._handed = self.on_the_left(self.y[None], self.q_y)[None]
        if has_samples:  # what the trace records is at z
            msg["fn"] = self.q_y if label_groups(fn) else _FirstSample(fn)
        if not self.num_samples:
            return
        log_q_y_z = fn.log_prob(self.y)
        self.log_q_y_x = self.log_q_y_z = log_q_y_z
        if has_samples:
            self.log_q_y_z = log_q_y_z[at_z]
            of_marginal = log_q_y_z[self.first : self.first + self.num_samples]
            self.log_q_y_x = of_marginal.logsumexp(dim=0) - math.log(self.num_samples)

    def _complete(self, y: Tensor | None) -> Tensor:
        """The labels, with samples from the guide in place of those that are missing."""
        if y is not None and self.is_missing is None:
            return y
        # If they are summed out, nothing in the guide depends on them: sampled at its end.
        sampled = missing_labels(self.q_y).nan_to_num() if self.can_sum_out else self._sample()
        if y is None or self.is_missing is None:
            self.is_missing = sampled.new_ones(sampled.shape[:-1], dtype=torch.bool)
            return sampled
        return torch.where(self.is_missing[..., None], sampled, y)

    def _sample(self) -> Tensor:
        sampled: Tensor = self.q_y.sample()
        # If q_y is no label vector, there is a sample for each sample of z.
        return sampled[0] if self.is_marked(self.q_y) else sampled

    def sample_missing(self) -> Tensor:
        """Samples missing labels that were not sampled in the guide, and returns all labels."""
        if self.is_missing is not None and self.can_sum_out:
            self.y = torch.where(self.is_missing[..., None], self._sample(), self.y)
        return self.y


def find_missing(y: Tensor) -> tuple[Tensor | None, bool]:
    """Which label vectors are missing, None if none is, and whether all of them are.

    Both as far as can be told without waiting for an accelerator.

    :raises ValueError: if one is missing in part.
    """
    y = y[:, None] if y.ndim == 1 else y  # of a single label
    if not is_free_to_read(y):  # one that is missing in part makes the loss NaN
        return y.isnan().all(-1), False
    is_nan = y.isnan() if math.isnan(float(y.sum())) else None
    if is_nan is None or not is_nan.any():
        return None, False
    is_missing = is_nan.all(-1)
    if not torch.equal(is_missing, is_nan.any(-1)):
        raise ValueError(
            "single labels of an image are missing: wanted all of an image's labels, or none of "
            "them (all NaN); ExactCCVAE_ELBO takes single missing labels"
        )
    return is_missing, bool(is_missing.all())


class _FirstSample(TorchDistribution):
    """The first entry of a distribution whose leftmost batch dimension is one of samples."""

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, base: TorchDistribution) -> None:
        self.base, self.has_rsample = base, base.has_rsample
        super().__init__(base.batch_shape[1:], base.event_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        log_prob: Tensor = self.base.log_prob(value)[0]
        return log_prob
