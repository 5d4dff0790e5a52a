"""The objective of the CCVAE paper, as a function of two traces."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, cast

import torch
from pyro import poutine
from pyro.infer.util import is_validation_enabled
from pyro.poutine import Trace
from torch import Tensor

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.label_vector import label_divergence
from ccvae_pyro.distributions.labelwise_prior import LabelwisePrior
from ccvae_pyro.objectives._label_marginal import MarginalSamples, find_missing
from ccvae_pyro.objectives.base import (
    GivenLabels,
    Sites,
    TensorELBO,
    check_pathwise,
    keep,
    log_joint,
    log_prob,
    plate_shape,
    run_model,
    scaled,
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
        if num_label_samples < 1:
            raise ValueError(f"num_label_samples must be at least 1, got {num_label_samples}")
        super().__init__(max_plate_nesting=max_plate_nesting, **kwargs)
        self.num_label_samples = num_label_samples
        self.stop_gradient = stop_gradient
        self.share_sample = share_sample
        self.classification_weight = classification_weight
        self.sum_labels = sum_labels
        self._has_warned = False

    def _get_trace(
        self,
        model: Callable[..., Any],
        guide: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[Trace, Trace]:
        y = kwargs.get("y", args[1] if len(args) > 1 else None)
        is_missing, are_all_missing = (None, True) if y is None else find_missing(y)
        labels = MarginalSamples(
            0 if are_all_missing else self.num_label_samples,
            self.max_plate_nesting,
            is_missing,
            stop_gradient=self.stop_gradient,
            share_sample=self.share_sample,
            sum_labels=self.sum_labels,
        )
        guide_trace = poutine.trace(labels(guide)).get_trace(*args, **kwargs)
        check_pathwise(guide_trace)
        guide_trace.nodes["y"]["value"] = labels.sample_missing()
        should_sum = labels.is_missing is not None and labels.can_sum_out
        given = GivenLabels(self.max_plate_nesting, labels.y, should_sum)
        model_trace = run_model(given(model), guide_trace, args, kwargs)
        self._check(model_trace, guide_trace)
        keep(guide_trace, "labels", (labels, given))
        return model_trace, guide_trace

    def _differentiable_loss_particle(
        self, model_trace: Trace, guide_trace: Trace
    ) -> tuple[Any, Tensor]:
        of_guide, of_model = cast(Sites, guide_trace.nodes), cast(Sites, model_trace.nodes)
        labels, given = of_guide["labels"]["value"]
        q_y, p_y = of_guide["y"], of_model["y"]
        shape = plate_shape(q_y)
        priors = [of_model[name] for name in given.dependent]
        are_labelwise = all(isinstance(prior["fn"], LabelwisePrior) for prior in priors)
        can_sum_out = given.should_mark and are_labelwise
        # log p(x, z) - log q(z | x), first without what depends on labels, then with it.
        log_ratio = log_joint(model_trace, shape, "y", *given.dependent)
        log_ratio = log_ratio - log_joint(guide_trace, shape, "y")
        if labels.num_samples or not can_sum_out:
            log_ratio_y = sum((log_prob(prior, shape) for prior in priors), start=log_ratio)
            log_p_y = log_prob(p_y, shape)

        if labels.num_samples:
            elbo = self._labeled(log_ratio_y, log_p_y, labels, q_y)
        if labels.is_missing is not None:
            if can_sum_out:
                unlabeled = _summed(log_ratio, labels, priors, p_y)
            else:
                unlabeled = _sampled(log_ratio_y + log_p_y, labels, q_y)
            both = labels.num_samples > 0
            elbo = torch.where(labels.is_missing, unlabeled, elbo) if both else unlabeled
        loss = -elbo.sum()
        return loss.detach(), loss

    def _labeled(
        self, log_ratio: Tensor, log_p_y: Tensor, labels: MarginalSamples, q_y: Any
    ) -> Tensor:
        """Eq. (4), for each image."""
        log_weight = labels.log_q_y_z - labels.log_q_y_x
        if labels.is_missing is not None:  # for the sake of the gradient of images without labels
            log_weight = log_weight.masked_fill(labels.is_missing, 0.0)
        weighted = log_weight.exp() * (log_ratio - scaled(labels.log_q_y_z, q_y))
        self._warn_if_unlearning(weighted, labels.is_missing)
        log_q_y_x = scaled(labels.log_q_y_x, q_y)
        return torch.add(weighted + log_p_y, log_q_y_x, alpha=1 + self.classification_weight)

    @torch.no_grad()
    def _warn_if_unlearning(self, weighted: Tensor, is_missing: Tensor | None) -> None:
        """Warns once if the hidden classification weight, minus the log-density, is negative."""
        can_read = is_free_to_read(weighted) or is_validation_enabled()
        if self._has_warned or not self.stop_gradient or not can_read:
            return
        if is_missing is not None:
            weighted = weighted[~is_missing.expand_as(weighted)]
        hidden = 1 + self.classification_weight - float(weighted.mean())
        if hidden < 0:
            self._has_warned = True
            warnings.warn(
                "the hidden classification weight of CCVAE_ELBO, minus the log-density of an "
                f"image, is negative ({hidden:.4g}): the encoder unlearns its labels; pass "
                "stop_gradient=False and a classification_weight, such as 30",
                stacklevel=2,
            )


def _summed(log_ratio: Tensor, labels: MarginalSamples, priors: list[Any], p_y: Any) -> Tensor:
    """Eq. (5), for each image: the sum over labels is a divergence and an expectation."""
    elbo = log_ratio - scaled(label_divergence(labels.q_y, p_y["fn"]), p_y)
    for prior in priors:
        expected = prior["fn"].expected_log_prob(labels.q_y, prior["value"])
        elbo = elbo + scaled(expected, prior)
    return elbo


def _sampled(log_joint: Tensor, labels: MarginalSamples, q_y: Any) -> Tensor:
    """Eq. (5) at sampled labels, with the gradient of a score function."""
    elbo = log_joint - scaled(labels.log_q_y, q_y).detach()
    score = labels.log_q_y * elbo.detach()
    return elbo + (score - score.detach())
