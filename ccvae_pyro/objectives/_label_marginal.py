"""One run of a guide for the sample of the ELBO and the K samples of the label marginal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.label_vector import are_independent, label_groups, select
from ccvae_pyro.models._contract import check_tensor
from ccvae_pyro.objectives.base import HandOn, is_marked, plate_shape

if TYPE_CHECKING:
    from ccvae_pyro.objectives.ccvae_elbo import CCVAE_ELBO


class MarginalSamples(HandOn):
    r"""Runs a guide once, for a sample :math:`z` of its latents and K more for the marginal.

    The latents before the site ``"y"`` reach the rest of the guide with a sample dimension on the
    left. Its entries are :math:`z`, the samples :math:`z^{(1)}, \dots, z^{(K)}` of the marginal
    :math:`q(y \mid x)`, and :math:`z` once more with its gradient stopped. A trace outside of
    this handler records :math:`z` alone. Labels that are missing are sampled at :math:`z`.

    :param elbo: the objective, which has K and the other options.
    :param is_missing: which label vectors are missing, shape ``(batch,)``, or whether all are. If
        all are, there is no marginal to estimate.
    """

    #: The labels, with samples in place of those that are missing, shape ``(batch, num_labels)``.
    y: Tensor
    #: :math:`q(y \mid z)` at all entries.
    fn: Any

    is_past_labels = has_dependents = False

    def __init__(self, elbo: CCVAE_ELBO, is_missing: Tensor | bool) -> None:
        super().__init__(elbo.max_plate_nesting)
        self.is_missing, self.stop_gradient = is_missing, elbo.stop_gradient
        self.can_sum_out = elbo.sum_labels  # unless a latent depends on the labels
        self.num_samples = 0 if is_missing is True else elbo.num_label_samples
        self.first = 0 if elbo.share_sample else 1  # of the entries that the marginal averages
        self.at_z = -1 if elbo.stop_gradient else 0  # where q(y | z) is computed

    @property
    def q_y(self) -> Any:
        r""":math:`q(y \mid z)`; None if it is no vector of independent labels that depends on
        latents."""
        if not (is_marked(self.fn, self.max_plate_nesting) and label_groups(self.fn)):
            return None
        if not are_independent(self.fn):
            return None
        q_y = select(self.fn, self.at_z)
        while len(q_y.batch_shape) > self.num_plates:
            q_y = select(q_y, 0)
        return q_y

    def log_q_y(self, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
        r""":math:`\log q(y \mid z)`, with the gradient of :math:`z` and with it stopped if it is
        to be, and the estimate of :math:`\log q(y \mid x)`, if there is one.

        :param shape: that of each.
        """
        log_q: Tensor = self.fn.log_prob(self.y)
        if not is_marked(self.fn, self.max_plate_nesting):
            return log_q, log_q, log_q
        log_q = log_q.view(-1, *shape)
        of_marginal = log_q[self.first : self.first + self.num_samples]
        log_q_y_x = of_marginal.logsumexp(0) - math.log(max(self.num_samples, 1))
        return log_q[0], log_q[self.at_z], log_q_y_x

    def _pyro_sample(self, msg: Any) -> None:
        fn = msg["fn"]
        if msg["name"] == "y":
            self._read_labels(msg, fn)
        elif site_is_subsample(msg) or msg["is_observed"]:
            return
        elif is_marked(fn, self.max_plate_nesting + 1):
            self.has_dependents, self._handed = True, fn()
            msg["value"], msg["done"] = _first(self._handed, msg), True
        elif is_marked(fn, self.max_plate_nesting):
            values = fn()
            self._hand_on(msg, _first(values, msg), values[: self.at_z or None])
        elif not self.is_past_labels:
            further = fn(torch.Size((max(self.first + self.num_samples - 1, 0),)))
            z = fn()  # last, and recorded as it is: a flow may know the density of it alone
            self._hand_on(msg, z, torch.cat([z[None], further]))

    def _hand_on(self, msg: Any, z: Tensor, samples: Tensor) -> None:
        msg["value"], msg["done"] = z, True
        if self.stop_gradient:
            samples = torch.cat([samples, z[None].detach()])
        self._handed = self.on_the_left(samples, msg["fn"])

    def _read_labels(self, msg: Any, fn: Any) -> None:
        self.fn, self.is_past_labels, self.num_plates = fn, True, len(plate_shape(msg))
        if self.is_missing is False:
            self.y = msg["value"]
            return
        self.y = _first((self.q_y or fn).sample(), msg)
        if self.is_missing is not True:
            self.y = torch.where(self.is_missing[..., None], self.y, msg["value"])
        msg["value"], msg["done"] = self.y, True
        if self.can_sum_out and self.q_y is not None:
            # Marked by two dimensions, one more than what depends on samples of a latent has.
            self._handed = self.on_the_left(self.y[None], fn)[None]


def find_missing(y: Tensor | None) -> Tensor | bool:
    """Which label vectors are missing, or whether all are, or none is.

    On an accelerator no value is waited for.

    :raises ValueError: if one is missing in part.
    :raises BatchError: if they are no tensor of real numbers.
    """
    if y is None:
        return True
    check_tensor(y, "labels")
    y = y[:, None] if y.ndim == 1 else y  # of a single label
    if is_free_to_read(y) and not math.isnan(float(y.sum())):
        return False
    is_missing = y.isnan().all(-1)
    if not is_free_to_read(y):  # one that is missing in part makes the loss NaN
        return is_missing
    if not torch.equal(is_missing, y.isnan().any(-1)):
        raise ValueError(
            "single labels of an image are missing: wanted all of an image's labels, or none of "
            "them (all NaN); ExactCCVAE_ELBO takes single missing labels"
        )
    return True if is_missing.all() else is_missing


def _first(values: Tensor, site: Any) -> Tensor:
    """The first of the samples of a site."""
    while values.dim() > len(plate_shape(site)) + len(site["fn"].event_shape):
        values = values[0]
    return values
