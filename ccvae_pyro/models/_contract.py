"""The contract of images and labels, checked where they enter a model."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from pyro.distributions import TorchDistribution
from pyro.infer.util import is_validation_enabled
from torch import Tensor

from ccvae_pyro.distributions._device import is_free_to_read
from ccvae_pyro.errors import BatchError
from ccvae_pyro.labels import Categorical, Label, check_distances, check_labels
from ccvae_pyro.labels._plain_values import shown

if TYPE_CHECKING:
    from ccvae_pyro.models.base import ImageModel

TOLERANCE = 1e-3  # of pixels outside of their range, by rounding


class LastBatch:
    """The batch that was checked last, until it comes again: a model follows its guide with it."""

    def __init__(self) -> None:
        self._clear()

    def __reduce__(self) -> tuple[type[LastBatch], tuple[()]]:
        return LastBatch, ()  # copies and files of a model are without it

    def _clear(self) -> None:
        # Images are not kept alive.
        self._images: Callable[[], Tensor | None] = lambda: None
        self._given: Tensor | None = None
        self._versions: list[float] | None = None
        self._labels: Tensor | None = None

    def remember(self, x: Tensor | None, y: Tensor | None, labels: Tensor | None) -> None:
        """Remembers a batch, and its labels as a model has them."""
        self._images, self._given, self._labels = lambda: None, y, labels
        if x is not None:
            self._images = weakref.ref(x)
        self._versions = _versions(x, y)

    def is_same(self, x: Tensor | None, y: Tensor | None) -> bool:
        """Whether these are the tensors that were remembered, unchanged."""
        is_same = self._images() is x and self._given is y
        return is_same and self._versions == _versions(x, y)

    def pop(self) -> Tensor | None:
        """The labels of the batch, which is remembered no longer."""
        labels = self._labels
        self._clear()
        return labels


def _versions(x: Tensor | None, y: Tensor | None) -> list[float]:
    """Numbers that grow with each change in place; unequal to all where there are none."""
    given = [each for each in (x, y) if each is not None]
    return [float("nan") if each.is_inference() else each._version for each in given]


def check_images(model: ImageModel, x: Tensor, like: Tensor | None, *, with_values: bool) -> None:
    """Checks that images are such as a model takes.

    :param like: a tensor of the dtype and on the device that are wanted: one of the parameters.
    :param with_values: whether to check pixels, for which the host waits for an accelerator.
    :raises BatchError: if not; the message says what was got and what was wanted.
    """
    check_tensor(x, "images")
    _check_shape(model, x)
    if like is not None:
        if x.dtype != like.dtype:
            hint = ": bytes are divided by 255" if x.dtype == torch.uint8 else ""
            raise BatchError(
                f"wanted images of {like.dtype}, as the model's parameters, got {x.dtype}{hint}"
            )
        if x.device != like.device:
            raise BatchError(f"wanted images on {like.device}, as the model, got {x.device}")
    if with_values:
        _check_pixels(model, x)


def check_tensor(value: Any, what: str) -> None:
    """Checks that images or labels are a tensor of real numbers.

    :param what: ``"images"`` or ``"labels"``.
    :raises BatchError: if not.
    """
    if not isinstance(value, Tensor):
        raise BatchError(f"wanted {what} as a tensor, got {type(value).__name__}")
    if value.is_complex():
        raise BatchError(f"wanted {what} as real numbers, got {value.dtype}")


def _check_shape(model: ImageModel, x: Tensor) -> None:
    shape, got = model.image_shape, tuple(x.shape)
    if got[1:] == shape and got[0]:
        return
    if shape is not None and got[1:] != shape:
        wanted = ", ".join(map(str, shape))
        raise BatchError(f"wanted images of shape (batch, {wanted}), got {got}{_hint(got, shape)}")
    num_dims = None if model.image_dims is None else model.image_dims + 1
    if num_dims is not None and len(got) != num_dims:
        raise BatchError(
            f"wanted a batch of images, a tensor of {num_dims} dimensions, got shape {got}"
        )
    if not got or not got[0]:
        raise BatchError(f"wanted at least one image, got shape {got}")


def _hint(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """How images of another layout become those that are wanted."""
    channels_last = (*wanted[1:], wanted[0])
    if got[1:] == channels_last:
        return ": channels come first, as by x.permute(0, 3, 1, 2)"
    if got == wanted:
        return ": one image is a batch of one, x[None]"
    return ""


def _check_pixels(model: ImageModel, x: Tensor) -> None:
    """Checks that pixels are finite, and in the range of the model's likelihood."""
    pixels = x.detach()
    if not x.is_contiguous():  # the order in memory is the fastest
        pixels = pixels.permute(sorted(range(x.dim()), key=x.stride, reverse=True))
    low, high = (bound.item() for bound in pixels.aminmax())
    least, most = model.image_range
    if least - TOLERANCE <= low and high <= most + TOLERANCE and high - low < torch.inf:
        return
    if low != low:
        row = int(x.flatten(1).isnan().any(1).nonzero()[0])
        raise BatchError(f"wanted finite pixels, got NaN in row {row} of the images")
    wanted = f"between {least:g} and {most:g}" if most < torch.inf else "that are finite"
    raise BatchError(f"wanted pixels {wanted}, got {low:g} to {high:g}")


