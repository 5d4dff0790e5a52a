"""Nothing in a step makes the host wait for an accelerator, whatever the objective and labels.

An accelerator computes asynchronously until the host reads a value, or copies one there. A device
that is pretended records what would do so; where there is a GPU, CUDA itself does.
"""

import copy

import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import make_ccvae, seeded
from objective_cases import ALL, SUMS_OF_ELBOS, Case, cases, make_m2
from pretended_device import OnDevice, pretended_device, recorded_waits
from pyro.infer import SVI, Trace_ELBO
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO, make_adam
from ccvae_pyro.distributions.normal import FusedNormal
from ccvae_pyro.models import baselines
from ccvae_pyro.objectives import PathwiseELBO
from ccvae_pyro.training import make_step

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


PLANTED = {
    "item": (lambda x: x.sum().item(), "_local_scalar_dense"),
    "float": (lambda x: float(x[0]), "_local_scalar_dense"),
    "condition": (lambda x: bool((x > 0).all()), "_local_scalar_dense"),
    "nonzero": (lambda x: (x > 0).nonzero(), "nonzero"),
    "masked select": (lambda x: x.masked_select(x > 0), "masked_select"),
    "equal": (lambda x: torch.equal(x, x), "equal"),
    "boolean index": (lambda x: x[x > 0], "boolean index"),
    "boolean assignment": (lambda x: x.__setitem__(x > 0, x.sum()), "boolean index"),
    "host index": (lambda x: x[torch.tensor([0, 1])], "host tensor in index"),
    "constant": (lambda x: torch.tensor([1.0, 2.0], device=x.device), "copy to it"),
    "scalar constant": (lambda x: torch.tensor(1.0, device=x.device), "copy to it"),
    "new tensor": (lambda x: x.new_tensor([1.0, 2.0]), "copy to it"),
    "to the device": (lambda x: torch.ones(2).to(x.device), "copy to it"),
    "as another": (lambda x: torch.arange(2).to(x), "copy to it"),
    "to the host": (lambda x: x.cpu(), "copy from it"),
    "host tensor": (lambda x: x * torch.tensor(2.0), "host tensor in mul"),
    "into the host's": (lambda x: torch.zeros(2).copy_(x), "host tensor in copy_"),
    "from the host's": (lambda x: x.copy_(torch.zeros(2)), "host tensor in copy_"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_wait_is_recorded(name):
    planted, reason = PLANTED[name]
    with pretended_device() as device:
        x = torch.ones(2).to(device)
        with recorded_waits() as waits:
            planted(x)
    assert waits == [reason]


def test_what_waits_for_nothing_is_not_recorded():
    with pretended_device() as device:
        x = torch.ones(3).to(device).requires_grad_()
        with recorded_waits() as waits:
            y = 2 * x[0] + x[x.detach().argsort(stable=True)] - torch.arange(3, device=device)
            torch.where(x > 0, y, 0.0).sum().backward()
    assert waits == []
    assert x.grad.cpu().tolist() == [7.0, 1.0, 1.0]


@pytest.mark.parametrize("case", cases(*ALL))
def test_no_step_waits_for_an_accelerator(case):
    with pretended_device() as device:
        model, batch = case.make_model().float().to(device), on(device, case.batch)
        elbo = case.objective()
        with pyro.validation_enabled(False), recorded_waits() as waits:
            loss = elbo.loss_and_grads(model.model, model.guide, *batch)
    assert waits == []
    assert isinstance(loss, OnDevice)


@pytest.mark.parametrize("make_elbo", [CCVAE_ELBO, ExactCCVAE_ELBO])
@pytest.mark.parametrize("pattern", ["labeled", "mixed"])
def test_a_missing_label_makes_the_loss_nan_if_all_are_said_to_be_labeled(make_elbo, pattern):
    case, elbo = Case(make_elbo, make_ccvae, pattern), make_elbo()
    elbo.are_all_labeled = True
    with pretended_device() as device, pyro.validation_enabled(False):
        model, batch = make_ccvae().float().to(device), on(device, case.batch)
        loss = elbo.loss_and_grads(model.model, model.guide, *batch).cpu()
    assert bool(loss.isnan()) is (pattern == "mixed")


@pytest.mark.parametrize("pattern", ["labeled", "mixed"])
def test_a_pathwise_elbo_is_that_of_pyro_and_waits_for_nothing(pattern):
    m2 = make_m2()  # the parts of a CVAE
    model = baselines.CVAE(m2.encoder, m2.decoder, m2.prior, m2.labels).float()
    batch = on("cpu", Case(PathwiseELBO, make_m2, pattern).batch)
    values = [
        seeded(elbo().loss_and_grads, model.model, model.guide, *batch)
        for elbo in (PathwiseELBO, Trace_ELBO)
    ]
    assert_close(*values)
    with pretended_device() as device, pyro.validation_enabled(False), recorded_waits() as waits:
        moved = copy.deepcopy(model).to(device)
        batch = on(device, batch)
        waits.clear()
        PathwiseELBO().loss_and_grads(moved.model, moved.guide, *batch)
    assert waits == []


@needs_gpu
@pytest.mark.parametrize("case", cases(*ALL))
def test_no_step_waits_for_a_gpu(case):
    model, batch = case.make_model().float().cuda(), on("cuda", case.batch)
    svi = SVI(model.model, model.guide, make_adam(1e-3), loss=case.objective())
    step = make_step(model, svi)
    step(*batch)
    with pyro.validation_enabled(False):
        torch.cuda.set_sync_debug_mode("error")
        try:
            step(*batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("case", cases(*SUMS_OF_ELBOS))
def test_images_that_are_masked_on_an_accelerator_are_left_out(case, monkeypatch):
    monkeypatch.setattr(FusedNormal, "rsample", mean_sample)  # as the noise is of other shapes
    monkeypatch.setattr(dist.Normal, "rsample", mean_sample)
    model, batch = case.make_model().float(), on("cpu", case.batch)
    expected = case.objective().loss_and_grads(model.model, model.guide, *batch)
    gradients = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    with pretended_device() as device, pyro.validation_enabled(False):
        moved = copy.deepcopy(model).to(device)
        actual = case.objective().loss_and_grads(moved.model, moved.guide, *on(device, batch))
        moved_gradients = [parameter.grad.cpu() for parameter in moved.parameters()]
    assert_close(actual.cpu().item(), expected)
    assert_close(moved_gradients, gradients)


def on(device, batch):
    """A batch in single precision on a device."""
    return [each.float().to(device) for each in batch]


def mean_sample(fn, sample_shape=()):
    """The mean in place of a sample."""
    return fn.loc.expand(fn._extended_shape(torch.Size(sample_shape)))
