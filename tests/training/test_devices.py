"""Devices, and that a step takes the same values on an accelerator."""

import pytest
import torch
from helpers import make_ccvae, seeded
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO
from ccvae_pyro.training import pick_device, pick_precision

MODULES = (
    "objectives.ccvae_elbo",
    "models._contract",
    "objectives._posterior",
    "objectives.base",
    "distributions._tilted_quadrature",
)


def batch_of(ccvae, labels):
    """Images with labels, with none, or half of them; or with labels missing one by one."""
    x, y = torch.rand(6, 8), torch.randint(2, (6, len(ccvae.labels))).double()
    if labels == "half":
        y[::2] = torch.nan
    if labels == "entries":
        y[::2, 0] = y[1, 1:] = torch.nan
    return (x,) if labels == "none" else (x, y)


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
