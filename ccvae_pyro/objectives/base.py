"""What all objectives share: Pyro's ELBO with a loss that stays a tensor, and scored traces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from pyro import poutine
from pyro.distributions.util import scale_and_mask
from pyro.infer import Trace_ELBO
from pyro.infer.util import is_validation_enabled
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from pyro.util import check_model_guide_match, check_site_shape, warn_if_nan
from torch import Tensor

from ccvae_pyro.distributions._device import is_free_to_read

Sites = dict[str, Any]  # of a trace, by name


class TensorELBO(Trace_ELBO):
    """A :class:`~pyro.infer.Trace_ELBO` whose loss stays a tensor on an accelerator.

    Pyro's converts it to a number at once. Then the host waits until the accelerator has computed
    all queued work, and queues nothing meanwhile. On a CPU the loss is a number here too.

    Subclasses give the loss of two traces as ``_differentiable_loss_particle``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]

    def loss_and_grads(
        self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Returns the loss, and adds its gradient to that of the parameters."""
        total: Any = 0.0
        for traces in self._pairs(model, guide, args, kwargs):
            loss, surrogate = self._differentiable_loss_particle(*traces)
            if surrogate.requires_grad:
                (surrogate / self.num_particles).backward(retain_graph=self.retain_graph)
            total = total + loss / self.num_particles
        if not is_free_to_read(total):
            return total
        number: Any = float(total)
        return warn_if_nan(number, "loss")

    def differentiable_loss(
        self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Returns the loss as a tensor with a gradient."""
        total: Any = 0.0
        for traces in self._pairs(model, guide, args, kwargs):
            loss, surrogate = self._differentiable_loss_particle(*traces)
            total = total + (loss + (surrogate - surrogate.detach())) / self.num_particles
        return total

    @torch.no_grad()
    def loss(
        self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> float:
        """Returns the loss as a number."""
        return float(self.differentiable_loss(model, guide, *args, **kwargs))

    def _differentiable_loss_particle(
        self, model_trace: Trace, guide_trace: Trace
    ) -> tuple[Any, Tensor]:
        """The loss of two traces, and what has its gradient."""
        losses: Any = super()._differentiable_loss_particle  # untyped
        loss, surrogate = losses(model_trace, guide_trace)
        return loss, surrogate

    def _pairs(self, *args: Any) -> Iterator[tuple[Trace, Trace]]:
        """The traces of model and guide, for each particle."""
        yield from self._get_traces(*args)  # type: ignore[no-untyped-call]

    def _check(self, model_trace: Trace, guide_trace: Trace) -> None:
        """Has Pyro compare the sites of model and guide, where it validates."""
        if is_validation_enabled():
            check_model_guide_match(model_trace, guide_trace, self.max_plate_nesting)


class HandOn(Messenger):
    """Hands another value on to a function than the one that a trace outside records.

    A value with more dimensions, on the left of all plates, marks what depends on it: the batch
    shape of each later distribution that depends on it is longer, as with Pyro's enumeration.

    :param max_plate_nesting: the number of dimensions that plates take.
    """

    def __init__(self, max_plate_nesting: int) -> None:
        super().__init__()
        self.max_plate_nesting = max_plate_nesting
        self._handed: Tensor | None = None

    def _pyro_post_sample(self, msg: Any) -> None:
        if self._handed is not None:
            msg["value"], self._handed = self._handed, None

    def is_marked(self, fn: Any) -> bool:
        """Whether a distribution depends on a value that was handed on with more dimensions."""
        return len(fn.batch_shape) > self.max_plate_nesting

    def on_the_left(self, values: Tensor, fn: Any) -> Tensor:
        """Values with a leading dimension, moved to the left of all plates."""
        missing = self.max_plate_nesting + 1 + len(fn.event_shape) - values.dim()
        return values.view(len(values), *[1] * missing, *values.shape[1:])


class GivenLabels(HandOn):
    """Runs a model at given labels, and marks what depends on them.

    :param y: the labels.
    :param should_mark: whether to mark it.
    """

    def __init__(self, max_plate_nesting: int, y: Tensor, should_mark: bool = True) -> None:
        super().__init__(max_plate_nesting)
        self.y, self.should_mark = y, should_mark
        self.dependent: list[str] = []

    def _pyro_sample(self, msg: Any) -> None:
        if site_is_subsample(msg):
            return
        if msg["name"] == "y":
            msg["value"], msg["done"] = self.y, True
            if self.should_mark:
                self._handed = self.on_the_left(self.y.nan_to_num()[None], msg["fn"])
        elif self.is_marked(msg["fn"]):
            self.dependent.append(msg["name"])


def samples(trace: Trace, *but: str) -> Iterator[tuple[str, Any]]:
    """The sample sites of a trace other than those named, and plates."""
    for name, site in trace.nodes.items():
        if site["type"] == "sample" and name not in but and not site_is_subsample(site):
            yield name, site


def log_prob(site: Any, shape: torch.Size) -> Tensor:
    """The log-probability of a site, scaled and masked, for each label vector: shape ``shape``.

    :raises ValueError: if the site lies outside of the labels' plates.
    """
    site["log_prob"] = value = scaled(site["fn"].log_prob(site["value"]), site)
    if is_validation_enabled():
        check_site_shape(site, max(len(shape), len(plate_shape(site))))
    if value.shape[value.dim() - len(shape) :] != shape:
        raise ValueError(
            f"each image has a weight of its own, but {site['name']!r}, of shape "
            f"{tuple(value.shape)}, is outside of the plates of 'y', {tuple(shape)}"
        )
    return value if value.shape == shape else value.sum_to_size(shape)


def plate_shape(site: Any) -> torch.Size:
    """The shape of the plates that a site is in, those of vectorized particles among them."""
    frames = [frame for frame in site["cond_indep_stack"] if frame.vectorized]
    sizes = [1] * max((-frame.dim for frame in frames), default=0)
    for frame in frames:
        sizes[frame.dim] = frame.size
    return torch.Size(sizes)


def log_joint(trace: Trace, shape: torch.Size, *but: str) -> Tensor:
    """The log-probability of all sites but those named, for each label vector: shape ``shape``."""
    log_probs = [log_prob(site, shape) for _, site in samples(trace, *but)]
    return sum(log_probs[1:], start=log_probs[0]) if log_probs else torch.zeros(())


def scaled(term: Tensor, site: Any) -> Tensor:
    """A term of a bound, scaled and masked as the site that it belongs to."""
    scaled: Tensor = scale_and_mask(term, site["scale"], site["mask"])
    return scaled


def run_model(
    model: Callable[..., Any], guide_trace: Trace, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Trace:
    """Traces a model whose latents have the guide's values."""
    return poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(*args, **kwargs)


def keep(trace: Trace, name: str, value: Any) -> None:
    """Keeps a value in a trace, at a node that whatever sums over its sample sites passes by."""
    trace.add_node(name, name=name, type="value", value=value)


def check_pathwise(guide_trace: Trace) -> None:
    """Refuses latents without a pathwise gradient: no other gradient would reach their parameters.

    :raises ValueError: if one but the labels has no ``rsample``.
    """
    for name, site in samples(guide_trace, "y"):
        if not site["is_observed"] and not site["fn"].has_rsample:
            raise ValueError(
                f"wanted latents of the guide that have rsample, got {name!r}, {site['fn']}: "
                "no gradient would reach it"
            )
