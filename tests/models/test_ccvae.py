import copy

import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import BATCH, NUM_LABELS, NUM_STYLE, seeded
from pyro import poutine
from pyro.infer import SVI
from pyro.optim import Adam
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro import CCVAE, CCVAE_ELBO


def test_model_is_the_product_of_its_factors(ccvae, batch):
    x, y = batch
    trace = poutine.trace(ccvae.model).get_trace(x, y)
    z_c, z_style = (trace.nodes[name]["value"] for name in ("z_c", "z_style"))
    expected = ccvae.label_prior().log_prob(y) + ccvae.conditional_prior(y).log_prob(z_c)
    expected += ccvae.style_prior().log_prob(z_style)
    expected += ccvae.decoder(torch.cat([z_c, z_style], -1)).log_prob(x)
    assert_close(trace.log_prob_sum(), expected.sum())


def test_sites_have_the_shapes_of_the_notation(ccvae, batch):
    trace = poutine.trace(ccvae.guide).get_trace(*batch)
    assert trace.nodes["z_c"]["value"].shape == (BATCH, NUM_LABELS)
    assert trace.nodes["z_style"]["value"].shape == (BATCH, NUM_STYLE)
    assert trace.nodes["y"]["is_observed"]
    unlabeled = poutine.trace(ccvae.guide).get_trace(batch[0])
    assert not unlabeled.nodes["y"]["is_observed"]


def test_every_parameter_moves_in_one_step_of_svi(batch):
    # Pyro's store keeps contiguous copies: a weight laid out otherwise would stand still.
    ccvae = ccvae_pyro.celeba(num_labels=3, z_dim=5)
    before = {name: p.clone() for name, p in ccvae.named_parameters()}
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-3}), loss=CCVAE_ELBO())
    svi.step(torch.rand(4, 3, 64, 64), batch[1])
    still = [name for name, p in ccvae.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_a_copy_trains_on_its_own(ccvae, batch):
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-3}), loss=CCVAE_ELBO())
    svi.step(*batch)
    twin = copy.deepcopy(ccvae)
    SVI(twin.model, twin.guide, Adam({"lr": 1e-3}), loss=CCVAE_ELBO()).step(*batch)
    names = [name for name, _ in ccvae.named_parameters()]
    pairs = zip(ccvae.parameters(), twin.parameters(), strict=True)
    assert [n for n, (p, q) in zip(names, pairs, strict=True) if torch.equal(p, q)] == []


def test_another_conditional_prior_is_swapped_in(ccvae, batch):
    class MixturePrior(torch.nn.Module):
        """Two ways to have each label, and two not to."""

        def __init__(self):
            super().__init__()
            self.loc = torch.nn.Parameter(torch.randn(2, 2, NUM_LABELS))

        def forward(self, y):
            loc = torch.lerp(self.loc[:, 0], self.loc[:, 1], y[..., None, :])
            components = pyro.distributions.Normal(loc, 1.0).to_event(1)
            which = pyro.distributions.Categorical(torch.ones(*loc.shape[:-1]))
            return pyro.distributions.MixtureSameFamily(which, components)

    ccvae.conditional_prior = MixturePrior()
    before = ccvae.conditional_prior.loc.clone()
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-2}), loss=CCVAE_ELBO(10))
    losses = [svi.step(*batch) + svi.step(batch[0]) for _ in range(100)]
    assert sum(losses[-20:]) < sum(losses[:20])
    assert not torch.equal(before, ccvae.conditional_prior.loc)


@pytest.mark.parametrize("preset", ["celeba", "mnist"])
def test_presets_refuse_sizes_that_disagree(preset):
    make = getattr(ccvae_pyro, preset)
    with pytest.raises(ValueError, match=r"must exceed .* that the labels take, 5"):
        make(num_labels=5, z_dim=5)
    with pytest.raises(ValueError, match=r"must have shape \(5,\)"):
        make(num_labels=5, z_dim=9, label_prior=torch.full((4,), 0.5))
    with pytest.raises(ValueError, match="5 labels need as many names, got 2"):
        make(num_labels=5, z_dim=9, label_names=["a", "b"])


def test_default_preset_is_the_papers(batch):
    ccvae = ccvae_pyro.celeba()
    q_z_c, q_z_style = ccvae.encoder(torch.zeros(1, 3, 64, 64))
    assert (q_z_c.event_shape, q_z_style.event_shape) == ((18,), (27,))
    assert CCVAE_ELBO().num_label_samples == 100
    assert CCVAE_ELBO().stop_gradient


def test_float32_stays_float32(ccvae, batch):
    ccvae, batch = ccvae.float(), [tensor.float() for tensor in batch]
    trace = poutine.trace(ccvae.model).get_trace(*batch)
    trace.compute_log_prob()
    sites = trace.stochastic_nodes + trace.observation_nodes
    dtypes = {trace.nodes[name]["log_prob"].dtype for name in sites if name != "data"}
    assert dtypes == {torch.float32}
    assert seeded(CCVAE_ELBO().differentiable_loss, ccvae.model, ccvae.guide, *batch).isfinite()


class _Fixed(torch.nn.Module):
    """A prior of one distribution."""

    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self):
        return self.fn


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        ("encoder", lambda x: x, "encoder must be a module .nn.Module., got function"),
        (
            "label_prior",
            _Fixed(dist.Bernoulli(torch.full((3,), 0.5))),
            r"event shape \(3,\).*\(\)",
        ),
        ("label_prior", _Fixed(dist.Bernoulli(torch.full((2,), 0.5)).to_event(1)), r"\(3,\)"),
        ("style_prior", _Fixed(dist.Normal(torch.zeros(2), 1.0)), r"\(num_style,\).*Normal.*\(\)"),
    ],
)
def test_a_part_that_breaks_its_contract_is_refused_when_the_model_is_built(
    ccvae, name, part, message
):
    names = ("encoder", "decoder", "classifier", "conditional_prior", "style_prior", "label_prior")
    parts = {each: getattr(ccvae, each) for each in names} | {name: part}
    with pytest.raises(ValueError, match=message):
        CCVAE(**parts, labels=ccvae.labels)
