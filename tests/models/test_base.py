"""Registration of parameters with Pyro: what SVI and an optimizer get to see."""

import pyro
import pytest
import torch
from helpers import make_ccvae
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam

from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO
from ccvae_pyro.models import register


def unmoved(model, before):
    return [name for name, p in model.named_parameters() if torch.equal(p, before[name])]


def start(model, loss):
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    return before, SVI(model.model, model.guide, Adam({"lr": 1e-2}), loss=loss)


@pytest.mark.parametrize(
    "objective",
    [CCVAE_ELBO(5), CCVAE_ELBO(5, num_particles=2), ExactCCVAE_ELBO(1.0)],
    ids=["one particle", "two particles", "exact"],
)
def test_every_parameter_moves_in_the_second_step_too(objective, batch):
    ccvae = make_ccvae()
    _, svi = start(ccvae, objective)
    svi.step(*batch)
    before = {name: p.detach().clone() for name, p in ccvae.named_parameters()}
    svi.step(*batch)
    assert unmoved(ccvae, before) == []


def test_each_particle_adds_its_gradient(batch):
    def objective(num_particles):
        return Trace_ELBO(num_particles=num_particles, retain_graph=True)

    ccvae = make_ccvae()
    latents_only = poutine.block(ccvae.guide, hide=["y"])
    norms = []
    for num_particles in (1, 50):
        ccvae.zero_grad()
        with poutine.trace(param_only=True):
            objective(num_particles).loss_and_grads(ccvae.model, latents_only, *batch)
        norms.append(sum(p.grad.norm() for p in ccvae.decoder.parameters()))
    assert 0.5 < norms[1] / norms[0] < 2  # 1 / 50 if only the first particle had one


def test_svi_sees_every_parameter_and_each_run_one_at_least(ccvae, batch):
    with poutine.trace(param_only=True) as captured:
        runs = [poutine.trace(run).get_trace(*batch) for run in (ccvae.guide, ccvae.model)]
    seen = {site["value"] for site in captured.trace.nodes.values()}
    assert seen == set(ccvae.parameters())
    assert [len(run.param_nodes) for run in runs] == [len(seen), 1]


def test_two_models_of_one_name_take_turns_in_training(batch):
    first, second = make_ccvae(), make_ccvae()
    for model in (first, second, first):
        before, svi = start(model, CCVAE_ELBO(5))
        svi.step(*batch)
        assert unmoved(model, before) == []


def test_a_model_registered_under_two_names_is_replaced_under_both():
    for _ in range(2):
        ccvae = make_ccvae()
        for name in ("ccvae", "other"):
            register(name, ccvae)
    held = set(pyro.get_param_store().values())
    assert held == set(ccvae.parameters())
