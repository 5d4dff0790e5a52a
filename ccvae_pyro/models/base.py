"""What every model of the family can be asked for, whatever its latents are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyro
from pyro.distributions import TorchDistribution
from pyro.params import param_with_module_name
from torch import Tensor, nn

from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.labels import Label, index_of


class ImageModel(nn.Module):
    """A generative model of labeled images, with a guide.

    It has methods ``model`` and ``guide``, both called with images and labels, and what is below
    as far as it makes sense. Its latents are those of the labels, and the rest.

    :param labels: what the labels are, in the order of the columns of ``y``.
    """

    def __init__(self, labels: Sequence[Label]) -> None:
        super().__init__()
        self.labels = tuple(labels)
        # The preset that made this and its arguments, from which a checkpoint builds it again.
        self.config: dict[str, Any] | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """What the labels are called, in the order of the columns of ``y``."""
        return tuple(label.name for label in self.labels)

    def label_of(self, label: str | int) -> Label:
        """A label, given by its name or its number.

        :raises ValueError: if there is no such label.
        """
        return self.labels[index_of(label, self.label_names)]

    def q_y_x(self, x: Tensor) -> TorchDistribution:
        """The labels of images, a row each."""
        raise self._cannot("read labels off images")

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The means of the latents of labels, and of the rest."""
        raise self._cannot("encode images")

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """The mean image of latents of any leading shape."""
        raise self._cannot("decode images")

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Latents from their priors, given labels."""
        raise self._cannot("generate to labels")

    def latent_slice(self, index: int) -> slice:
        """Where a label's latents are among those of labels."""
        raise self._cannot("change one label of an image")

    def latent_prior(self, index: int, value: float) -> tuple[Tensor, Tensor]:
        """Mean and deviation of a label's latents, where it has a value."""
        raise self._cannot("change one label of an image")

    def label_vector_with(self, index: int, value: float) -> Tensor:
        """A row of labels in which one has a value, and the others are 0."""
        y = next(self.parameters()).new_zeros(len(self.labels))
        y[index] = value
        return y

    def _cannot(self, what: str) -> UnsupportedError:
        return UnsupportedError(f"{type(self).__name__} cannot {what}")


def register(name: str, model: nn.Module) -> None:
    """Does what :func:`pyro.module` does, once the parameter store holds no other model's tensors.

    The store keeps the first tensor that it sees under a name, and an optimizer steps what the
    store holds: of two models with one name, the second would never train.
    """
    store = pyro.get_param_store()
    for parameter_name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if not parameter.is_contiguous():  # as with channels_last: the store would train a copy
            parameter.data = parameter.data.contiguous()
        stored_name = param_with_module_name(name, parameter_name)
        if stored_name in store:
            stored = store[stored_name].unconstrained()  # type: ignore[attr-defined]
            if stored is not parameter:
                del store[stored_name]
        pyro.param(stored_name, parameter)
