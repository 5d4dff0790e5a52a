"""Registration of parameters with Pyro: what SVI and an optimizer get to see."""

import pyro
import pytest
import torch
from helpers import make_ccvae
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam

from ccvae_pyro import (
    CCVAE_ELBO,
    Binary,
    Categorical,
    Continuous,
    ExactCCVAE_ELBO,
    celeba,
    fit_sampler,
)
from ccvae_pyro.models import BASELINES, baseline, register


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


def test_a_model_is_printed_as_its_labels_sizes_and_numbers_of_parameters():
    torch.set_default_dtype(torch.float32)
    labels = [
        Binary("hat"),
        Binary("beard\n"),
        Categorical("hair", tuple("abc")),
        Continuous("age"),
    ]
    ccvae = celeba(labels=labels, z_dim=45)
    ccvae.decoder.requires_grad_(False)
    counts = {
        name: sum(each.numel() for each in part.parameters())
        for name, part in ccvae.named_children()
    }
    assert str(ccvae).splitlines() == [
        f"CCVAE of 3x64x64 images: {sum(counts.values()):,} parameters, "
        f"{counts['decoder']:,} of them frozen (float32 on cpu)",
        "  2 binary labels: hat, beard",
        "  1 categorical label: hair (3 classes)",
        "  1 continuous label: age",
        "  latents: z_c 5, z_style 40",
        f"  encoder            GaussianEncoder: {counts['encoder']:,} parameters",
        f"  decoder            LaplaceDecoder: {counts['decoder']:,} parameters, "
        f"{counts['decoder']:,} of them frozen",
        f"  classifier         MixedClassifier: {counts['classifier']:,} parameters",
        f"  conditional_prior  MixedConditionalPrior: {counts['conditional_prior']:,} parameters",
        "  style_prior        StandardNormal: no parameters",
        "  label_prior        MixedLabelPrior: no parameters",
    ]


def test_a_printed_model_has_its_fitted_sampler_and_the_first_of_many_labels(ccvae, batch):
    ccvae.sampler = fit_sampler(ccvae, [batch])
    assert "\n  sampler " in repr(ccvae)
    names = repr(celeba(labels=[Binary(f"label {i}") for i in range(40)])).splitlines()[1]
    assert names.startswith("  40 binary labels: label 0, label 1, ")
    assert names.endswith("label 7 and 32 more")


@pytest.mark.parametrize("name", BASELINES)
def test_a_printed_baseline_has_the_size_of_its_latents(name):
    model = baseline(name, [Binary("hat")], z_dim=45)
    assert repr(model).startswith(f"{type(model).__name__} of 3x64x64 images: ")
    sizes = model.latent_sizes or model.vae.latent_sizes
    assert sum(sizes.values()) == 45
