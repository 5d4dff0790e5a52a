"""What is fitted after training: modules of a few tensors, which a checkpoint holds apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

from torch import Tensor, nn

from ccvae_pyro.labels import Label

Part = TypeVar("Part", bound="FittedPart")


class FittedPart(nn.Module):
    """A module whose tensors are not in the state dict, which is that of a model as trained.

    The constructor takes the tensors by their names, and ``labels``.
    """

    #: What it is, for error messages.
    description: ClassVar[str]
    #: The names of its tensors.
    names: ClassVar[tuple[str, ...]]

    def keep(self, *tensors: tuple[Tensor, tuple[int, ...]]) -> None:
        """Keeps its tensors, in the order of their names, each with the shape that it must have.

        :raises ValueError: if it has another, or a value is not finite.
        """
        for name, (tensor, shape) in zip(self.names, tensors, strict=True):
            if tensor.shape != shape or not tensor.isfinite().all():
                raise ValueError(
                    f"wanted {name} of finite numbers, of shape {shape}, got {tuple(tensor.shape)}"
                )
            self.register_buffer(name, tensor, persistent=False)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name, as a checkpoint has them."""
        return {name: getattr(self, name) for name in self.names}

    @classmethod
    def from_tensors(
        cls: type[Part], tensors: Mapping[str, Tensor], labels: Sequence[Label]
    ) -> Part:
        """The part from its :attr:`tensors`.

        :raises ValueError: if they are none of such a part of these labels.
        """
        is_complete = isinstance(tensors, Mapping) and sorted(tensors) == sorted(cls.names)
        if not is_complete or not all(isinstance(each, Tensor) for each in tensors.values()):
            raise ValueError(f"wanted the tensors {', '.join(cls.names)} of {cls.description}")
        return cls(**tensors, labels=labels)
