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
from pyro.util import check_model_guide_match, warn_if_nan
from torch import Tensor

from ccvae_pyro.distributions._device import is_free_to_read

Program = Callable[..., Any]  # a model or a guide


class TensorELBO(Trace_ELBO):
    """A :class:`~pyro.infer.Trace_ELBO` whose loss stays a tensor on an accelerator.

    Pyro's converts it to a number at once. Then the host waits until the accelerator has computed
    all queued work, and queues nothing meanwhile. On a CPU the loss is a number here too.

    """

    #: Whether the labels of all batches are complete. On a CPU that is looked up. Elsewhere the
    #: host would wait for it, so that the terms of missing labels are computed unless this is
    #: True; a label that is missing all the same then makes the loss NaN.
    are_all_labeled: bool = False
    #: The loss of a particle: a tensor, of all that ``_get_trace`` returns.
    _loss: Callable[..., Tensor]

    def loss_and_grads(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Any:
        """Returns the loss, and adds its gradient to that of the parameters."""
        losses = []
        for loss in self._losses(model, guide, *args, **kwargs):
            if loss.requires_grad:
                loss.backward(retain_graph=self.retain_graph)
            losses.append(loss.detach())
        total: Any = sum(losses[1:], start=losses[0])
        if is_free_to_read(total):
            total = float(total)
            warn_if_nan(total, "loss")
        return total

    def differentiable_loss(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the loss as a tensor with a gradient."""
        return sum(self._losses(*args, **kwargs))

    @torch.no_grad()
    def loss(self, *args: Any, **kwargs: Any) -> float:
        """Returns the loss as a number."""
        return float(self.differentiable_loss(*args, **kwargs))

    def _losses(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Any:
        """The share that each particle has in the loss."""
        traces: Any = self._get_traces  # untyped
        for of_particle in traces(model, guide, args, kwargs):
            loss = self._loss(*of_particle)
            yield loss if self.num_particles == 1 else loss / self.num_particles


class HandOn(Messenger):
    """Hands another value on to a function than the one that a trace outside records.

    A value with more dimensions, on the left of all plates, marks what depends on it: the batch
    shape of each later distribution that depends on it is longer, as with Pyro's enumeration.

    :param max_plate_nesting: the number of dimensions that plates take.
    """

    _handed: Tensor | None = None

    def __init__(self, max_plate_nesting: int) -> None:
        super().__init__()
        self.max_plate_nesting = max_plate_nesting

    def _pyro_post_sample(self, msg: Any) -> None:
        if self._handed is not None:
            msg["value"], self._handed = self._handed, None

    def on_the_left(self, values: Tensor, fn: Any) -> Tensor:
        """Values with a leading dimension, moved to the left of all plates."""
        missing = self.max_plate_nesting + 1 + len(fn.event_shape) - values.dim()
        return values.view(len(values), *[1] * missing, *values.shape[1:])


def run_model(
    elbo: TensorELBO, model: Program, guide_trace: Trace, y: Tensor, args: Any, kwargs: Any
) -> tuple[Trace, list[str]]:
    """Traces a model whose latents have the guide's values, and whose labels are given.

    :returns: the trace, and the names of the sites that depend on the labels.
    :raises ValueError: if a latent of the guide has no ``rsample``, one of the two has no labels,
        or a latent of the model is not in the guide.
    """
    q_y = site_of(guide_trace, "y", "guide")
    check_pathwise(guide_trace)
    marked = y[(None,) * (elbo.max_plate_nesting + 2 - y.dim())]
    q_y["infer"]["is_auxiliary"] = True  # as the model observes its labels
    given_y = poutine.condition(model, {"y": marked})
    traced = poutine.trace(poutine.replay(given_y, guide_trace))
    try:
        traced(*args, **kwargs)
    finally:  # a latent that only the model samples may be of a shape with which the model fails
        for name, site in samples(traced.trace, "y"):
            if not site["is_observed"]:
                site_of(guide_trace, name, "guide")
    trace = traced.trace
    site_of(trace, "y", "model")
    if is_validation_enabled():
        check_model_guide_match(trace, guide_trace, elbo.max_plate_nesting)
    sites = samples(trace, "y")
    return trace, [name for name, site in sites if is_marked(site["fn"], elbo.max_plate_nesting)]


def is_marked(fn: Any, max_plate_nesting: int) -> bool:
    """Whether a distribution depends on a value with more dimensions than plates take."""
    return len(fn.batch_shape) > max_plate_nesting


def samples(trace: Trace, *but: str) -> Iterator[tuple[str, Any]]:
    """The sample sites of a trace other than those named, and plates."""
    for name, site in trace.nodes.items():
        if site["type"] == "sample" and name not in but and not site_is_subsample(site):
            yield name, site


def site_of(trace: Trace, name: str, whose: str) -> Any:
    """A sample site.

    :param whose: whose trace it is, ``"model"`` or ``"guide"``.
    :raises ValueError: if there is none of this name; says which there are.
    """
    if (site := dict(samples(trace)).get(name)) is None:
        found = ", ".join(repr(other) for other, _ in samples(trace)) or "none"
        raise ValueError(f"the {whose} has no sample site {name!r}: found {found}")
    return site


def log_prob(site: Any, shape: torch.Size) -> Tensor:
    """The log-probability of a site, scaled and masked, for each label vector: shape ``shape``.

    :raises ValueError: if the site lies outside of the labels' plates.
    """
    value = scaled(site["fn"].log_prob(site["value"]), site)
    if value.shape == shape:
        return value
    for _ in range(value.dim() - max(len(shape), len(plate_shape(site)))):
        # In a sample dimension, the sample of the ELBO is first.
        value = value[0] if len(value) > 1 else value.squeeze(0)
    if value.shape[value.dim() - len(shape) :] != shape:
        raise ValueError(
            f"each image has a weight of its own, but {site['name']!r}, of shape "
            f"{tuple(value.shape)}, is outside of the plates of 'y', {tuple(shape)}"
        )
    return value.sum_to_size(shape)


def plate_shape(site: Any) -> torch.Size:
    """The shape of the plates that a site is in, those of vectorized particles among them."""
    sizes = {frame.dim: frame.size for frame in site["cond_indep_stack"] if frame.vectorized}
    return torch.Size(sizes.get(dim, 1) for dim in range(min(sizes, default=0), 0))


def log_joint(trace: Trace, shape: torch.Size, *but: str) -> Tensor:
    """The log-probability of all sites but those named, for each label vector: shape ``shape``."""
    log_probs = [log_prob(site, shape) for _, site in samples(trace, *but)]
    return sum(log_probs[1:], start=log_probs[0]) if log_probs else torch.zeros(())


def scaled(term: Tensor, site: Any) -> Tensor:
    """A term of a bound, scaled and masked as the site that it belongs to."""
    return scale_and_mask(term, site["scale"], site["mask"])  # type: ignore[no-any-return]


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
