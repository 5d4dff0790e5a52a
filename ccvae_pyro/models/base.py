"""The common base class of all models, and the registration of their parameters with Pyro."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, overload

import pyro
import torch
from pyro.distributions import TorchDistribution
from pyro.infer.util import is_validation_enabled
from pyro.params import param_with_module_name
from pyro.poutine.runtime import _PYRO_STACK
from pyro.poutine.trace_messenger import TraceMessenger
from torch import Tensor, nn

from ccvae_pyro.components.calibration import Calibration
from ccvae_pyro.components.fitted_sampler import FittedSampler
from ccvae_pyro.components.linear_probe import LinearProbe
from ccvae_pyro.data._summary import label_lines
from ccvae_pyro.data.preprocessing import Preprocessing
from ccvae_pyro.distributions._seed import seeded
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.labels import Label, check_distinct, index_of
from ccvae_pyro.models import _contract

NUM_SAMPLES = 500  # for the moments of a distribution without a formula for them


class ImageModel(nn.Module):
    """A generative model of labeled images, with a guide.

    Subclasses have methods ``model`` and ``guide``, both called with images and labels, and
    override those methods below that their latents allow. The other methods raise
    :class:`~ccvae_pyro.UnsupportedError`.

    The latents of a model are ``z_c``, which belong to the labels, and ``z_style``, all others.

    :param labels: descriptions of the labels, in the order of the columns of ``y``.
    """

    #: The shape of an image, where the networks fix it: ``(channels, height, width)``.
    image_shape: tuple[int, ...] | None = None
    #: What :func:`~ccvae_pyro.generate` samples latents from by default, in place of the priors:
    #: see :func:`~ccvae_pyro.fit_sampler`. It is no part of the state dict.
    sampler: FittedSampler | None
    #: Whether labels are predicted from the priors by Bayes' rule, in place of the classifier: see
    #: :func:`~ccvae_pyro.evaluation.choose_predictor`. Training always uses the classifier.
    predicts_by_bayes_rule: bool = False
    #: What corrects the confidence of predicted labels, if anything does: see
    #: :func:`~ccvae_pyro.calibrate`. It belongs to the classifier that it was fitted to.
    calibration: Calibration | None
    #: What predicts labels from all latents in place of the classifier, if anything does: see
    #: :func:`~ccvae_pyro.fit_probe`.
    probe: LinearProbe | None

    def __init__(self, labels: Sequence[Label]) -> None:
        super().__init__()
        check_distinct(labels)
        self.labels = tuple(labels)
        self._has_checked_values = False
        self._last_batch = _contract.LastBatch()
        # The preset that built this model and its arguments: a checkpoint builds it again by them.
        self.config: dict[str, Any] | None = None
        # How the images that it was trained on were prepared: read_image prepares others by it.
        self.preprocessing: Preprocessing | None = None
        self.register_module("sampler", None)
        self.register_module("calibration", None)
        self.register_module("probe", None)

    def __repr__(self) -> str:
        """Labels, sizes and numbers of parameters, in a line for each part."""
        sizes = ", ".join(f"{name} {size}" for name, size in self.latent_sizes.items())
        shape = "x".join(map(str, self.image_shape)) + " " if self.image_shape else ""
        parts = dict(self.named_children())
        width = max(map(len, parts), default=0)
        lines = [
            f"{type(self).__name__} of {shape}images: {_parameters(self)}{_place(self)}",
            *label_lines(self.labels),
            *([f"latents: {sizes}"] if sizes else []),
            *(
                f"{name:{width}}  {type(part).__name__}: {_parameters(part)}"
                for name, part in parts.items()
            ),
        ]
        return "\n  ".join(lines)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the labels, in the order of the columns of ``y``."""
        return tuple(label.name for label in self.labels)

    def label_of(self, label: str | int) -> Label:
        """The description of a label, given by its name, which is text, or by its index.

        :raises ValueError: if there is no such label.
        """
        return self.labels[index_of(label, self.label_names)]

    @property
    def image_range(self) -> tuple[float, float]:
        """The least and the greatest value of a pixel, as the decoder declares them."""
        return getattr(getattr(self, "decoder", None), "image_range", (-math.inf, math.inf))

    @property
    def image_dims(self) -> int | None:
        """The number of dimensions of an image, if it is known."""
        return getattr(getattr(self, "decoder", None), "event_dim", None)

    @property
    def latent_sizes(self) -> dict[str, int]:
        """The number of dimensions of each latent, by its name; empty where that is unknown."""
        return {}

    @overload
    def checked_batch(self, x: Tensor | None, y: Tensor) -> Tensor: ...
    @overload
    def checked_batch(self, x: Tensor | None, y: None) -> None: ...
    @overload
    def checked_batch(self, x: Tensor | None, y: Tensor | None) -> Tensor | None: ...
    def checked_batch(self, x: Tensor | None, y: Tensor | None) -> Tensor | None:
        """The labels of a training step as the model has them, once they and images are checked.

        A ``model`` and a ``guide`` call it first. Shapes, dtypes and devices are compared at every
        step. Values are compared too, on an accelerator in the first step only: there the host
        would wait for them. Pyro's validation switch turns the comparison of values off.

        :param x: images, shape ``(batch, channels, height, width)``, of the model's dtype, in
            :attr:`image_range`.
        :param y: labels of any dtype, NaN where missing, shape ``(batch, num_labels)``. A single
            label may have shape ``(batch,)``, a single categorical one may be one-hot.
        :returns: labels of the model's dtype, shape ``(batch, num_labels)``.
        :raises BatchError: if they are not; the message says what was got and what was wanted.
        """
        if self._last_batch.is_same(x, y):
            return self._last_batch.pop()
        given = y if x is None else x
        with_values = _contract.should_check_values(given, is_first=not self._has_checked_values)
        labels, like = None, next(self.parameters(), None)
        if x is not None:
            _contract.check_images(self, x, like, with_values=with_values)
        if y is not None:
            num_images = None if x is None else len(x)
            labels = _contract.to_labels(self, y, like, num_images, with_values=with_values)
        self._has_checked_values |= with_values
        self._last_batch.remember(x, y, labels)
        return labels

    def forget_fitted(self) -> None:
        """Removes what was fitted or chosen after training, for the parameters as they were."""
        self.sampler = self.calibration = self.probe = None
        self.predicts_by_bayes_rule = False

    def check_images(self, x: Tensor) -> None:
        """Checks images as :meth:`checked_batch` does, pixels always if Pyro validates."""
        like = next(self.parameters(), None)
        _contract.check_images(self, x, like, with_values=is_validation_enabled())

    def checked_labels(
        self, y: Tensor, num_images: int | None = None, *, soft: bool = False
    ) -> Tensor:
        """Labels as :meth:`checked_batch` returns them, their values always checked.

        :param num_images: the number of images, if there are any.
        :param soft: whether a binary label may be a probability, anywhere between 0 and 1.
        """
        like = next(self.parameters(), None)
        return _contract.to_labels(self, y, like, num_images, with_values=True, soft=soft)

    def q_y_x(self, x: Tensor) -> TorchDistribution:
        r"""The predictive distribution of the labels, :math:`q(y \mid x)`."""
        raise self._cannot("predict labels")

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior means of ``z_c`` and ``z_style``."""
        raise self._cannot("encode images")

    def decode(self, z_c: Tensor, z_style: Tensor) -> Tensor:
        """The mean image given latents of any leading shape."""
        raise self._cannot("decode images")

    def sample_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Samples of ``z_c`` and ``z_style`` from their priors given labels."""
        raise self._cannot("generate images with target labels")

    def sample_fitted_latents(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Samples of ``z_c`` and ``z_style`` from the fitted sampler given labels."""
        raise self._cannot("generate images by a fitted sampler")

    def latent_slice(self, index: int) -> slice:
        """The position of a label's latents in ``z_c``."""
        raise self._cannot("change one label of an image")

    def latent_prior(self, index: int, value: float) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the prior of a label's latents, given its value."""
        raise self._cannot("change one label of an image")

    def label_vector_with(self, index: int, value: float) -> Tensor:
        """A label vector with one label set to a value, and all others 0."""
        y = next(self.parameters()).new_zeros(len(self.labels))
        y[index] = value
        return y

    def _cannot(self, action: str) -> UnsupportedError:
        return UnsupportedError(f"{type(self).__name__} cannot {action}")


def moments(fn: TorchDistribution) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation; of samples if there is no formula, as for a flow."""
    try:
        return fn.mean, fn.variance.sqrt()
    except NotImplementedError:
        with seeded(0):  # so that the result is the same every time
            samples = fn(torch.Size((NUM_SAMPLES,)))
        return samples.mean(0), samples.std(0)


def _parameters(module: nn.Module) -> str:
    """The number of a module's parameters in words."""
    count = sum(each.numel() for each in module.parameters())
    frozen = sum(each.numel() for each in module.parameters() if not each.requires_grad)
    rest = f", {frozen:,} of them frozen" if frozen else ""
    return f"{count:,} parameters{rest}" if count else "no parameters"


def _place(module: nn.Module) -> str:
    """The dtypes and devices of a module's parameters."""
    places = {(str(each.dtype), str(each.device)) for each in module.parameters()}
    shown = [f"{dtype.removeprefix('torch.')} on {device}" for dtype, device in sorted(places)]
    return f" ({', '.join(shown)})" if shown else ""


def register(name: str, model: nn.Module) -> None:
    """Registers a model's parameters with Pyro, as :func:`pyro.module` does.

    In contrast to :func:`pyro.module`, two models of the same name both train. Pyro's parameter
    store keeps the first tensor under a name, and an optimizer steps the tensors of the store:
    the parameters of the second model would never move. Here they replace those of the first.

    A parameter is announced to Pyro's handlers once in a step of :class:`pyro.infer.SVI`, which is
    all that SVI needs, and not again by each run of model and guide: that would take most of the
    time. One of the parameters is announced each time: Pyro's ELBOs take no gradient of a trace
    without any.
    """
    store = pyro.get_param_store()
    captured = _captured_sites()
    is_first = True
    for parameter_name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        site = param_with_module_name(name, parameter_name)
        if store.param_name(parameter) != site:
            _store(site, parameter)
        elif not is_first and site in captured and captured[site]["value"] is parameter:
            continue
        pyro.param(site)
        is_first = False


def _store(site: str, parameter: nn.Parameter) -> None:
    """Puts a parameter into Pyro's store, in place of any other tensor of that name."""
    store = pyro.get_param_store()
    if site in store:
        store[site] = store[site]  # or else Pyro could not delete a tensor that has two names
        del store[site]
    if not parameter.is_contiguous():  # as with channels_last: the store would train a copy
        parameter.data = parameter.data.contiguous()
    store.setdefault(site, parameter)


def _captured_sites() -> dict[str, Any]:
    """The sites of the parameters that a running step of SVI has seen so far."""
    captures = [
        handler
        for handler in _PYRO_STACK
        if isinstance(handler, TraceMessenger) and handler.param_only
    ]
    return dict(captures[0].trace.nodes) if len(captures) == 1 else {}
