"""Objectives of the baselines: M2 and M1+M2, DIVA, MVAE."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pyro import poutine
from pyro.infer import ELBO, Trace_ELBO
from pyro.infer.enum import get_importance_trace
from pyro.poutine import Trace
from torch import Tensor

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.distributions.partially_observed import ObserveAll
from ccvae_pyro.models._contract import check_tensor
from ccvae_pyro.objectives.base import Program, TensorELBO, check_pathwise, samples, site_of
from ccvae_pyro.objectives.ccvae_elbo import CCVAE_ELBO


class PathwiseELBO(TensorELBO):
    r"""The ELBO of latents that have pathwise gradients:

    .. math:: \mathbb{E}_{q(z)} \left[ \log \frac{p(x, z)}{q(z)} \right] .

    The same as :class:`~pyro.infer.Trace_ELBO`, which waits for an accelerator at every site.

    :param mask: which images of a batch count, shape ``(batch,)``; by default all do.
    :param max_plate_nesting: how many plates the model nests.
    :param kwargs: passed to :class:`~pyro.infer.Trace_ELBO`, for example ``num_particles``.
    :raises ValueError: at a step, if a latent of the guide has no ``rsample``.
    """

    def __init__(
        self, mask: Tensor | None = None, *, max_plate_nesting: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(max_plate_nesting=max_plate_nesting, **kwargs)  # type: ignore[no-untyped-call]
        self.mask = mask

    def _get_trace(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Any:
        if self.mask is not None:
            mask: Any = self.mask
            model, guide = poutine.mask(model, mask=mask), poutine.mask(guide, mask=mask)
        return get_importance_trace("flat", self.max_plate_nesting, model, guide, args, kwargs)

    def _loss(self, model_trace: Trace, guide_trace: Trace) -> Any:
        check_pathwise(guide_trace)
        log_p, log_q = (
            sum(site["log_prob_sum"] for _, site in samples(trace))
            for trace in (model_trace, guide_trace)
        )
        return log_q - log_p


class SumOfELBOs(Trace_ELBO):
    """A sum of Pyro's ELBOs, each evaluated on a part of the batch.

    Subclasses give the ELBOs and their arguments as :meth:`terms`. All ways to a loss agree:
    ``loss``, ``loss_and_grads``, ``differentiable_loss`` and ``elbo(model, guide)``.
    """

    def terms(
        self, x: Tensor, y: Tensor | None = None
    ) -> Iterator[tuple[ELBO, tuple[Tensor | None, ...]]]:
        """Each ELBO, and the arguments that it calls model and guide with."""
        raise NotImplementedError

    def loss(
        self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> float:
        """The negative sum of ELBOs as a number."""
        terms: Any = self.terms(*args, **kwargs)
        return float(sum(elbo.loss(model, guide, *arguments) for elbo, arguments in terms))

    def loss_and_grads(
        self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """The negative sum of ELBOs; adds its gradient to that of the parameters."""
        terms: Any = self.terms(*args, **kwargs)
        return sum(elbo.loss_and_grads(model, guide, *arguments) for elbo, arguments in terms)

    def differentiable_loss(
        self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """The negative sum of ELBOs as a differentiable tensor."""
        terms: Any = self.terms(*args, **kwargs)
        return sum(elbo.differentiable_loss(model, guide, *arguments) for elbo, arguments in terms)


class M2_ELBO(SumOfELBOs):
    r"""The objective of Kingma et al. (2014), Eq. 6 to 9, for labeled and unlabeled images:

    .. math::
        \mathcal{J}^\alpha &= \sum_{\text{labeled}}
            \left( \mathcal{L}(x, y) + \alpha \log q_\varphi(y \mid x) \right)
            + \sum_{\text{unlabeled}} \mathcal{U}(x) , \\
        \mathcal{L}(x, y) &= \mathbb{E}_{q_\phi(z \mid x, y)} \left[
            \log \frac{p(y) \, p(z) \, p_\theta(x \mid y, z)}{q_\phi(z \mid x, y)} \right] , \\
        \mathcal{U}(x) &= \sum_y q_\varphi(y \mid x)
            \left( \mathcal{L}(x, y) - \log q_\varphi(y \mid x) \right)

    The sum over the labels of an image that are missing is that of
    :class:`~pyro.infer.TraceEnum_ELBO`. If these have too many values, they are sampled instead:
    see :class:`~ccvae_pyro.distributions.partially_observed.PartiallyObserved`.

    On an accelerator both terms are computed for all images of a batch that has labels, and masked
    where they do not belong: to take the images apart, the host would wait for it.

    :param classification_weight: :math:`\alpha` of each labeled image. The paper's objective is a
        mean over images and its :math:`\alpha` a tenth of their number; for a sum over images, as
        here, that is a tenth of the number of images divided by the number of labeled images.
    :param max_plate_nesting: how many plates the model nests.
    """

    def __init__(self, classification_weight: float = 0.0, *, max_plate_nesting: int = 1) -> None:
        super().__init__(max_plate_nesting=max_plate_nesting)  # type: ignore[no-untyped-call]
        self.classification_weight = classification_weight

    def terms(
        self, x: Tensor, y: Tensor | None = None
    ) -> Iterator[tuple[ELBO, tuple[Tensor | None, ...]]]:
        """The labeled and the unlabeled images, each with its ELBO."""
        weight, nesting = self.classification_weight, self.max_plate_nesting
        if y is None:
            yield _UnlabeledM2_ELBO(max_plate_nesting=nesting), (x,)
            return
        is_labeled = ~_is_missing(x, y).any(-1)
        for mask, *part in _those(is_labeled, x, y.masked_fill(y.isnan(), 0.0)):
            yield _LabeledM2_ELBO(weight, mask=mask, max_plate_nesting=nesting), tuple(part)
        for mask, *part in _those(~is_labeled, x, y):
            yield _UnlabeledM2_ELBO(mask, max_plate_nesting=nesting), tuple(part)


class _LabeledM2_ELBO(PathwiseELBO):
    r""":math:`\mathcal{L}(x, y) + \alpha \log q_\varphi(y \mid x)`."""

    def __init__(self, classification_weight: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classification_weight = classification_weight

    def _get_trace(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Any:
        return super()._get_trace(ObserveAll()(model), ObserveAll()(guide), args, kwargs)

    def _loss(self, model_trace: Trace, guide_trace: Trace) -> Any:
        check_pathwise(guide_trace)
        log_q_y_x = site_of(guide_trace, "y", "guide")["log_prob"]
        elbo = _log_prob(model_trace) - _log_prob(guide_trace, "y")
        return -(elbo + self.classification_weight * log_q_y_x).sum()


class _UnlabeledM2_ELBO(PathwiseELBO):
    r""":math:`\mathcal{U}(x)`."""

    def _get_trace(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Any:
        enumerated = poutine.enum(guide, first_available_dim=-1 - self.max_plate_nesting)
        return super()._get_trace(model, enumerated, args, kwargs)

    def _loss(self, model_trace: Trace, guide_trace: Trace) -> Any:
        check_pathwise(guide_trace)
        q_y: Any = site_of(guide_trace, "y", "guide")
        elbo = _log_prob(model_trace) - _log_prob(guide_trace)
        if "_enumerate_dim" in q_y["infer"]:  # else it is sampled
            elbo = q_y["unscaled_log_prob"].exp() * elbo
        return -elbo.sum()


class DIVA_ELBO(CCVAE_ELBO):
    r"""The objective of Ilse et al. (2020), label by label, for images with and without labels:

    .. math::
        \mathcal{F}(x, y) &= \log p(y) + \mathbb{E}_{q_\phi(z \mid x)} \left[
            \log p_\theta(x \mid z)
            + \beta \log \frac{p_\psi(z_c \mid y) \, p(z_{\setminus c})}{q_\phi(z \mid x)}
            + \alpha \log q_\varphi(y \mid z_c) \right] , \\
        \mathcal{F}(x) &= \mathbb{E}_{q_\phi(z \mid x)} \left[ \log p_\theta(x \mid z)
            + \beta \log \frac{p(z_{\setminus c})}{q_\phi(z \mid x)}
            + \sum_i \sum_{y_i} q_\varphi(y_i \mid z_c^i) \left(
              \beta \log p_\psi(z_c^i \mid y_i)
              + \log \frac{p(y_i)}{q_\varphi(y_i \mid z_c^i)} \right) \right] .

    It equals :class:`~ccvae_pyro.CCVAE_ELBO` with a single sample of ``z`` that serves both for
    the ELBO and for the estimate of :math:`q(y \mid x)`: then all weights are 1. The posterior of
    an image does not depend on its label, and classification is a term of its own.

    :param classification_weight: :math:`\alpha`; :math:`\beta` is an argument of
        :class:`~ccvae_pyro.models.baselines.DIVA`.
    :param kwargs: passed to :class:`~ccvae_pyro.CCVAE_ELBO`, for example ``num_particles``.
    """

    def __init__(self, classification_weight: float, **kwargs: Any) -> None:
        super().__init__(
            num_label_samples=1,
            share_sample=True,
            stop_gradient=False,
            classification_weight=classification_weight,
            **kwargs,
        )


class MVAE_ELBO(SumOfELBOs):
    r"""The objective of Wu and Goodman (2018), Eq. 4: a sum of three ELBOs, of an image with its
    labels, of the image alone, and of the labels alone,

    .. math:: \mathcal{L}(x, y) + \mathcal{L}(x) + \mathcal{L}(y) , \qquad
        \mathcal{L}(\cdot) = \mathbb{E}_{q(z \mid \cdot)} \left[ \log
            \frac{p(z) \, p(\cdot \mid z)}{q(z \mid \cdot)} \right] .

    Missing labels are left out. An unlabeled image has the second term only.

    :param max_plate_nesting: how many plates the model nests.
    """

    def __init__(self, *, max_plate_nesting: int = 1) -> None:
        super().__init__(max_plate_nesting=max_plate_nesting)  # type: ignore[no-untyped-call]

    def terms(
        self, x: Tensor, y: Tensor | None = None
    ) -> Iterator[tuple[ELBO, tuple[Tensor | None, ...]]]:
        """The three ELBOs, each on the images that have what it needs."""
        nesting = self.max_plate_nesting
        yield PathwiseELBO(max_plate_nesting=nesting), (x,)
        if y is not None:
            for mask, *part in _those(~_is_missing(x, y).all(-1), x, y):
                elbo = PathwiseELBO(mask, max_plate_nesting=nesting)
                yield elbo, tuple(part)
                yield elbo, (None, part[1])


def _log_prob(trace: Trace, *but: str) -> Any:
    """The log-probability of all sites but those named."""
    return sum(site["log_prob"] for _, site in samples(trace, *but))


def _those(rows: Tensor, x: Tensor, y: Tensor) -> Iterator[tuple[Tensor | None, Tensor, Tensor]]:
    """Some images of a batch with their labels, if there are any.

    :param rows: which, shape ``(batch,)``.
    :returns: no mask and those images; on an accelerator, a mask and all images, so that the host
        does not wait for their number.
    """
    if not is_free_to_read(rows):
        yield rows, x, y
    elif rows.any():
        yield None, x[rows], y[rows]


def _is_missing(x: Tensor, y: Tensor) -> Tensor:
    """Which labels of images are missing; a single label may have shape ``(batch,)``.

    :raises ValueError: if there are no images, or not as many label vectors as images, or they are
        no tensors of real numbers.
    """
    check_tensor(x, "images")
    check_tensor(y, "labels")
    if not len(x):
        raise ValueError(f"wanted at least one image, got shape {tuple(x.shape)}")
    if y.shape[:1] != x.shape[:1]:
        raise ValueError(f"wanted labels of {len(x)} images, got shape {tuple(y.shape)}")
    return y.isnan().view(len(y), *(y.shape[1:] or (1,)))
