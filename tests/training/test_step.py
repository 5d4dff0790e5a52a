"""A captured step is that of SVI.

On a CPU its operations are recorded and replayed as on a GPU.
"""

import importlib
import sys

import pyro
import pytest
import torch
from helpers import MIXED_LABEL_VECTORS, assert_same_states, make_ccvae, make_mixed, with_missing
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from recorded import Calls, Replays
from small_runs import interrupt_after, make_data, parameters, press_ctrl_c, start

import ccvae_pyro
from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO, JointAdam, make_adam
from ccvae_pyro.data import Batches, hide_labels
from ccvae_pyro.errors import UnsupportedError
from ccvae_pyro.training import captured_step, make_step
from ccvae_pyro.training.captured_step import MAX_GRAPHS, NUM_WARMUP, CapturedStep
from ccvae_pyro.training.optimizers import make_schedule
from ccvae_pyro.training.step import step_without_waiting
from ccvae_pyro.training.train import train

NUM_STEPS = 50
MODULES = [
    module
    for name, module in sys.modules.items()
    if name.startswith(("ccvae_pyro.models", "ccvae_pyro.objectives", "ccvae_pyro.distributions"))
    and hasattr(module, "is_free_to_read")
]
OBJECTIVES = {
    "paper": lambda: CCVAE_ELBO(5, classification_weight=4.0),
    "exact": lambda: ExactCCVAE_ELBO(4.0),
    "label consistency": lambda: ExactCCVAE_ELBO(4.0, consistency_weight=2.0),
}
train_module = importlib.import_module("ccvae_pyro.training.train")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def as_on_an_accelerator(monkeypatch):
    """Values are not read: what a step does must not depend on them."""
    for module in MODULES:
        monkeypatch.setattr(module, "is_free_to_read", lambda value: False)


def captured(model, svi, recorder, **options):
    return CapturedStep(step_without_waiting(model, svi), svi, model, recorder, **options)


def batches_of(resident, fraction=0.5):
    """Batches of 12 of 40 images, the last of 4, with flips and shifts."""
    data = hide_labels(make_data(), fraction)
    return Batches(data, 12, shift=2, flip=True, resident=resident)


def new_run(objective, optimizer=None):
    torch.set_default_dtype(torch.float32)
    pyro.set_rng_seed(0)
    pyro.clear_param_store()
    ccvae = ccvae_pyro.mnist(num_labels=3, z_dim=5)
    optimizer = make_adam(1e-3) if optimizer is None else optimizer
    return ccvae, SVI(ccvae.model, ccvae.guide, optimizer, loss=objective)


def take_steps(svi, step, epoch, num_epochs=13):
    """Losses of steps with schedules of the learning rate and of the weight."""
    schedule, losses = make_schedule(svi, 0.5, 0.5), []
    for number in range(1, num_epochs + 1):
        for inputs in epoch(number):
            schedule(len(losses) / NUM_STEPS if len(losses) < NUM_STEPS else 1.0)
            losses.append(float(step(*inputs)))
    assert len(losses) >= NUM_STEPS
    return losses


@pytest.mark.parametrize(
    ("objective", "recorder", "resident"),
    [
        ("paper", Replays, True),
        ("exact", Calls, True),
        ("exact", Replays, False),
        ("label consistency", Replays, True),
    ],
)
def test_captured_steps_are_those_of_svi(objective, recorder, resident):
    batches = batches_of(resident)
    ccvae, svi = new_run(OBJECTIVES[objective]())
    expected = take_steps(svi, svi.step, batches.epoch)
    states = ccvae.state_dict(), svi.optim.get_state()

    ccvae, svi = new_run(OBJECTIVES[objective]())
    scheduled = ("classification_weight",)
    step = captured(
        ccvae, svi, recorder(), received=batches.received, scheduled=scheduled, is_required=True
    )
    assert take_steps(svi, step, batches.sent) == expected
    assert_same_states(ccvae.state_dict(), states[0])
    assert {graph.replay is None for graph in step._graphs.values()} == {False}
    assert len(step._graphs) == 2  # of 12 images and of 4
    for name, state in svi.optim.get_state().items():
        assert state["param_groups"][0] == states[1][name]["param_groups"][0]
        assert_same_states(state["state"][0], states[1][name]["state"][0])


