"""The contracts of a CCVAE's parts: what each is called with, and what it returns."""

from __future__ import annotations

from typing import Protocol

from pyro.distributions import TorchDistribution
from torch import Tensor


class Encoder(Protocol):
    r""":math:`q_\phi(z \mid x)`: from images to the distributions of ``z_c`` and ``z_style``.

    Both have batch shape ``(batch,)``, and event shape ``(num_characteristics,)`` and
    ``(num_style,)``. :class:`~ccvae_pyro.CCVAE_ELBO` takes any that has ``rsample``;
    :class:`~ccvae_pyro.ExactCCVAE_ELBO` takes ``Normal(...).to_event(1)`` for ``z_c``.
    """

    def __call__(self, x: Tensor) -> tuple[TorchDistribution, TorchDistribution]: ...


class Decoder(Protocol):
    r""":math:`p_\theta(x \mid z)`: from ``z``, shape ``(batch, z_dim)``, to images.

    The distribution has batch shape ``(batch,)`` and the event shape of an image. Interventions
    show its ``mean``. A decoder may declare, by attributes of these names, the ``image_range`` of
    pixels, such as ``(0.0, 1.0)``, and the number of dimensions of an image, ``event_dim``: a
    model refuses images of another range or number of dimensions.
    """

    def __call__(self, z: Tensor) -> TorchDistribution: ...


class Classifier(Protocol):
    r""":math:`q_\varphi(y \mid z_c)`: from characteristics, shape ``(..., num_characteristics)``.

    The distribution has batch shape ``(...)`` and event shape ``(num_labels,)``. A label vector
    (``Bernoulli(...).to_event(1)`` or :class:`~ccvae_pyro.LabelVector`) lets labels be predicted
    and summed over; :class:`~ccvae_pyro.distributions.AffineLabels` is what
    :class:`~ccvae_pyro.ExactCCVAE_ELBO` takes.
    """

    def __call__(self, z_c: Tensor) -> TorchDistribution: ...


class ConditionalPrior(Protocol):
    r""":math:`p_\psi(z_c \mid y)`: from labels, shape ``(..., num_labels)``.

    The distribution has batch shape ``(...)`` and event shape ``(num_characteristics,)``. A
    :class:`~ccvae_pyro.distributions.LabelwisePrior` declares that it factorizes over labels.
    """

    def __call__(self, y: Tensor) -> TorchDistribution: ...


class StylePrior(Protocol):
    r""":math:`p(z_{\setminus c})`: a distribution of event shape ``(num_style,)``."""

    def __call__(self) -> TorchDistribution: ...


class LabelPrior(Protocol):
    r""":math:`p(y)`: a distribution of event shape ``(num_labels,)``."""

    def __call__(self) -> TorchDistribution: ...
