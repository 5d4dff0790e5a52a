"""Training and all that follows on a device without double precision, as Apple's are."""

import importlib

import numpy as np
import pytest
import torch
from pretended_device import OnDevice, pretended_device
from pyro.infer import SVI, Trace_ELBO

import ccvae_pyro as c
from ccvae_pyro import plotting
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.evaluation import importance
from ccvae_pyro.evaluation.benchmark import benchmark
from ccvae_pyro.models import BASELINES, baseline
from ccvae_pyro.objectives import DIVA_ELBO, M2_ELBO, MVAE_ELBO
from ccvae_pyro.training.classifier import train_classifier
from ccvae_pyro.training.optimizers import has_fused_adam

LABELS = (c.Binary("Hat"), c.Categorical("Hair", ("black", "red")), c.Continuous("Age", 3.0, 2.0))
edit_metrics = importlib.import_module("ccvae_pyro.evaluation.edit_metrics")


@pytest.fixture
def device():
    torch.set_default_dtype(torch.float32)
    with pretended_device() as device:
        yield device


@pytest.fixture
def models(device):
    """A model and an oracle on the device."""
    return [c.mnist(labels=LABELS, z_dim=6, convolutions=False).to(device) for _ in range(2)]


@pytest.fixture
def batches(device):
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(24, 28, 28, 1), dtype=np.uint8)
    columns = [np.arange(24) % 2, np.arange(24) // 2 % 2, rng.normal(3, 2, 24)]
    labels = np.stack(columns, axis=1).astype(np.float32)
    labels[::5, 1] = np.nan
    rows = np.arange(24)
    splits = {"train": rows[:8], "valid": rows[8:16], "test": rows[16:]}
    return Batches(LabeledImages(images, labels, LABELS, splits), 4, device=device)


@pytest.fixture
def batch(batches):
    return next(batches.held_out("test"))


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x.double(),
        lambda x: x.double().cpu(),
        lambda x: x.to("cpu", torch.float64),
        lambda x: x.sum(dtype=torch.float64),
        lambda x: torch.zeros(2, dtype=torch.float64, device=x.device),
        lambda x: torch.ones(2, dtype=torch.float64).to(x.device),
        lambda x: x.numpy(),
        lambda x: x + torch.ones(2),
    ],
)
def test_the_pretended_device_refuses_what_apples_does(device, compute):
    x = torch.ones(2).to(device)
    with pytest.raises((TypeError, RuntimeError)):
        compute(x)


def test_the_pretended_device_computes(device):
    x = torch.arange(3.0).to(device).requires_grad_()
    (x**2).sum().backward()
    assert isinstance(x.grad, OnDevice)
    assert x.grad.cpu().double().tolist() == [0, 2, 4]


@pytest.mark.filterwarnings("ignore:for .*copying from a non-meta parameter")
def test_a_run_is_trained_and_resumed(models, batches, tmp_path):
    model = models[0]
    objective = c.ExactCCVAE_ELBO(2.0, consistency_weight=1.0)

    def run(num_epochs, resume=False):
        svi = SVI(model.model, model.guide, c.make_adam(1e-3), loss=objective)
        return c.train(model, svi, batches, num_epochs, tmp_path, resume=resume)

    run(1)
    first = torch.cat([p.detach().cpu().flatten() for p in model.parameters()])
    result = run(2, resume=True)
    assert [record["epoch"] for record in result.history] == [1, 2]
    assert np.isfinite(result.history[-1]["accuracy"])
    assert not torch.equal(
        first, torch.cat([p.detach().cpu().flatten() for p in model.parameters()])
    )
    assert {p.device for p in model.parameters()} == {batches.device}


def test_adam_has_no_fused_kernel_there_and_does_without(device, models, batch):
    assert not has_fused_adam(device, torch.float32)
    assert has_fused_adam(torch.device("cpu"), torch.float32)
    adam = c.make_adam(1e-3)
    SVI(models[0].model, models[0].guide, adam, loss=c.ExactCCVAE_ELBO()).step(*batch)
    assert not any(group["fused"] for group in adam.adam.param_groups)


def test_a_model_is_measured(models, batches, batch):
    evaluation = c.evaluate(models[0], batches.held_out("test"), c.ExactCCVAE_ELBO())
    assert np.isfinite([evaluation.accuracy, evaluation.bound]).all()
    metrics = benchmark(*models, batches, num_images=8).metrics
    assert np.isfinite(metrics["frechet_distance"].value)
    assert c.how_exact(models[0], batch[0])["Age"] == "in closed form"