@pytest.mark.parametrize(
    ("objective", "missing"),
    [
        (ExactCCVAE_ELBO(3.0), "partly"),
        (ExactCCVAE_ELBO(3.0, consistency_weight=2.0), "unlabeled"),
        (CCVAE_ELBO(5), "mixed"),
        (CCVAE_ELBO(5), "labeled"),
    ],
    ids=["exact", "label consistency", "paper", "paper, labeled"],
)
def test_labels_of_all_kinds_are_captured(objective, missing):
    losses = []
    for is_captured in (False, True):
        pyro.set_rng_seed(0)
        pyro.clear_param_store()
        ccvae = make_mixed()
        svi = SVI(ccvae.model, ccvae.guide, JointAdam({"lr": 1e-2}), loss=objective)
        batch = torch.rand(4, 8), with_missing(torch.tensor(MIXED_LABEL_VECTORS), missing)
        step = captured(ccvae, svi, Replays(), is_required=True) if is_captured else svi.step
        losses.append([float(step(*batch)) for _ in range(NUM_WARMUP + 5)])
    assert losses[0] == losses[1]


# A run


def train_with(monkeypatch, recorder, out, *, resume=False, after=None):
    """A run of three epochs with captured steps, or with eager ones if there is no recorder."""

    def make(model, svi, *, cuda_graph, **options):
        svi.step = step_without_waiting(model, svi)
        if after is not None:
            interrupt_after(svi, after, press_ctrl_c)
        if recorder is None:
            return svi.step
        step = CapturedStep(svi.step, svi, model, recorder, is_required=True, **options)
        return step

    monkeypatch.setattr(train_module, "make_step", make)
    ccvae, svi, batches = start(make_data(), optimizer=JointAdam({"lr": 1e-3}))
    return train(ccvae, svi, batches, 3, out, decay_fraction=0.5, final_weight=0.1, resume=resume)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch, pyro.get_param_store().scope():
        for module in MODULES:
            monkeypatch.setattr(module, "is_free_to_read", lambda value: False)
        out = tmp_path_factory.mktemp("uninterrupted")
        return parameters(out) if train_with(monkeypatch, None, out) else None


@pytest.mark.parametrize(
    ("first", "second"), [(Calls(), None), (None, Replays()), (Calls(), Replays())]
)
def test_a_run_goes_on_whichever_way_its_steps_are_taken(
    monkeypatch, tmp_path, uninterrupted, first, second
):
    with pytest.raises(KeyboardInterrupt):
        train_with(monkeypatch, first, tmp_path, after=6)
    train_with(monkeypatch, second, tmp_path, resume=True)
    assert_same_states(parameters(tmp_path), uninterrupted)


# What is fixed, and what is not


def small_step(objective=None, recorder=None, **options):
    """A captured step of a small model, and a batch."""
    ccvae = make_ccvae()
    svi = SVI(
        ccvae.model, ccvae.guide, JointAdam({"lr": 1e-2}), loss=objective or ExactCCVAE_ELBO(3.0)
    )
    batch = torch.rand(4, 8), torch.randint(2, (4, 3)).double()
    return captured(ccvae, svi, recorder or Replays(), **options), svi, batch


def test_two_replays_have_their_own_noise_and_parameters():
    step, svi, batch = small_step()
    losses = [step(*batch) for _ in range(NUM_WARMUP + 3)]
    assert len({float(loss) for loss in losses}) == len(losses)
    for group in svi.optim.param_groups:
        group["lr"] = 0.0
    pyro.set_rng_seed(1)
    first, second = step(*batch), step(*batch)
    pyro.set_rng_seed(1)
    assert [step(*batch), step(*batch)] == [first, second]
    assert first != second


def test_a_replay_reads_the_batch_that_it_is_given():
    step, _, (x, y) = small_step()
    for _ in range(NUM_WARMUP + 1):
        step(x, y)
    assert step(torch.full_like(x, torch.nan), y).isnan()


def test_another_setting_of_the_objective_is_recorded_anew():
    objective = ExactCCVAE_ELBO(3.0)
    step, svi, batch = small_step(objective)
    for _ in range(NUM_WARMUP + 1):
        step(*batch)
    for group in svi.optim.param_groups:
        group["lr"] = 0.0
    pyro.set_rng_seed(1)
    before = step(*batch)
    objective.classification_weight = 300.0
    pyro.set_rng_seed(1)
    assert step(*batch) > before
    assert len(step._graphs) == 2


def test_too_many_settings_are_one_warning():
    objective = ExactCCVAE_ELBO(3.0)
    step, _, batch = small_step(objective)
    for i in range(MAX_GRAPHS):
        objective.classification_weight = float(i)
        step(*batch)
    objective.classification_weight = 100.0
    with pytest.warns(UserWarning, match="more than 8 sizes of batches or settings"):
        step(*batch)
    assert torch.isfinite(step(*batch))


