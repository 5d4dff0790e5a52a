"""MVAE: images and labels as two views of the same latents (Wu and Goodman, 2018)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyro
import pyro.distributions as dist
from pyro import poutine
from pyro.distributions import TorchDistribution
from pyro.infer import Trace_ELBO
from torch import Tensor, nn

from ccvae_pyro.distributions.partially_observed import KnownLabels
from ccvae_pyro.labels import Label
from ccvae_pyro.models.base import ImageModel, register
from ccvae_pyro.objectives.sum_of_elbos import SumOfELBOs


class MVAE(ImageModel):
    r"""The multimodal VAE of Wu and Goodman (2018), trained by :class:`MVAE_ELBO`.

    Whatever is seen of an image and its labels is an expert on ``z``, and the posterior their
    product with the prior,

    .. math:: q(z \mid x, y) \propto p(z) \, \tilde q(z \mid x) \prod_i \tilde q(z \mid y_i) .

    It cannot edit a label, as it does not know which part of ``z`` is the label's.

    :param encoder: :math:`\tilde q(z \mid x)`, a Normal, called as ``(q_z,) = encoder(x)``.
    :param decoder: :math:`p_\theta(x \mid z)`, called as ``decoder(z)``.
    :param experts: :math:`\tilde q(z \mid y_i)`, Normals of batch shape ``(batch, num_labels)``,
        called as ``experts(y)``.
    :param classifier: :math:`p(y \mid z)`, called as ``classifier(z)``.
    :param prior: :math:`p(z)`, a standard Normal, called as ``prior()``.
    :param labels: what the labels are.
    :param label_weight: how much labels count in the likelihood, the paper's :math:`\lambda`: in
        its authors' code 10 for attributes of faces, 50 for classes of digits.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        experts: nn.Module,
        classifier: nn.Module,
        prior: nn.Module,
        labels: Sequence[Label],
        label_weight: float = 10.0,
    ) -> None:
        super().__init__(labels)
        self.encoder, self.decoder, self.experts = encoder, decoder, experts
        self.classifier, self.prior, self.label_weight = classifier, prior, label_weight

    def model(self, x: Tensor | None = None, y: Tensor | None = None) -> None:
        """The generative model of images, of labels, or of both.

        Site by site::

            z ~ p(z)
            x ~ p(x | z)
            y ~ p(y | z)              # of the labels that are known; counts label_weight times
        """
        register("mvae", self)
        with pyro.plate("data", _size(x, y)):
            z = pyro.sample("z", self.prior())
            if x is not None:
                pyro.sample("x", self.decoder(z), obs=x)
            if y is not None:
                with poutine.scale(scale=self.label_weight):
                    pyro.sample("y", KnownLabels(self.classifier(z)), obs=y)

    def guide(self, x: Tensor | None = None, y: Tensor | None = None) -> None:
        """The inference model.

        Site by site::

            z ~ q(z | x, y)           # the product of the experts on what is given
        """
        register("mvae", self)
        with pyro.plate("data", _size(x, y)):
            pyro.sample("z", self.posterior(x, y))

    def posterior(self, x: Tensor | None = None, y: Tensor | None = None) -> dist.Independent:
        """The product of the experts on what is given, and of the prior."""
        normals = [(self.prior().mean[None], 1 / self.prior().variance[None])]
        if x is not None:
            (q_z,) = self.encoder(x)
            normals.append((q_z.mean, 1 / q_z.variance))
        if y is not None:
            q_z, known = self.experts(y.nan_to_num()), ~y.isnan()[..., None]
            precisions = (known / q_z.variance).unbind(-2)
            normals += zip(q_z.mean.unbind(-2), precisions, strict=True)
        precision = sum(each for _, each in normals)
        loc = sum(loc * each for loc, each in normals) / precision
        return dist.Normal(loc, precision.rsqrt()).to_event(1)

    def q_y_x(self, x: Tensor) -> TorchDistribution:
        """Labels at the mean of ``z`` given the image alone."""
        return self.classifier(self.posterior(x).mean)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """No latents of labels alone, and the mean of ``z`` given the image alone."""
        z = self.posterior(x).mean
        return z[..., :0], z

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """The mean image of ``z``."""
        return self.decoder(z_style).mean

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """No latents of labels alone, and ``z`` given the labels."""
        z = self.posterior(y=y).sample()
        return z[..., :0], z


def _size(x: Tensor | None, y: Tensor | None) -> int:
    return len(y) if x is None else len(x)


class MVAE_ELBO(SumOfELBOs):
    r"""The objective of Wu and Goodman (2018), Eq. 4: that of an image and its labels, of the
    image alone, and of the labels alone,

    .. math:: \mathcal{L}(x, y) + \mathcal{L}(x) + \mathcal{L}(y) , \qquad
        \mathcal{L}(\cdot) = \mathbb{E}_{q(z \mid \cdot)} \left[ \log
            \frac{p(z) \, p(\cdot \mid z)}{q(z \mid \cdot)} \right] .

    Labels that are missing are left out, and of an image without any the second term is left.

    :param max_plate_nesting: how many plates the model nests.
    """

    def __init__(self, *, max_plate_nesting: int = 1) -> None:
        super().__init__(max_plate_nesting=max_plate_nesting)

    def terms(self, x: Tensor, y: Tensor | None = None) -> Iterator[tuple[Any, tuple]]:
        """The three views, of the images that have them."""
        bound = Trace_ELBO(max_plate_nesting=self.max_plate_nesting)
        yield bound, (x,)
        if y is not None and (is_labeled := ~y.isnan().all(-1)).any():
            x, y = x[is_labeled], y[is_labeled]
            yield bound, (x, y)
            yield bound, (None, y)
