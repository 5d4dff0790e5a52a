"""The objective of the CCVAE paper, as a function of two traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyro.poutine import Trace
from torch import Tensor

from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.objectives._label_sums import label_terms
from ccvae_pyro.objectives._sampling import LabelDraws
from ccvae_pyro.objectives.base import TensorELBO
from ccvae_pyro.objectives.prior_probe import PriorProbe
from ccvae_pyro.objectives.traces import check_pathwise, log_joint, scaled


class CCVAE_ELBO(TensorELBO):
    r"""The CCVAE bound: on :math:`\log p(x, y)` with labels, on :math:`\log p(x)` without.

    For a labeled batch this is Eq. (4) of Joy et al. (2021),

    .. math::
        \mathcal{L}(x, y) = \mathbb{E}_{q_\phi(z \mid x)} \left[
            w \log \frac{p_\theta(x \mid z) \, p_\psi(z \mid y)}
                        {q_\varphi(y \mid z_c) \, q_\phi(z \mid x)} \right]
        + \log q_{\varphi,\phi}(y \mid x) + \log p(y), \qquad
        w = \frac{q_\varphi(y \mid z_c)}{q_{\varphi,\phi}(y \mid x)} ,

    where the marginal is estimated from :math:`K` draws,

    .. math::
        q_{\varphi,\phi}(y \mid x) \approx
        \frac{1}{K} \sum_{k=1}^{K} q_\varphi(y \mid z_c^{(k)}), \qquad
        z^{(k)} \sim q_\phi(z \mid x) .

    For an unlabeled batch it is Eq. (5), whose sum over :math:`y` is taken label by label, class
    by class (a label that is a number is drawn, with its gradient),

    .. math::
        \mathcal{L}(x) = \mathbb{E}_{q_\phi(z \mid x)} \left[
            \log \frac{p_\theta(x \mid z) \, p(z_{\setminus c})}{q_\phi(z \mid x)}
            + \sum_i \sum_{y_i} q_\varphi(y_i \mid z_c^i)
              \log \frac{p(y_i) \, p_\psi(z_c^i \mid y_i)}{q_\varphi(y_i \mid z_c^i)} \right]

    and a row with some labels missing (NaN) is dealt with by the one or the other, label by label.
    Where labels do not factorize, :math:`y` is drawn and its gradient is a score function's, as in
    :class:`~pyro.infer.Trace_ELBO`.

    Any model and guide will do, as long as both have a sample site named ``"y"``. All draws come
    out of one run of the guide: see :class:`~ccvae_pyro.objectives._sampling.LabelDraws`.

    :param num_label_samples: the number :math:`K` of draws.
    :param stop_gradient: detach :math:`z` inside :math:`q_\varphi(y \mid z_c)`, though not inside
        :math:`q_{\varphi,\phi}(y \mid x)`, as the authors' code does. The value is the same. The
        gradient is not that of the bound: it adds, hidden, a classification loss whose coefficient
        is the image's negative log-likelihood, and it is why their encoder learns to classify.
    :param share_sample: let the draw that the bound is computed at be one of the :math:`K`,
        which keeps :math:`w` below :math:`K`, instead of one more than these.
    :param classification_weight: :math:`\alpha`, the coefficient of a further
        :math:`\log q_{\varphi,\phi}(y \mid x)`, which asks for a classifier in the open.
    :param sum_labels: sum missing labels out wherever they factorize, or else draw them all.
    :param max_plate_nesting: how many plates the model nests; the draws take the next dimension.
    :param kwargs: passed to :class:`~pyro.infer.Trace_ELBO`, for example ``num_particles``.
    :raises ValueError: if ``num_label_samples`` is not positive, or, at a step, if some labels are
        missing that cannot be summed out, or labels are known and a latent has no ``rsample``.
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
        **kwargs,
    ) -> None:
        if num_label_samples < 1:
            raise ValueError(f"num_label_samples must be at least 1, got {num_label_samples}")
        super().__init__(max_plate_nesting=max_plate_nesting, **kwargs)
        self.num_label_samples = num_label_samples
        self.stop_gradient = stop_gradient
        self.share_sample = share_sample
        self.classification_weight = classification_weight
        self.sum_labels = sum_labels

    def _get_trace(
        self, model: Callable, guide: Callable, args: tuple, kwargs: dict
    ) -> tuple[Trace, Trace]:
        if not self.sum_labels:
            return self._get_scored_trace(model, guide, args, kwargs, sum_labels=False)
        try:
            return self._get_scored_trace(model, guide, args, kwargs, sum_labels=True)
        except NotFactorizedError as error:
            reason = error.reason
        try:
            return self._get_scored_trace(model, guide, args, kwargs, sum_labels=False)
        except NotFactorizedError as error:
            raise ValueError(
                f"some labels are missing that cannot be summed out, as {reason}: wanted all "
                "labels of a batch, or none of them, as in step(x)"
            ) from error

    def _get_scored_trace(
        self, model: Callable, guide: Callable, args: tuple, kwargs: dict, sum_labels: bool
    ) -> tuple[Trace, Trace]:
        draws = LabelDraws(
            self.num_label_samples,
            self.max_plate_nesting,
            stop_gradient=self.stop_gradient,
            share_sample=self.share_sample,
            sum_labels=sum_labels,
        )
        priors: PriorProbe | None = None

        def model_of_labels(*args, **kwargs) -> None:
            """By now, the guide has run."""
            nonlocal priors
            if draws.parts:
                priors = PriorProbe(self.max_plate_nesting, draws.filled)
            (priors(model) if priors else model)(*args, **kwargs)

        model_trace, guide_trace = super()._get_trace(model_of_labels, draws(guide), args, kwargs)
        # A node of another type than "sample": whatever sums over a trace passes it by.
        log_q_y_x = draws.log_q_y_x
        guide_trace.add_node("log_q_y_x", name="log_q_y_x", type="value", value=log_q_y_x)
        if priors:
            terms = label_terms(draws, priors, model_trace)
            model_trace.add_node("labels", name="labels", type="value", value=terms)
        return model_trace, guide_trace

    def _differentiable_loss_particle(
        self, model_trace: Trace, guide_trace: Trace
    ) -> tuple[Any, Tensor]:
        log_q_y_x = guide_trace.nodes["log_q_y_x"]["value"]
        if log_q_y_x is None:
            return super()._differentiable_loss_particle(model_trace, guide_trace)

        check_pathwise(guide_trace)
        label, label_prior = guide_trace.nodes["y"], model_trace.nodes["y"]
        log_p_y = label_prior["log_prob"]
        shape = log_p_y.shape
        log_ratio = log_joint(model_trace, shape) - log_p_y - log_joint(guide_trace, shape)
        if "labels" in model_trace:
            terms = model_trace.nodes["labels"]["value"]
            log_p_y = scaled(terms.log_p_y, label_prior)
            log_ratio = log_ratio + scaled(terms.entropy, label_prior)
            for name, log_p_z in terms.log_p_z.items():
                log_ratio = log_ratio + scaled(log_p_z, model_trace.nodes[name])
        weight = (label["unscaled_log_prob"] - log_q_y_x).exp()
        coefficient = 1 + self.classification_weight
        elbo = (weight * log_ratio + coefficient * scaled(log_q_y_x, label) + log_p_y).sum()
        return -elbo.detach(), -elbo