# What cannot be captured


def with_reading_guide(ccvae):
    """A guide that reads a value of the device."""

    def guide(x, y=None):
        if float(x.sum()) < torch.inf:
            ccvae.guide(x, y)

    return guide


@pytest.mark.parametrize("is_noticed", [True, False], ids=["before", "while it is recorded"])
def test_a_guide_that_waits_is_named_and_trained_eagerly(is_noticed, monkeypatch):
    if not is_noticed:
        monkeypatch.setattr(Replays, "watch", Calls.watch)
    ends = []
    for way in ("eager", "captured"):
        pyro.set_rng_seed(0)
        pyro.clear_param_store()
        ccvae = make_ccvae()
        svi = SVI(ccvae.model, with_reading_guide(ccvae), JointAdam({"lr": 1e-2}), CCVAE_ELBO(5))
        batch = torch.rand(4, 8), torch.randint(2, (4, 3)).double()
        step = svi.step if way == "eager" else captured(ccvae, svi, Replays())
        if way == "captured":
            found = "float.x.sum" if is_noticed else "_local_scalar_dense"
            with pytest.warns(UserWarning, match=f"without a CUDA graph: .*{found}") as warned:
                losses = [float(step(*batch)) for _ in range(8)]
            assert len(warned) == 1
        else:
            losses = [step(*batch) for _ in range(8)]
        ends.append((losses, ccvae.state_dict()))
    assert ends[0][0] == ends[1][0]
    assert_same_states(ends[0][1], ends[1][1])


def test_a_step_that_has_to_be_captured_is_an_error_if_it_cannot_be():
    ccvae = make_ccvae()
    svi = SVI(ccvae.model, with_reading_guide(ccvae), JointAdam({"lr": 1e-2}), CCVAE_ELBO(5))
    step = captured(ccvae, svi, Replays(), is_required=True)
    batch = torch.rand(4, 8), torch.randint(2, (4, 3)).double()
    for _ in range(NUM_WARMUP - 1):
        step(*batch)
    with pytest.raises(UnsupportedError, match=r"cannot be captured .*if float\(x.sum\(\)\)"):
        step(*batch)


def test_an_objective_of_pyro_is_named():
    step, _, batch = small_step(Trace_ELBO(), Calls())
    for _ in range(NUM_WARMUP - 1):
        step(*batch)
    with pytest.warns(UserWarning, match="the objective returns its loss as float"):
        step(*batch)
    assert isinstance(step(*batch), float)


def test_graphs_are_for_cuda_and_one_optimizer():
    ccvae = make_ccvae()
    svi = SVI(ccvae.model, ccvae.guide, JointAdam({"lr": 1e-2}), loss=CCVAE_ELBO())
    assert make_step(ccvae, svi) == make_step(ccvae, svi, cuda_graph="off") == svi.step
    with pytest.raises(ValueError, match="must be auto, on or off, got 'yes'"):
        make_step(ccvae, svi, cuda_graph="yes")
    with pytest.raises(ValueError, match=r"cannot be captured .* wanted a model on CUDA, got cpu"):
        make_step(ccvae, svi, cuda_graph="on")


def test_a_run_that_cannot_have_a_graph_leaves_nothing(tmp_path):
    run = start(make_data(), optimizer=JointAdam({"lr": 1e-3}))
    with pytest.raises(ValueError, match="wanted a model on CUDA, got cpu"):
        train(*run, 1, tmp_path / "run", cuda_graph="on")
    assert not (tmp_path / "run").exists()


# On a GPU


def on_gpu(objective, optimizer=None):
    ccvae, svi = new_run(objective, optimizer)
    return ccvae.cuda(), svi


@pytest.fixture
def sync_is_error():
    """In a block, what makes the host wait for the GPU is an error."""

    class Block:
        def __enter__(self):
            torch.cuda.set_sync_debug_mode("error")

        def __exit__(self, *error):
            torch.cuda.set_sync_debug_mode("default")

    return Block()


