"""The objective of M2 and of M1+M2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyro.infer import TraceEnum_ELBO
from pyro.poutine import Trace
from torch import Tensor

from ccvae_pyro.objectives.base import TensorELBO, scaled
from ccvae_pyro.objectives.sum_of_elbos import SumOfELBOs


class M2_ELBO(SumOfELBOs):
    r"""The objective of Kingma et al. (2014), Eq. 6 to 9, for images with and without labels:

    .. math::
        \mathcal{J}^\alpha &= \sum_{\text{labeled}}
            \left( \mathcal{L}(x, y) + \alpha \log q_\varphi(y \mid x) \right)
            + \sum_{\text{others}} \mathcal{U}(x) , \\
        \mathcal{L}(x, y) &= \mathbb{E}_{q_\phi(z \mid x, y)} \left[
            \log \frac{p(y) \, p(z) \, p_\theta(x \mid y, z)}{q_\phi(z \mid x, y)} \right] , \\
        \mathcal{U}(x) &= \sum_y q_\varphi(y \mid x)
            \left( \mathcal{L}(x, y) - \log q_\varphi(y \mid x) \right)

    The first is :class:`~pyro.infer.Trace_ELBO` but for the classifier's term, the second
    :class:`~pyro.infer.TraceEnum_ELBO`: a sum over all labels of an image that are missing. Where
    these have too many values, they are drawn: see
    :class:`~ccvae_pyro.distributions.partially_observed.PartlyKnown`.

    :param classification_weight: :math:`\alpha` of each image whose labels are known. The paper's,
        a tenth of the number of images, is of their mean, so of each a tenth of the number of
        images by that of labeled ones.
    :param max_plate_nesting: how many plates the model nests.
    """

    def __init__(self, classification_weight: float = 0.0, *, max_plate_nesting: int = 1) -> None:
        super().__init__(max_plate_nesting=max_plate_nesting)
        self.classification_weight = classification_weight

    def terms(self, x: Tensor, y: Tensor | None = None) -> Iterator[tuple[Any, tuple]]:
        """The two kinds of images, each with its bound."""
        plates = {"max_plate_nesting": self.max_plate_nesting}
        others = TraceEnum_ELBO(**plates)
        if y is None:
            yield others, (x,)
            return
        is_labeled = ~y.isnan().any(-1)
        if is_labeled.any():
            yield _Labeled(self.classification_weight, **plates), (x[is_labeled], y[is_labeled])
        if not is_labeled.all():
            yield others, (x[~is_labeled], y[~is_labeled])


class _Labeled(TensorELBO):
    """The ordinary bound, and a weight on labels in place of what they would be as a draw."""

    def __init__(self, classification_weight: float, **kwargs) -> None:
        super().__init__(**kwargs)
        self.classification_weight = classification_weight

    def _differentiable_loss_particle(
        self, model_trace: Trace, guide_trace: Trace
    ) -> tuple[Tensor, Tensor]:
        label: Any = guide_trace.nodes["y"]
        guide_trace = guide_trace.copy()
        guide_trace.remove_node("y")  # or else Pyro gives it the gradient of a draw
        _, loss = super()._differentiable_loss_particle(model_trace, guide_trace)
        log_q_y_x = scaled(label["unscaled_log_prob"], label).sum()
        loss = loss - self.classification_weight * log_q_y_x
        return loss.detach(), loss
