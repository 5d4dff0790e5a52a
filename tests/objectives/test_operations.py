"""How many operations a labeled step takes: on an accelerator, each is a kernel to launch.

Counted are those of forward and backward pass, networks included and the optimizer, one fused
kernel, left out. What makes a view or looks at a shape is no kernel. They are counted on a device
that is pretended, where a step takes the same branches as on any accelerator.
"""

from collections import Counter

import pyro
import pytest
import torch
from pretended_device import pretended_device
from pyro import poutine
from torch.utils._python_dispatch import TorchDispatchMode

import ccvae_pyro
from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO


class Kernels(TorchDispatchMode):
    """Counts the operations that would be kernels of an accelerator."""

    VIEWS = frozenset({
        "_reshape_alias", "_unsafe_view", "alias", "as_strided", "chunk", "detach", "diagonal",
        "empty", "empty_like", "empty_strided", "expand", "is_same_size", "lift_fresh", "movedim",
        "narrow", "new_empty", "new_empty_strided", "permute", "reshape", "result_type", "select",
        "slice", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unfold",
        "unsafe_split", "unsqueeze", "view",
    })  # fmt: skip

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        self.names.update([name] * (name not in self.VIEWS))
        return function(*args, **(kwargs or {}))


def test_kernels_are_counted_and_views_are_not():
    with Kernels() as kernels:
        (torch.ones(2, 3, requires_grad=True).T + 1).sum().backward()
    # The last is that of the gradient into the parameter's.
    assert kernels.names == {"ones": 1, "add": 1, "sum": 1, "ones_like": 1, "copy_": 1}


@pytest.fixture
def count():
    """Counts the operations of a step with eight images of people."""
    torch.set_default_dtype(torch.float32)

    def count(objective, y):
        with pretended_device() as device, pyro.validation_enabled(False):
            ccvae = ccvae_pyro.celeba().to(device)
            batch = torch.rand(8, 3, 64, 64).to(device), y.to(device)
            for _ in range(2):  # once for what is kept from step to step
                ccvae.zero_grad()
                with Kernels() as kernels, poutine.trace(param_only=True):
                    objective.loss_and_grads(ccvae.model, ccvae.guide, *batch)
        return kernels.names.total()

    return count


LABELED = torch.randint(2, (8, 18)).float()
OBJECTIVES = {"paper": CCVAE_ELBO, "exact": ExactCCVAE_ELBO}


# Encoder and decoder alone take 93.
@pytest.mark.parametrize(("name", "most"), [("paper", 300), ("exact", 400)])
def test_a_labeled_step_takes_few_operations(count, name, most):
    objective = OBJECTIVES[name]()
    objective.are_all_labeled = True
    assert count(objective, LABELED) <= most


# As soon as one image may lack its labels, the terms of these are computed for all of them.
@pytest.mark.parametrize(("name", "most"), [("paper", 320), ("exact", 400)])
def test_a_step_with_missing_labels_takes_few_operations(count, name, most):
    y = LABELED.clone()
    y[::2] = torch.nan
    assert count(OBJECTIVES[name](), y) <= most