def to_labels(
    model: ImageModel,
    y: Tensor,
    like: Tensor | None,
    num_images: int | None,
    *,
    with_values: bool,
    soft: bool = False,
) -> Tensor:
    """Labels as a model has them: a column for each, of its dtype, NaN where missing.

    A single label may come as one value for each image, shape ``(batch,)``; a single categorical
    one also as one-hot rows, shape ``(batch, num_classes)``.

    :param like: as in :func:`check_images`.
    :param num_images: the number of label vectors that are wanted, if it is known.
    :param with_values: whether to check values, for which the host waits for an accelerator.
    :param soft: whether a binary label may be a probability.
    :raises BatchError: if they are no labels of the model; the message says what was got.
    """
    check_tensor(y, "labels")
    labels = model.labels
    num_rows = y.shape[0] if num_images is None and y.dim() else num_images
    if not labels and num_rows is not None:  # a model without labels takes the images of any data
        return y.new_zeros(num_rows, 0)
    like = y if like is None else like
    if y.device != like.device:
        raise BatchError(f"wanted labels on {like.device}, as the model, got {y.device}")
    only = labels[0] if len(labels) == 1 else None
    if only is not None and y.shape == (num_rows,):
        y = y[:, None]
    elif isinstance(only, Categorical) and y.shape == (num_rows, len(only.classes)):
        y = _from_one_hot(y, with_values)
    elif y.shape != (num_rows, len(labels)):
        raise BatchError(
            f"wanted labels of shape {(num_rows, len(labels))}, a column for each label, got "
            f"{tuple(y.shape)}"
        )
    y = y.to(like.dtype if like.is_floating_point() else torch.get_default_dtype())
    if with_values:
        try:
            check_labels(y, labels, soft=soft)
            check_distances(y, labels)
        except ValueError as error:
            raise BatchError(str(error)) from None
    return y


def _from_one_hot(y: Tensor, with_values: bool) -> Tensor:
    """The classes of one-hot rows, shape ``(batch, 1)``; NaN of rows that are NaN throughout."""
    is_missing = y.isnan().all(1)
    if with_values:
        is_one_hot = ((y == 0) | (y == 1)).all(1) & (y.sum(1) == 1)
        if (wrong := ~(is_one_hot | is_missing)).any():
            row = int(wrong.nonzero()[0])
            raise BatchError(
                f"wanted one-hot labels, or shape ({len(y)}, 1), got row {row}: {y[row].tolist()}"
            )
    classes = y.byte().argmax(1) if y.dtype == torch.bool else y.argmax(1)
    return torch.where(is_missing, torch.nan, classes.to(torch.get_default_dtype()))[:, None]


def check_not_missing(y: Tensor, labels: Sequence[Label], *, can_wait: bool = True) -> None:
    """Checks that labels have values where a model depends on them.

    An objective that knows missing labels hands a model others in their place.

    :param can_wait: whether the host may wait for an accelerator; if not, it is not asked.
    :raises BatchError: if one is NaN; the message names the first.
    """
    if not (is_validation_enabled() and (can_wait or is_free_to_read(y))):
        return
    if math.isnan(float(y.sum())):
        *rows, column = y.isnan().nonzero()[0].tolist()
        row, name = ", ".join(map(str, rows)), shown(labels[column].name)
        raise BatchError(
            f"row {row}, label {name} is missing (NaN): "
            "wanted its value; for training, ExactCCVAE_ELBO and CCVAE_ELBO know missing labels"
        )


def find_missing(y: Tensor | None, *, are_all_labeled: bool = False) -> Tensor | bool:
    """Which label vectors are missing, or whether all are, or none is.

    On an accelerator no value is waited for.

    :param are_all_labeled: whether no label is missing, if there are labels.
    :raises ValueError: if one is missing in part.
    :raises BatchError: if they are no tensor of real numbers.
    """
    if y is None:
        return True
    check_tensor(y, "labels")
    y = y[:, None] if y.ndim == 1 else y  # of a single label
    if is_free_to_read(y) and not math.isnan(float(y.sum())):
        return False
    is_missing = y.isnan().all(-1)
    if not is_free_to_read(y):  # one that is missing in part makes the loss NaN
        return is_missing if not are_all_labeled else False
    if not torch.equal(is_missing, y.isnan().any(-1)):
        raise ValueError(
            "single labels of an image are missing: wanted all of an image's labels, or none of "
            "them (all NaN); ExactCCVAE_ELBO takes single missing labels"
        )
    return True if is_missing.all() else is_missing


def of_shape(p_x: TorchDistribution, x: Tensor) -> TorchDistribution:
    """The likelihood, once its shape is compared with that of the images.

    It is Pyro that refuses one whose pixels are no event dimensions.

    :raises BatchError: if they differ: pixels would broadcast.
    """
    num_dims, shape = x.dim() - 1, p_x.batch_shape + p_x.event_shape
    if len(p_x.event_shape) > num_dims or shape[len(shape) - num_dims :] != x.shape[1:]:
        raise BatchError(
            f"wanted images of shape {tuple(p_x.event_shape)}, as the decoder's, got "
            f"{tuple(x.shape[1:])}"
        )
    return p_x


def should_check_values(tensor: Tensor | None, is_first: bool) -> bool:
    """Whether a training step checks values: on an accelerator, where it waits, in the first only.

    Pyro's validation switch turns all of it off.
    """
    return is_validation_enabled() and (is_first or is_free_to_read(tensor))