@needs_gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.0])
def test_replays_on_a_gpu_lower_the_loss_without_waiting(objective, fraction, sync_is_error):
    batches = Batches(
        hide_labels(make_data(), fraction), 12, shift=2, flip=True, resident=True, device="cuda"
    )
    losses = {}
    for cuda_graph in ("off", "on"):
        ccvae, svi = on_gpu(OBJECTIVES[objective]())
        received = batches.received if cuda_graph == "on" else None
        step = make_step(ccvae, svi, cuda_graph=cuda_graph, received=received)
        epoch = batches.epoch if cuda_graph == "off" else batches.sent
        losses[cuda_graph] = [float(sum(step(*i) for i in epoch(n))) for n in range(6)]
        with sync_is_error, pyro.validation_enabled(False):
            total = [sum(step(*inputs) for inputs in epoch(n)) for n in range(6, 40)]
        losses[cuda_graph] += [float(loss) for loss in total]
    off, on = (torch.tensor(losses[way]) for way in ("off", "on"))
    assert on[-5:].mean() < on[:5].mean()
    spread = (off[-10:].std() ** 2 + on[-10:].std() ** 2).sqrt()
    assert (off[-10:].mean() - on[-10:].mean()).abs() < 5 * spread


@needs_gpu
def test_two_replays_on_a_gpu_have_their_own_noise():
    ccvae, svi = on_gpu(ExactCCVAE_ELBO(3.0))
    batch = torch.rand(6, 1, 28, 28).cuda(), torch.randint(2, (6, 3)).float().cuda()
    step = make_step(ccvae, svi, cuda_graph="on")
    for _ in range(NUM_WARMUP + 1):
        step(*batch)
    for group in svi.optim.param_groups:
        group["lr"] = 0.0
    torch.cuda.manual_seed(1)
    first, second = float(step(*batch)), float(step(*batch))
    torch.cuda.manual_seed(1)
    assert [float(step(*batch)), float(step(*batch))] == [first, second]
    assert first != second


@needs_gpu
def test_a_guide_that_waits_for_a_gpu_is_named():
    torch.set_default_dtype(torch.float32)
    ccvae = ccvae_pyro.mnist(num_labels=3, z_dim=5).cuda()
    svi = SVI(ccvae.model, with_reading_guide(ccvae), JointAdam({"lr": 1e-2}), CCVAE_ELBO(5))
    batch = torch.rand(6, 1, 28, 28).cuda(), torch.randint(2, (6, 3)).float().cuda()
    step = make_step(ccvae, svi)
    with pytest.warns(UserWarning, match=r"the host waits at test_step\.py") as warned:
        losses = [float(step(*batch)) for _ in range(6)]
    assert len(warned) == 1
    assert torch.tensor(losses).isfinite().all()


@needs_gpu
def test_a_failed_capture_on_a_gpu_leaves_eager_steps(monkeypatch):
    monkeypatch.setattr(captured_step.GraphRecorder, "watch", Calls.watch)
    torch.set_default_dtype(torch.float32)
    ccvae = ccvae_pyro.mnist(num_labels=3, z_dim=5).cuda()
    svi = SVI(ccvae.model, with_reading_guide(ccvae), JointAdam({"lr": 1e-2}), CCVAE_ELBO(5))
    batch = torch.rand(6, 1, 28, 28).cuda(), torch.randint(2, (6, 3)).float().cuda()
    step = make_step(ccvae, svi)
    with pytest.warns(UserWarning, match="without a CUDA graph"):
        losses = [float(step(*batch)) for _ in range(6)]
    assert torch.tensor(losses).isfinite().all()
    assert losses[-1] != losses[-2]  # there is noise again


@needs_gpu
def test_steps_of_another_optimizer_are_eager_on_a_gpu():
    ccvae, svi = on_gpu(CCVAE_ELBO(5), Adam({"lr": 1e-3}))
    with pytest.warns(UserWarning, match="wanted the optimizer JointAdam, got PyroOptim"):
        make_step(ccvae, svi)


@needs_gpu
@pytest.mark.parametrize("ways", [("on", "off"), ("off", "on")])
def test_a_run_on_a_gpu_goes_on_whichever_way_its_steps_are_taken(tmp_path, ways):
    for number, cuda_graph in enumerate(ways, 1):
        ccvae, svi, _ = start(make_data(), optimizer=JointAdam({"lr": 1e-3}))
        batches = Batches(hide_labels(make_data(), 0.5), 10, device="cuda")
        result = train(
            ccvae.cuda(),
            svi,
            batches,
            3 * number,
            tmp_path,
            decay_fraction=0.5,
            final_weight=0.1,
            resume=True,
            cuda_graph=cuda_graph,
        )
    assert result.num_epochs == 6
    assert all(torch.tensor([record["loss"] for record in result.history]).isfinite())
