"""MVAE: images and labels as two modalities of the same latents (Wu and Goodman, 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import pyro
import pyro.distributions as dist
from pyro import poutine
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from ccvae_pyro.distributions.partially_observed import ObservedLabels
from ccvae_pyro.labels import Label
from ccvae_pyro.models._contract import of_shape
from ccvae_pyro.models.base import ImageModel, register


class MVAE(ImageModel):
    r"""The multimodal VAE of Wu and Goodman (2018), trained by
    :class:`~ccvae_pyro.objectives.MVAE_ELBO`.

    The posterior is a product of experts: of the prior, of the image if given, and of each given
    label,

    .. math:: q(z \mid x, y) \propto p(z) \, \tilde q(z \mid x) \prod_i \tilde q(z \mid y_i) .

    It cannot edit a label: no part of ``z`` belongs to one label.

    :param encoder: :math:`\tilde q(z \mid x)`, a Normal, called as ``(q_z,) = encoder(x)``.
    :param decoder: :math:`p_\theta(x \mid z)`, called as ``decoder(z)``.
    :param experts: :math:`\tilde q(z \mid y_i)`, Normals of batch shape ``(batch, num_labels)``,
        called as ``experts(y)``.
    :param classifier: :math:`p(y \mid z)`, called as ``classifier(z)``.
    :param prior: :math:`p(z)`, a standard Normal, called as ``prior()``.
    :param labels: descriptions of the labels.
    :param label_weight: the weight of the labels' likelihood, the paper's :math:`\lambda`: in its
        authors' code 10 for attributes of CelebA, 50 for classes of MNIST.
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

    @property
    def latent_sizes(self) -> dict[str, int]:
        """The number of dimensions of ``z``."""
        return {"z": self.prior().event_shape[0]}

    def model(self, x: Tensor | None = None, y: Tensor | None = None) -> None:
        """The generative model of images, of labels, or of both.

        Site by site::

            z ~ p(z)
            x ~ p(x | z)
            y ~ p(y | z)              # of the known labels; scaled by label_weight
        """
        y = self.checked_batch(x, y)
        register("mvae", self)
        with pyro.plate("data", _size(x, y)):
            z = pyro.sample("z", self.prior())
            if x is not None:
                pyro.sample("x", of_shape(self.decoder(z), x), obs=x)
            if y is not None:
                with poutine.scale(scale=self.label_weight):
                    pyro.sample("y", ObservedLabels(self.classifier(z)), obs=y)

    def guide(self, x: Tensor | None = None, y: Tensor | None = None) -> None:
        """The inference model.

        Site by site::

            z ~ q(z | x, y)           # the product of the experts of what is given
        """
        y = self.checked_batch(x, y)
        register("mvae", self)
        with pyro.plate("data", _size(x, y)):
            pyro.sample("z", self.posterior(x, y))

    def posterior(self, x: Tensor | None = None, y: Tensor | None = None) -> dist.Independent:
        """The product of the prior and of the experts of what is given."""
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
        return dist.Independent(dist.Normal(loc, precision.rsqrt()), 1)

    def q_y_x(self, x: Tensor) -> TorchDistribution:
        r""":math:`p(y \mid z)` at the posterior mean of ``z`` given the image."""
        self.check_images(x)
        q_y_x: TorchDistribution = self.classifier(self.posterior(x).mean)
        return q_y_x

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """An empty ``z_c``, and the posterior mean of ``z`` given the image."""
        self.check_images(x)
        z = self.posterior(x).mean
        return z[..., :0], z

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """The mean image given ``z``."""
        image: Tensor = self.decoder(z_style).mean
        return image

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """An empty ``z_c``, and a sample of ``z`` given the labels."""
        z = self.posterior(y=y)()
        return z[..., :0], z


def _size(x: Tensor | None, y: Tensor | None) -> int:
    given = x if x is not None else y
    if given is None:
        raise ValueError("wanted images, labels or both, got neither")
    return len(given)