MEASURES = {
    "pareto_k": lambda m, x, y: importance.pareto_k(
        importance.importance_weights(m, x, y, 30).images
    ),
    "log_p_x": lambda m, x, y: importance.log_p_x(m, x, 5),
    "inference_data": lambda m, x, y: importance.inference_data(m, x, y, 5),
    "plot_prior_forest": lambda m, x, y: importance.plot_prior_forest(m, 20),
    "pixel_variance": lambda m, x, y: edit_metrics.pixel_variance(m, x, "Age", 1.0),
    "swap_distance": lambda m, x, y: edit_metrics.swap_distance(m, x, x.roll(1, 0), "Hat"),
    "check_factorization": lambda m, x, y: c.check_factorization(m, x, y.nan_to_num()),
    "bayes": lambda m, x, y: c.evaluate(c.with_bayes_classifier(m), [(x, y)]),
    "paper": lambda m, x, y: c.CCVAE_ELBO(5).loss(m.model, m.guide, x),
}


def fitted(model, x, y):
    """Images generated by a sampler that is fitted on the device."""
    model.sampler = c.fit_sampler(model, [(x, y)])
    return c.generate(model, y.nan_to_num(), sampler="fitted", seed=0)


INTERVENTIONS = {
    "reconstruct": lambda m, x, y: c.reconstruct(m, x),
    "generate": lambda m, x, y: c.generate(m, y.nan_to_num()),
    "generate by a fitted sampler": fitted,
    "edit": lambda m, x, y: c.edit(m, x, {"Hair": "red", "Age": 4.0}, num_std=1.0),
    "edit by a sample": lambda m, x, y: c.edit(m, x, "Hat", 1, sample=True),
    "shift": lambda m, x, y: c.shift(m, x, "Age", 1.0),
    "sample_variations": lambda m, x, y: c.sample_variations(m, x, "Hat", 1),
    "swap": lambda m, x, y: c.swap(m, x, x[:1]),
    "walk": lambda m, x, y: c.walk(m, x, ["Hat", "Hair"], num_steps=3),
    "interpolate": lambda m, x, y: c.interpolate(m, x, x[:1]),
    "interpolate_to_label": lambda m, x, y: c.interpolate_to_label(m, x, "Hat", 1),
    "classify": lambda m, x, y: c.classify(m, x),
    "predict": lambda m, x, y: c.predict(m, x)[1],
    "impute": lambda m, x, y: c.impute(m, x, y),
}


FIGURES = {
    "plot_samples": lambda m, x, y: plotting.plot_samples(m, y.nan_to_num(), 2),
    "plot_edits": lambda m, x, y: plotting.plot_edits(m, x, ["Hat", "Hair"]),
    "plot_swaps": lambda m, x, y: plotting.plot_swaps(m, x, x, "Hat"),
    "plot_walk": lambda m, x, y: plotting.plot_walk(m, x[0], ["Hat", "Age"], 3),
    "plot_class_walk": lambda m, x, y: plotting.plot_class_walk(m, x[0], "Hair"),
    "plot_variations": lambda m, x, y: plotting.plot_variations(m, x[0], ["Hat"], num_samples=2),
    "plot_interpolations": lambda m, x, y: plotting.plot_interpolations(m, x, x, 3),
}


@pytest.mark.parametrize("name", MEASURES)
def test_what_is_measured_has_no_need_of_double_precision(models, batch, name):
    MEASURES[name](models[0], *batch)


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_what_an_intervention_returns_is_on_the_device(models, batch, name):
    result = INTERVENTIONS[name](models[0], *batch)
    assert isinstance(result, OnDevice)
    assert result.cpu().isfinite().all()


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_of_a_model_on_the_device(models, batch, name):
    FIGURES[name](models[0], *batch).canvas.draw()


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_moves_to_the_device_as_a_whole(device, batch, name):
    model = baseline(name, LABELS, z_dim=6, images="mlp", channels=1, side=28).to(device)
    tensors = [*model.parameters(), *model.buffers()]
    assert {each.device for each in tensors} == {device}
    objectives = {"m2": M2_ELBO(), "m1_m2": M2_ELBO(), "diva": DIVA_ELBO(1), "mvae": MVAE_ELBO()}
    objective = objectives.get(name, Trace_ELBO())
    assert np.isfinite(objective.loss(model.model, model.guide, *batch))


def test_a_classifier_is_trained(models, batches):
    train_classifier(models[1], batches, 1)
    assert all(p.cpu().isfinite().all() for p in models[1].parameters())
