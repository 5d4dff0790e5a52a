"""JointAdam takes the same steps as Pyro's Adam."""

import copy

import pyro
import pytest
import torch
from helpers import make_ccvae
from pyro.infer import SVI
from pyro.optim import Adam
from torch.testing import assert_close

from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO, JointAdam, make_adam
from ccvae_pyro.training import optimizers


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


class Residual(torch.nn.Module):
    """A classifier of a scale of its own and of a network."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(3))
        self.network = torch.nn.Linear(3, 3)

    def forward(self, z_c):
        return pyro.distributions.Bernoulli(logits=self.scale * self.network(z_c)).to_event(1)


def rates_of(model, adam):
    """The learning rate of each parameter by its name, after a step."""
    x, y = torch.rand(4, 8), torch.randint(2, (4, 3)).double()
    SVI(model.model, model.guide, adam, loss=CCVAE_ELBO(3)).step(x, y)
    rates = {id(p): group["lr"] for group in adam.adam.param_groups for p in group["params"]}
    return {name: rates[id(p)] for name, p in model.named_parameters()}


def test_the_scalars_of_labels_have_ten_times_the_rate_of_networks():
    rates = rates_of(make_ccvae(), make_adam(1e-3))
    of_labels = {n for n in rates if n.startswith(("classifier.", "conditional_prior."))}
    assert {name for name, rate in rates.items() if rate == 1e-2} == of_labels
    assert {name for name, rate in rates.items() if rate == 1e-3} == rates.keys() - of_labels


def test_so_have_those_of_labels_of_several_kinds():
    rates = make_adam(1e-3).pt_optim_args
    assert rates("ccvae.conditional_prior.of_group.1.raw_scale") == {"lr": 1e-2}
    for name in ("ccvae.encoder.features.classifier.weight", "vgg.classifier.0.weight"):
        assert rates(name) == {"lr": 1e-3}


def test_a_network_in_a_classifier_has_the_rate_of_networks():
    ccvae = make_ccvae()
    ccvae.classifier = Residual()
    rates = rates_of(ccvae, make_adam(1e-3))
    of_classifier = {name: rate for name, rate in rates.items() if name.startswith("classifier")}
    assert of_classifier == {
        "classifier.scale": 1e-2,
        "classifier.network.weight": 1e-3,
        "classifier.network.bias": 1e-3,
    }


def test_the_rate_of_labels_is_settable():
    assert set(rates_of(make_ccvae(), make_adam(1e-3, label_rate=1e-3)).values()) == {1e-3}


@pytest.mark.parametrize("rates", [(0.0, None), (-1e-3, None), (1e-3, 0.0), (float("nan"), None)])
def test_a_rate_that_is_not_positive_is_refused(rates):
    with pytest.raises(ValueError, match="wanted learning rates that are positive and finite"):
        make_adam(rates[0], label_rate=rates[1])


def test_where_there_is_no_fused_kernel_the_steps_are_the_same(monkeypatch):
    ends = []
    for is_fused in (True, False):
        monkeypatch.setattr(optimizers, "has_fused_adam", lambda *args, known=is_fused: known)
        ccvae, svi = start(JointAdam(rate_of))
        take_steps(svi, 3)
        assert {bool(group["fused"]) for group in svi.optim.adam.param_groups} == {is_fused}
        ends.append(list(ccvae.parameters()))
    assert_close(*ends)


@pytest.mark.parametrize("was_fused", [True, False])
def test_a_run_goes_on_by_the_kernels_that_there_are(was_fused, monkeypatch):
    monkeypatch.setattr(optimizers, "has_fused_adam", lambda *args: was_fused)
    ccvae, svi = start(JointAdam(rate_of))
    take_steps(svi, 3, seed=1)
    state = copy.deepcopy(svi.optim.get_state())
    monkeypatch.setattr(optimizers, "has_fused_adam", lambda *args: not was_fused)
    adam = JointAdam(rate_of)
    adam.set_state(state)
    take_steps(SVI(ccvae.model, ccvae.guide, adam, loss=ExactCCVAE_ELBO(3.0)), 3, seed=2)
    assert {bool(group["fused"]) for group in adam.adam.param_groups} == {not was_fused}

    undisturbed, svi = start(Adam(rate_of))
    take_steps(svi, 3, seed=1)
    take_steps(svi, 3, seed=2)
    assert_close(list(ccvae.parameters()), list(undisturbed.parameters()))


def test_kernels_that_a_user_asks_for_are_taken():
    _, svi = start(JointAdam({"lr": 0.01, "foreach": True}))
    take_steps(svi, 1)
    (group,) = svi.optim.adam.param_groups
    assert group["foreach"]
    assert not group["fused"]


def test_complex_numbers_have_no_fused_kernel():
    cpu = torch.device("cpu")
    assert optimizers.has_fused_adam(cpu, torch.float64)
    assert not optimizers.has_fused_adam(cpu, torch.complex64)
