"""Devices, and that no operation in a step waits for an accelerator.

An accelerator computes asynchronously until the host reads a value. These tests run on a CPU and
record the operations that would read one.
"""

import pyro
import pytest
import torch
from helpers import make_ccvae, seeded
from pyro.infer import SVI
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

import ccvae_pyro
from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO, JointAdam
from ccvae_pyro.models import _contract
from ccvae_pyro.training import make_step, pick_device, pick_precision

MODULES = (
    "objectives._label_marginal",
    "objectives.ccvae_elbo",
    "objectives._posterior",
    "objectives.base",
    "distributions._tilted_quadrature",
)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Waits(TorchDispatchMode):
    """Records the operations for which the host waits."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal")

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        by_mask = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        if name in self.NAMES or by_mask:
            self.calls.append(name)
        return function(*args, **(kwargs or {}))


@pytest.fixture
def as_on_an_accelerator(monkeypatch):
    for module in MODULES:
        monkeypatch.setattr(f"ccvae_pyro.{module}.is_free_to_read", lambda value: False)


def batch_of(ccvae, labels):
    """Images with labels, with none, or half of them; or with labels missing one by one."""
    x, y = torch.rand(6, 8), torch.randint(2, (6, len(ccvae.labels))).double()
    if labels == "half":
        y[::2] = torch.nan
    if labels == "entries":
        y[::2, 0] = y[1, 1:] = torch.nan
    return (x,) if labels == "none" else (x, y)


@pytest.mark.parametrize("labels", ["all", "half", "none"])
@pytest.mark.parametrize(
    "objective",
    [
        CCVAE_ELBO(num_label_samples=5),
        ExactCCVAE_ELBO(3.0),
        ExactCCVAE_ELBO(consistency_weight=2.0),
    ],
    ids=["paper", "exact", "label consistency"],
)
@pytest.mark.usefixtures("as_on_an_accelerator")
def test_no_step_waits_for_an_accelerator(objective, labels):
    ccvae = make_ccvae()
    batch = batch_of(ccvae, labels)
    with pyro.validation_enabled(False), Waits() as waits:
        loss = objective.loss_and_grads(ccvae.model, ccvae.guide, *batch)
    assert waits.calls == []
    assert isinstance(loss, torch.Tensor)


def test_operations_that_wait_are_recorded():
    with Waits() as waits:
        float(torch.ones(3).sum())
        torch.ones(3)[torch.ones(3) > 0]
    assert waits.calls == ["_local_scalar_dense", "index"]


@pytest.mark.parametrize("labels", ["all", "half", "none"])
@pytest.mark.parametrize("objective", [CCVAE_ELBO(num_label_samples=5), ExactCCVAE_ELBO(3.0)])
def test_an_accelerator_takes_the_same_steps(objective, labels, monkeypatch):
    ccvae = make_ccvae()
    batch, losses, gradients = batch_of(ccvae, labels), [], []
    # z is sampled in another way if all labels are known, and labels are sampled unless they are
    # known to be given: the noise has to be the same.
    monkeypatch.setattr(torch, "bernoulli", lambda probs: (probs > 0.5).to(probs))
    monkeypatch.setattr(torch, "rand_like", lambda x: torch.full_like(x, 0.3))
    monkeypatch.setattr(torch, "rand", lambda shape, **kwargs: torch.full(shape, 0.3, **kwargs))
    for is_accelerator in (False, True):
        with monkeypatch.context() as patches:
            for module in MODULES if is_accelerator else ():
                patches.setattr(f"ccvae_pyro.{module}.is_free_to_read", lambda value: False)
            loss = seeded(objective.loss_and_grads, ccvae.model, ccvae.guide, *batch)
        losses.append(torch.as_tensor(loss))
        gradients.append([p.grad for p in ccvae.parameters()])
        ccvae.zero_grad()
    # The number of quadrature nodes differs: on an accelerator it is fixed.
    assert_close(*losses, rtol=1e-6, atol=0)
    assert_close(*gradients, rtol=1e-4, atol=1e-4)


@needs_gpu
@pytest.mark.parametrize("labels", ["all", "half", "none"])
@pytest.mark.parametrize("objective", [CCVAE_ELBO, ExactCCVAE_ELBO])
def test_no_step_waits_for_a_gpu(objective, labels):
    torch.set_default_dtype(torch.float32)
    ccvae = ccvae_pyro.mnist(num_labels=3, z_dim=5).cuda()
    x, y = torch.rand(6, 1, 28, 28).cuda(), torch.randint(2, (6, 3)).float().cuda()
    if labels == "half":
        y[::2, 0] = torch.nan
    batch = (x,) if labels == "none" else (x, y)
    svi = SVI(ccvae.model, ccvae.guide, JointAdam({"lr": 1e-3}), loss=objective())
    step = make_step(ccvae, svi)
    step(*batch)
    with pyro.validation_enabled(False):
        torch.cuda.set_sync_debug_mode("error")
        try:
            step(*batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_a_missing_device_is_named_in_the_error():
    with pytest.raises(ValueError, match="there is no device 'abacus' here"):
        pick_device("abacus")


def test_the_cpu_is_always_available():
    assert pick_device("cpu").type == "cpu"
    assert pick_precision("bfloat16", torch.device("cpu")) == torch.bfloat16


@pytest.mark.parametrize(
    ("has", "dtype"), [("amx_bf16", "bfloat16"), ("avx512_bf16", "bfloat16"), ("avx2", "float32")]
)
def test_bfloat16_is_picked_for_cpus_that_support_it_natively(has, dtype, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {has: True}, raising=False)
    assert pick_precision("auto", torch.device("cpu")) == getattr(torch, dtype)


class Kernels(TorchDispatchMode):
    """Counts the operations that would be kernels of an accelerator: all but views and shapes."""

    VIEWS = frozenset({
        "_reshape_alias", "_unsafe_view", "alias", "as_strided", "chunk", "detach", "diagonal",
        "empty", "empty_like", "empty_strided", "expand", "is_same_size", "lift_fresh", "movedim",
        "narrow", "new_empty", "new_empty_strided", "permute", "reshape", "result_type", "select",
        "slice", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unfold",
        "unsafe_split", "unsqueeze", "view",
    })  # fmt: skip

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.overloadpacket.__name__ not in self.VIEWS
        return function(*args, **(kwargs or {}))


def test_kernels_are_counted_and_views_are_not():
    with Kernels() as kernels:
        (torch.ones(2, 3).T[0] + 1).sum()
    assert kernels.count == 3


# Before structure was declared by type, 460 and 739 operations, of which networks take 102.
@pytest.mark.parametrize(
    ("objective", "most"),
    [(CCVAE_ELBO(), 279), (ExactCCVAE_ELBO(300.0), 443)],
    ids=["paper", "exact"],
)
def test_a_labeled_step_issues_few_operations(monkeypatch, objective, most):
    torch.set_default_dtype(torch.float32)
    # As on an accelerator, where a model does not read the values of its batches.
    monkeypatch.setattr(_contract, "is_free_to_read", lambda value: False)
    ccvae = ccvae_pyro.celeba(num_labels=18, z_dim=45)
    svi = SVI(ccvae.model, ccvae.guide, JointAdam({"lr": 1e-4}), loss=objective)
    batch = torch.rand(8, 3, 64, 64), torch.randint(2, (8, 18)).float()
    for _ in range(5):  # until what is kept from step to step is there
        svi.step(*batch)
    with Kernels() as kernels:
        svi.step(*batch)
    assert kernels.count <= most
