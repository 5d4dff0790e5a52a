"""The objective of the CCVAE paper, as a function of two traces."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from pyro import poutine
from pyro.infer.util import is_validation_enabled
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.label_vector import (
    are_independent,
    label_divergence,
    label_groups,
    select,
)
from ccvae_pyro.distributions.labelwise_prior import LabelwisePrior
from ccvae_pyro.labels._plain_values import plain_int
from ccvae_pyro.models._contract import find_missing
from ccvae_pyro.objectives.base import (
    HandOn,
    Program,
    TensorELBO,
    is_marked,
    log_joint,
    log_prob,
    plate_shape,
    run_model,
    scaled,
    site_of,
)


class CCVAE_ELBO(TensorELBO):
    r"""The objective of the CCVAE paper, for images with labels and for images without.

    For a labeled image it is Eq. (4) of Joy et al. (2021), a bound on :math:`\log p(x, y)`,

    .. math::
        \mathcal{L}(x, y) = \mathbb{E}_{q_\phi(z \mid x)} \left[
            w \log \frac{p_\theta(x \mid z) \, p_\psi(z \mid y)}
                        {q_\varphi(y \mid z_c) \, q_\phi(z \mid x)} \right]
        + \log q_{\varphi,\phi}(y \mid x) + \log p(y), \qquad
        w = \frac{q_\varphi(y \mid z_c)}{q_{\varphi,\phi}(y \mid x)} ,

    where the marginal is estimated from :math:`K` samples,

    .. math::
        q_{\varphi,\phi}(y \mid x) \approx
        \frac{1}{K} \sum_{k=1}^{K} q_\varphi(y \mid z_c^{(k)}), \qquad
        z^{(k)} \sim q_\phi(z \mid x) .

    For an unlabeled image it is Eq. (5), a bound on :math:`\log p(x)`. Its labels are summed out,
    label by label and class by class,

    .. math::
        \mathcal{L}(x) = \mathbb{E}_{q_\phi(z \mid x)} \left[
            \log \frac{p_\theta(x \mid z) \, p(z_{\setminus c})}{q_\phi(z \mid x)}
            + \sum_i \sum_{y_i} q_\varphi(y_i \mid z_c^i)
              \log \frac{p(y_i) \, p_\psi(z_c^i \mid y_i)}{q_\varphi(y_i \mid z_c^i)} \right] ,

    where they factorize: where the guide's labels are a label vector that depends on its latents,
    and the model's prior of these is a :class:`~ccvae_pyro.distributions.LabelwisePrior`. Else
    :math:`y` is sampled, and its gradient is a score function's, as in
    :class:`~pyro.infer.Trace_ELBO`.

    A batch may have images of both kinds: a label vector that is missing is NaN throughout. One
    that is missing in part is for :class:`~ccvae_pyro.ExactCCVAE_ELBO`.

    Any model and guide will do that are called with ``x`` and ``y`` and share a site ``"y"``. All
    samples come from one run of the guide, so from one pass of the encoder.

    :param num_label_samples: the number :math:`K` of samples of the marginal.
    :param stop_gradient: whether to detach :math:`z` inside :math:`q_\varphi(y \mid z_c)`, though
        not inside :math:`q_{\varphi,\phi}(y \mid x)`, as the authors' code does. The value is the
        same. The gradient is not that of the bound: it adds, hidden, a classification loss whose
        coefficient is the image's negative log-likelihood. It is why their encoder learns to
        classify, and where it turns negative, the labels are unlearned: there is a warning.
    :param share_sample: whether the sample that the bound is evaluated at is one of the :math:`K`,
        which keeps :math:`w` below :math:`K`, or one more.
    :param classification_weight: :math:`\alpha`, the coefficient of a further
        :math:`\log q_{\varphi,\phi}(y \mid x)`, an open classification loss.
    :param sum_labels: whether to sum labels out where they factorize, or to sample them always.
    :param max_plate_nesting: the number of plates that the model nests; samples take the next
        dimension to the left.
    :param kwargs: passed to :class:`~pyro.infer.Trace_ELBO`, for example ``num_particles``.
    :raises ValueError: if ``num_label_samples`` is not positive; at a step, if a label vector is
        missing in part, or a latent of the guide has no ``rsample``.
    """

    def __init__(
        self,
        num_label_samples: int = 100,
        *,
        stop_gradient: bool = True,
        share_sample: bool = False,
        classification_weight: float = 0.0,
        sum_labels: bool = True,
        max_plate_nesting: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(max_plate_nesting=max_plate_nesting, **kwargs)  # type: ignore[no-untyped-call]
        self.num_label_samples = plain_int(num_label_samples, "num_label_samples", minimum=1)
        self.stop_gradient = stop_gradient
        self.share_sample = share_sample
        self.classification_weight = classification_weight
        self.sum_labels = sum_labels
        self._has_warned = False

    def _get_trace(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Any:
        y = kwargs.get("y", args[1] if len(args) > 1 else None)
        is_missing = find_missing(y, are_all_labeled=self.are_all_labeled)
        labels = MarginalSamples(self, is_missing)
        with poutine.trace() as traced, labels:
            guide(*args, **kwargs)
        site_of(traced.trace, "y", "guide")
        model_trace, dependents = run_model(self, model, traced.trace, labels.y, args, kwargs)
        return model_trace, traced.trace, labels, dependents

    def _loss(
        self, model_trace: Any, guide_trace: Any, labels: MarginalSamples, dependents: list[str]
    ) -> Tensor:
        q_y, p_y = guide_trace.nodes["y"], model_trace.nodes["y"]
        priors, shape = [model_trace.nodes[name] for name in dependents], plate_shape(q_y)
        # log p(x, z) - log q(z | x), without what depends on labels.
        log_ratio = log_joint(model_trace, shape, "y", *dependents)
        log_ratio = log_ratio - log_joint(guide_trace, shape, "y")
        if labels.is_missing is not True:
            elbo = labeled = self._labeled(log_ratio, priors, p_y, q_y, labels)
        if labels.is_missing is not False:
            elbo = self._unlabeled(log_ratio, priors, p_y, q_y, labels)
        if isinstance(labels.is_missing, Tensor):
            elbo = torch.where(labels.is_missing, elbo, labeled)
        return -elbo.sum()

    def _labeled(
        self, log_ratio: Tensor, priors: list[Any], p_y: Any, q_y: Any, labels: MarginalSamples
    ) -> Tensor:
        """Eq. (4), for each image."""
        shape = log_ratio.shape
        log_ratio = sum((log_prob(prior, shape) for prior in priors), start=log_ratio)
        _, log_q_y_z, log_q_y_x = labels.log_q_y(shape)
        log_weight = log_q_y_z - log_q_y_x
        if isinstance(labels.is_missing, Tensor):  # for the gradient of images without labels
            log_weight = log_weight.masked_fill(labels.is_missing, 0.0)
        weighted = log_weight.exp() * (log_ratio - scaled(log_q_y_z, q_y))
        self._warn_if_unlearning(weighted)
        elbo = weighted + log_prob(p_y, shape)
        log_q_y_x = scaled(log_q_y_x, q_y)
        return elbo + log_q_y_x + self.classification_weight * log_q_y_x

    def _unlabeled(
        self, log_ratio: Tensor, priors: list[Any], p_y: Any, q_y: Any, labels: MarginalSamples
    ) -> Tensor:
        """Eq. (5), for each image: summed over labels where they factorize, else at a sample."""
        shape, of_labels = log_ratio.shape, labels.q_y
        are_labelwise = all(isinstance(prior["fn"], LabelwisePrior) for prior in priors)
        if self.sum_labels and of_labels and are_labelwise and not labels.has_dependents:
            elbo = log_ratio - scaled(label_divergence(of_labels, p_y["fn"]), p_y)
            for prior in priors:
                log_p = prior["fn"].expected_log_prob(of_labels, prior["value"])
                elbo = elbo + scaled(log_p, prior)
            return elbo
        log_p = sum((log_prob(site, shape) for site in [*priors, p_y]), start=log_ratio)
        log_q_y, _, _ = labels.log_q_y(shape)
        elbo = log_p - scaled(log_q_y, q_y).detach()
        score = log_q_y * elbo.detach()
        return elbo + (score - score.detach())

    @torch.no_grad()
    def _warn_if_unlearning(self, weighted: Tensor) -> None:
        """Warns once if the hidden classification weight, minus the log-density, is negative."""
        can_read = is_free_to_read(weighted) or is_validation_enabled()
        if self._has_warned or not self.stop_gradient or not can_read:
            return
        hidden = 1 + self.classification_weight - float(weighted.mean())
        if hidden < 0:
            self._has_warned = True
            warnings.warn(
                "the hidden classification weight of CCVAE_ELBO, minus the log-density of an "
                f"image, is negative ({hidden:.4g}): the encoder unlearns its labels; pass "
                "stop_gradient=False and a classification_weight, such as 30",
                stacklevel=2,
            )


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
    #: :math:`q(y \mid z)`; None if it is no label vector that depends on latents.
    q_y: Any = None

    is_past_labels = has_dependents = False

    def __init__(self, elbo: CCVAE_ELBO, is_missing: Tensor | bool) -> None:
        super().__init__(elbo.max_plate_nesting)
        self.is_missing, self.elbo = is_missing, elbo
        self.num_samples = 0 if is_missing is True else elbo.num_label_samples
        self.first = 0 if elbo.share_sample else 1  # of the entries that the marginal averages
        self.at_z = -1 if elbo.stop_gradient else 0  # where q(y | z) is computed

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
            self._hand_on(msg, z, z[None], further)

    def _hand_on(self, msg: Any, z: Tensor, *samples: Tensor) -> None:
        msg["value"], msg["done"] = z, True
        stopped = [z[None].detach()] * self.elbo.stop_gradient
        self._handed = self.on_the_left(torch.cat([*samples, *stopped]), msg["fn"])

    def _read_labels(self, msg: Any, fn: Any) -> None:
        self.fn, self.is_past_labels = fn, True
        if self.is_missing is False:
            self.y = msg["value"]
            return
        is_vector = bool(label_groups(fn)) and are_independent(fn)
        if is_marked(fn, self.max_plate_nesting) and is_vector:
            self.q_y = select(fn, self.at_z)
            while len(self.q_y.batch_shape) > len(plate_shape(msg)):
                self.q_y = select(self.q_y, 0)
        self.y = _first((self.q_y or fn).sample(), msg)
        if self.is_missing is not True:
            self.y = torch.where(self.is_missing[..., None], self.y, msg["value"])
        msg["value"], msg["done"] = self.y, True
        if self.elbo.sum_labels and self.q_y is not None:
            # Marked by two dimensions, one more than what depends on samples of a latent has.
            self._handed = self.on_the_left(self.y[None], fn)[None]


def _first(values: Tensor, site: Any) -> Tensor:
    """The first of the samples of a site."""
    while values.dim() > len(plate_shape(site)) + len(site["fn"].event_shape):
        values = values[0]
    return values
