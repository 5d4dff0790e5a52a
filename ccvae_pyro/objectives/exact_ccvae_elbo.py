"""The CCVAE bound, exact in its labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pyro import poutine
from pyro.infer.util import is_validation_enabled
from pyro.poutine import Trace
from pyro.poutine.util import prune_subsample_sites
from pyro.util import check_model_guide_match
from torch import Tensor

from ccvae_pyro.errors import NotFactorizedError
from ccvae_pyro.objectives._posterior import divergence
from ccvae_pyro.objectives._row_posterior import RowPosterior
from ccvae_pyro.objectives.base import TensorELBO
from ccvae_pyro.objectives.classifier_probe import ClassifierProbe
from ccvae_pyro.objectives.label_consistency import label_consistency
from ccvae_pyro.objectives.prior_probe import PriorProbe
from ccvae_pyro.objectives.traces import scaled


class ExactCCVAE_ELBO(TensorELBO):
    r"""The CCVAE bound on :math:`\log p(x, y)`, where any of the labels may be missing.

    Where a Normal posterior and a classifier have one dimension for each label, the posterior
    that knows the labels is a product of tilted Normals, and Eq. (4) of Joy et al. (2021) is

    .. math::
        \mathcal{L}(x, y) = \mathbb{E}_{q(z \mid x, y)} [\log p(x \mid z)]
        + \sum_i \ell_i(y_i)
        - \operatorname{KL}(q(z_{\setminus c} \mid x) \,\|\, p(z_{\setminus c})) , \qquad
        \ell_i(y_i) = \log p(y_i)
        - \operatorname{KL}(q(z_c^i \mid x, y_i) \,\|\, p(z_c^i \mid y_i)) .

    A missing label, NaN, is summed out, which for a row without any gives Eq. (5):

    .. math::
        \ell_i = \sum_{y_i} q(y_i \mid x) \left( \ell_i(y_i) - \log q(y_i \mid x) \right)

    Each term is a one-dimensional integral and is computed as such; only :math:`z` is drawn, once,
    for the image. The bound by itself does not ask for a classifier: a posterior that is told the
    label need not read it off the image. ``classification_weight`` asks in the open, by

    .. math:: \alpha \sum_{i \text{ known}} \log q(y_i \mid x) .

    A step costs one run of the guide and one of the model, so one pass of the encoder and one of
    the decoder, whatever the number of labels.

    Nor does the bound ask that images generated to labels show them. ``consistency_weight`` does, by
    the term of :func:`~ccvae_pyro.objectives.label_consistency.label_consistency` for a quarter as many images as a batch
    has, each of which counts four times. That is a quarter of a pass more of either network.

    :param classification_weight: :math:`\alpha`.
    :param consistency_weight: the coefficient of that term.
    :param max_plate_nesting: how many plates the model nests.
    :param kwargs: passed to :class:`~pyro.infer.Trace_ELBO`, for example ``num_particles``.
    :raises ValueError: if ``consistency_weight`` is to go with ``vectorize_particles``.
    :raises NotFactorizedError: at the first step, if model and guide do not factorize by label;
        :class:`~ccvae_pyro.CCVAE_ELBO` takes any.
    """

    def __init__(
        self,
        classification_weight: float = 0.0,
        *,
        consistency_weight: float = 0.0,
        max_plate_nesting: int = 1,
        **kwargs,
    ) -> None:
        super().__init__(max_plate_nesting=max_plate_nesting, **kwargs)
        self.classification_weight = classification_weight
        self.consistency_weight = consistency_weight
        if consistency_weight and self.vectorize_particles and self.num_particles > 1:
            raise ValueError(
                "with consistency_weight, particles are run one by one: wanted "
                "vectorize_particles=False, got True"
            )

    def _get_trace(
        self, model: Callable, guide: Callable, args: tuple, kwargs: dict
    ) -> tuple[Trace, Trace]:
        probe = ClassifierProbe(self.max_plate_nesting)
        guide_trace = poutine.trace(probe(guide)).get_trace(*args, **kwargs)
        z_c: Any = guide_trace.nodes[probe.name]
        y = guide_trace.nodes["y"]["value"]
        posterior = RowPosterior(z_c["fn"].base_dist, probe.parts, probe.lines, y)
        z_c["value"] = posterior.rsample()

        priors = PriorProbe(self.max_plate_nesting)
        replayed = poutine.replay(priors(model), trace=guide_trace)
        model_trace = poutine.trace(replayed).get_trace(*args, **kwargs)
        if is_validation_enabled():
            check_model_guide_match(model_trace, guide_trace, self.max_plate_nesting)
        if list(priors.priors) != [probe.name]:
            raise NotFactorizedError(
                f"of the model, only {probe.name!r} may depend on 'y', got {list(priors.priors)}"
            )
        terms = posterior.terms(priors, probe.name)
        # A node of another type than "sample": whatever sums over a trace passes it by.
        guide_trace.add_node("labels", name="labels", type="value", value=(probe.name, terms))
        if self.consistency_weight:
            orders = _orders(model, guide, args[0])
            guide_trace.add_node("orders", name="orders", type="value", value=orders)
        return prune_subsample_sites(model_trace), prune_subsample_sites(guide_trace)

    def _differentiable_loss_particle(
        self, model_trace: Trace, guide_trace: Trace
    ) -> tuple[Tensor, Tensor]:
        name, terms = guide_trace.nodes["labels"]["value"]
        q_y, q_z_c, p_y = (guide_trace.nodes["y"], guide_trace.nodes[name], model_trace.nodes["y"])
        classification = self.classification_weight * terms.log_q_y_x
        elbo = scaled(classification + terms.entropy, q_y).sum()
        elbo = elbo + scaled(terms.log_p_y, p_y).sum() - scaled(terms.kl, q_z_c).sum()
        for key, site in _samples(guide_trace, but=name):
            elbo = elbo - scaled(_cost(key, site, model_trace), site).sum()
        for key, site in _samples(model_trace, but=name):
            if key not in guide_trace:
                elbo = elbo + scaled(site["fn"].log_prob(site["value"]), site).sum()
        if self.consistency_weight:
            elbo = elbo + self.consistency_weight * guide_trace.nodes["orders"]["value"]
        return -elbo.detach(), -elbo


def _orders(model: Callable, guide: Callable, x: Tensor) -> Tensor:
    """The term about orders, from a quarter as many images as there are."""
    some = x[: -(-len(x) // 4)]
    return label_consistency(model, guide, some) * (len(x) / len(some))


def _cost(name: str, site: Any, model_trace: Trace) -> Tensor:
    """What a latent of the guide costs the bound: its divergence from the model's, if any."""
    if not site["fn"].has_rsample:
        raise NotFactorizedError(f"{name!r} of the guide, {site['fn']}, has no pathwise gradient")
    if name not in model_trace:  # an auxiliary latent
        return site["fn"].log_prob(site["value"])
    prior: Any = model_trace.nodes[name]["fn"]
    return divergence(site["fn"], prior)


def _samples(trace: Trace, but: str) -> Iterator[tuple[str, Any]]:
    """The sample sites other than that of the labels and their characteristics."""
    for name, site in trace.nodes.items():
        if site["type"] == "sample" and name not in ("y", but):
            yield name, site
