"""JointAdam takes the same steps as Pyro's Adam."""

import pyro
import pytest
import torch
from helpers import make_ccvae
from pyro.infer import SVI
from pyro.optim import Adam
from torch.testing import assert_close

from ccvae_pyro import ExactCCVAE_ELBO, JointAdam


def rate_of(name):
    return {"lr": 0.1 if "classifier" in name else 0.01, "betas": (0.8, 0.99)}


def start(optim, seed=0):
    pyro.set_rng_seed(seed)
    pyro.clear_param_store()
    ccvae = make_ccvae()
    return ccvae, SVI(ccvae.model, ccvae.guide, optim, loss=ExactCCVAE_ELBO(3.0))


def take_steps(svi, num_steps, seed=0):
    pyro.set_rng_seed(seed)
    x, y = torch.rand(4, 8), torch.randint(2, (4, 3)).double()
    return [svi.step(x, y) for _ in range(num_steps)]


@pytest.mark.parametrize("options", [{"lr": 0.01}, rate_of], ids=["one", "by_name"])
def test_steps_are_those_of_pyros_adam(options):
    ends = []
    for make in (JointAdam, Adam):
        ccvae, svi = start(make(options))
        take_steps(svi, 5)
        ends.append(list(ccvae.parameters()))
    assert_close(*ends)


@pytest.mark.parametrize("first", [JointAdam, Adam])
@pytest.mark.parametrize("second", [JointAdam, Adam])
def test_the_state_of_one_is_loaded_by_the_other(first, second):
    ccvae, undisturbed = start(Adam(rate_of))
    take_steps(undisturbed, 3, seed=1)
    take_steps(undisturbed, 3, seed=2)
    expected = [p.detach().clone() for p in ccvae.parameters()]

    ccvae, svi = start(first(rate_of))
    take_steps(svi, 3, seed=1)
    optim = second(rate_of)
    optim.set_state(svi.optim.get_state())
    take_steps(SVI(ccvae.model, ccvae.guide, optim, loss=ExactCCVAE_ELBO(3.0)), 3, seed=2)
    assert_close(list(ccvae.parameters()), expected)


def test_parameters_of_a_learning_rate_share_a_group():
    _, svi = start(JointAdam(rate_of))
    take_steps(svi, 1)
    groups = svi.optim.adam.param_groups
    assert sorted(group["lr"] for group in groups) == [0.01, 0.1]
    assert sum(len(group["params"]) for group in groups) == len(svi.optim.optim_objs)


def test_a_parameter_without_a_gradient_does_not_move():
    a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    pyro.param("a", a), pyro.param("b", b)
    optim = JointAdam({"lr": 0.1})
    for used in ({a, b}, {a}):
        for parameter in used:
            parameter.grad = torch.ones(2)
        before = b.detach().clone()
        optim(used)
    assert torch.equal(b, before)
    assert a[0] < b[0] < 1
