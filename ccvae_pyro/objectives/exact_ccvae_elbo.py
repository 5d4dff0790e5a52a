"""The CCVAE bound, exact in its labels."""

from __future__ import annotations

from typing import Any

import torch
from pyro import poutine
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import Normal

from ccvae_pyro.distributions.label_vector import AffineLabels, missing_labels
from ccvae_pyro.distributions.labelwise_prior import LabelwisePrior, check_kinds, is_vector_of
from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.objectives._posterior import LabelPosterior, LabelTerms, divergence
from ccvae_pyro.objectives.base import (
    HandOn,
    Program,
    TensorELBO,
    is_marked,
    plate_shape,
    run_model,
    samples,
    scaled,
    site_of,
)
from ccvae_pyro.objectives.label_consistency import label_consistency


class ExactCCVAE_ELBO(TensorELBO):
    r"""The CCVAE bound on :math:`\log p(x, y)`, where any of the labels may be missing.

    Where each label depends on a characteristic of its own, the posterior of these given the
    labels is a product of tilted Normals, and Eq. (4) of Joy et al. (2021) is

    .. math::
        \mathcal{L}(x, y) = \mathbb{E}_{q(z \mid x, y)} [\log p(x \mid z)]
        + \sum_i \ell_i(y_i)
        - \operatorname{KL}(q(z_{\setminus c} \mid x) \,\|\, p(z_{\setminus c})) , \qquad
        \ell_i(y_i) = \log p(y_i)
        - \operatorname{KL}(q(z_c^i \mid x, y_i) \,\|\, p(z_c^i \mid y_i)) .

    A missing label, NaN, is summed out. For a label vector without any label this is Eq. (5):

    .. math::
        \ell_i = \sum_{y_i} q(y_i \mid x) \left( \ell_i(y_i) - \log q(y_i \mid x) \right)

    Each term is a one-dimensional integral and is computed as such; only :math:`z` is sampled,
    once, for the image. The bound by itself does not ask for a classifier: a posterior that is
    given the label need not infer it from the image. ``classification_weight`` asks for it, by

    .. math:: \alpha \sum_{i \text{ known}} \log q(y_i \mid x) .

    Structure is declared by type. The objective reads slopes and offsets from the guide's labels,
    an :class:`~ccvae_pyro.distributions.AffineLabels`, and the prior given each value of a label
    from the model's :class:`~ccvae_pyro.distributions.LabelwisePrior`. Any other distribution is
    an error. A step takes one run of the guide and one of the model, so one pass of the encoder
    and one of the decoder, whatever the number of labels.

    Nor does the bound ask that images generated for target labels show them.
    ``consistency_weight`` does, by :func:`~ccvae_pyro.objectives.label_consistency` for a quarter
    as many images as a batch has, each of which counts four times. That is another quarter of a
    pass of either network.

    :param classification_weight: :math:`\alpha`.
    :param consistency_weight: the coefficient of the label-consistency term.
    :param max_plate_nesting: the number of plates that the model nests.
    :param kwargs: passed to :class:`~pyro.infer.Trace_ELBO`, for example ``num_particles``.
    :raises ValueError: if ``consistency_weight`` goes with ``vectorize_particles``; at a step, if
        a label has a value that is not of its kind.
    :raises NotFactorizedError: at a step, if model or guide do not declare factors for each label;
        :class:`~ccvae_pyro.CCVAE_ELBO` takes any.
    """

    def __init__(
        self,
        classification_weight: float = 0.0,
        *,
        consistency_weight: float = 0.0,
        max_plate_nesting: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(max_plate_nesting=max_plate_nesting, **kwargs)  # type: ignore[no-untyped-call]
        self.classification_weight = classification_weight
        self.consistency_weight = consistency_weight
        if consistency_weight and self.vectorize_particles and self.num_particles > 1:
            raise ValueError(
                "with consistency_weight, particles are run one by one: wanted "
                "vectorize_particles=False, got True"
            )

    def _get_trace(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Any:
        reader = _GuideReader(self.max_plate_nesting)
        with poutine.trace() as traced, reader:
            guide(*args, **kwargs)
        site_of(traced.trace, "y", "guide")
        guide_trace, name, q_y = traced.trace, reader.name, reader.q_y
        q_z_c: Any = guide_trace.nodes[name]
        is_complete = self.are_all_labeled and reader.is_labeled
        posterior = LabelPosterior(q_z_c["fn"].base_dist, q_y, reader.y, is_complete=is_complete)
        q_z_c["value"] = posterior.rsample()

        model_trace, dependents = run_model(
            self, model, guide_trace, reader.y.nan_to_num(), args, kwargs
        )
        factors = _factors(model_trace, dependents, name)
        p_y: Any = model_trace.nodes["y"]["fn"]
        for labels in (q_y, p_y):
            check_kinds(labels, factors)
        terms = posterior.terms(p_y, factors, self.classification_weight)
        consistency = _consistency(model, guide, args[0]) if self.consistency_weight else None
        return model_trace, guide_trace, name, terms, consistency

    def _loss(
        self, model_trace: Any, guide_trace: Any, name: str, terms: LabelTerms, consistency: Any
    ) -> Any:
        q_y, q_z_c, p_y = guide_trace.nodes["y"], guide_trace.nodes[name], model_trace.nodes["y"]
        elbo = scaled(terms.log_p_y, p_y) + scaled(terms.log_q_y_x, q_y) - scaled(terms.kl, q_z_c)
        for key, site in samples(guide_trace, "y", name):
            elbo = _add(elbo, scaled(_cost(key, site, model_trace), site), sign=-1)
        for _, site in samples(model_trace, "y", name):
            if site["is_observed"]:
                elbo = _add(elbo, scaled(site["fn"].log_prob(site["value"]), site))
        loss = -elbo.sum()
        return loss if consistency is None else loss - self.consistency_weight * consistency


class _GuideReader(HandOn):
    r"""Reads from one run of a guide which latent its labels depend on, and how.

    Latents and labels are handed on marked, so that what else depends on them is noticed.

    After the run, ``name`` is the site of ``z_c``, ``q_y`` the labels' distribution, and ``y`` the
    labels, NaN where missing.
    """

    name: str
    q_y: AffineLabels
    y: Tensor
    is_labeled: bool

    def __enter__(self) -> _GuideReader:
        self.sites: dict[str, tuple[Any, Tensor]] = {}
        self.is_past_labels = False
        super().__enter__()
        return self

    def _pyro_sample(self, msg: Any) -> None:
        if site_is_subsample(msg):
            return
        fn = msg["fn"]
        if msg["name"] == "y":
            self._read_labels(msg, fn)
        elif is_marked(fn, self.max_plate_nesting):
            raise NotFactorizedError(f"{msg['name']!r} of the guide depends on z_c or on a label")
        elif not self.is_past_labels and not msg["is_observed"]:
            msg["value"], msg["done"] = fn(), True
            self._handed = self.on_the_left(msg["value"][None], fn)
            self.sites[msg["name"]] = fn, self._handed

    def _read_labels(self, msg: Any, fn: Any) -> None:
        if not isinstance(fn, AffineLabels):
            raise NotFactorizedError(
                f"'y' of the guide is {_short(fn)}, which declares no slopes and offsets: wanted "
                "AffineLabels of a latent"
            )
        names = [name for name, (_, handed) in self.sites.items() if handed is fn.z_c]
        if not names:
            raise NotFactorizedError(
                "'y' of the guide is AffineLabels of a tensor that no latent of the guide "
                f"returned: wanted one of {', '.join(self.sites) or 'these, got none'}"
            )
        (self.name,) = names
        if not is_vector_of(q_z_c := self.sites[self.name][0], Normal):
            raise NotFactorizedError(
                f"{self.name!r} of the guide is {_short(q_z_c)}: wanted Normal(...).to_event(1)"
            )
        for group in fn.affine_groups:
            for what, parameter in group.parameters().items():
                if parameter.dim() > self.max_plate_nesting + 2:
                    raise NotFactorizedError(f"{what} of 'y' of the guide depend on {self.name!r}")
        self.q_y = fn
        shape = plate_shape(msg) + fn.event_shape
        self.is_labeled = msg["is_observed"]
        self.y = msg["value"] if self.is_labeled else missing_labels(fn).view(shape)
        msg["value"], msg["done"] = self.y, True
        self._handed = self.on_the_left(self.y[None], q_z_c)
        self.is_past_labels = True


def _factors(model_trace: Any, dependent: list[str], name: str) -> Any:
    """The factors of the conditional prior, on which alone labels may bear."""
    if others := [other for other in dependent if other != name]:
        raise NotFactorizedError(
            f"{others[0]!r} of the model depends on 'y': wanted {name!r} alone to depend on it"
        )
    if not dependent:
        raise NotFactorizedError(f"{name!r} of the model does not depend on 'y'")
    fn = model_trace.nodes[name]["fn"]
    if not isinstance(fn, LabelwisePrior):
        raise NotFactorizedError(
            f"{name!r} of the model is {_short(fn)}, which declares no factor for each label: "
            "wanted a LabelwisePrior"
        )
    return fn.given_each_value


def _add(total: Tensor, term: Tensor, sign: int = 1) -> Tensor:
    """Adds terms of images, or their sums where they differ in shape."""
    if total.shape != term.shape:
        total, term = total.sum(), term.sum()
    return torch.add(total, term, alpha=sign)


def _consistency(model: Program, guide: Program, x: Tensor) -> Tensor:
    """The label-consistency term, from a quarter as many images as there are."""
    some = x[: -(-len(x) // 4)]
    return label_consistency(model, guide, some) * (len(x) / len(some))


def _cost(name: str, site: Any, model_trace: Any) -> Tensor:
    """The divergence of a guide's latent from the model's; the log-density of any other site."""
    if name in model_trace and not model_trace.nodes[name]["is_observed"]:
        return divergence(site["fn"], model_trace.nodes[name]["fn"])
    log_q: Tensor = site["fn"].log_prob(site["value"])
    return log_q


def _short(fn: Any) -> str:
    """A distribution on one line."""
    return " ".join(str(fn).split())
