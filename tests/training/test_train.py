"""Training, checkpoints, resuming."""

import csv
import json
import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from helpers import assert_same_states
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import SGD, Adam, ClippedAdam, ExponentialLR, ReduceLROnPlateau
from small_runs import (
    SPLITS,
    interrupt_after,
    make_data,
    parameters,
    press_ctrl_c,
    send_sigterm,
    start,
)
from torch.utils.data import DataLoader, Subset, TensorDataset

import ccvae_pyro
from ccvae_pyro import Continuous
from ccvae_pyro.data import Batches, Preprocessing
from ccvae_pyro.errors import CheckpointError, RunError
from ccvae_pyro.io import checkpoint
from ccvae_pyro.models import baseline


@pytest.fixture
def data():
    return make_data()


def test_training_lowers_the_loss_and_leaves_its_history(data, tmp_path):
    ccvae, svi, batches = start(data)
    result = ccvae_pyro.train(ccvae, svi, batches, 5, tmp_path)
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert result.seconds == sum(record["seconds"] for record in result.history) > 0
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5]
    assert {"loss", "accuracy", "reconstruction_error", "seconds"} < rows[0].keys()
    assert list(result.reconstructions) == [1, 2, 4, 5]
    assert result.reconstructions[5].shape == (10, 1, 28, 28)
    assert not list(tmp_path.glob(".*"))


def test_a_function_gets_each_record_once_and_its_error_ends_a_run_that_can_be_resumed(
    data, tmp_path
):
    records = []

    def log(record):
        records.append(dict(record))
        record.clear()  # a copy, which the history does not notice
        if len(records) == 2:
            raise OSError("the dashboard is down")

    with pytest.raises(OSError, match="the dashboard is down"):
        ccvae_pyro.train(*start(data), 4, tmp_path, on_epoch=log)
    result = ccvae_pyro.train(*start(data), 4, tmp_path, on_epoch=log, resume=True)
    assert [record["epoch"] for record in records] == [1, 2, 3, 4]
    assert records == result.history


def loaders_of(data, *, shuffle):
    """A DataLoader for each split."""
    x = torch.from_numpy(data.images).permute(0, 3, 1, 2) / 255
    pairs = TensorDataset(x, torch.from_numpy(data.labels))
    return {
        split: DataLoader(Subset(pairs, rows.tolist()), batch_size=10, shuffle=shuffle)
        for split, rows in data.splits.items()
    }


def test_data_loaders_are_trained_on_and_resumed_whatever_their_order(data, tmp_path):
    ccvae, svi, _ = start(data)
    ccvae_pyro.train(ccvae, svi, loaders_of(data, shuffle=False), 2, tmp_path / "a")
    for num_epochs in (1, 2):
        ccvae, svi, _ = start(data)
        loaders = loaders_of(data, shuffle=True)
        result = ccvae_pyro.train(ccvae, svi, loaders, num_epochs, tmp_path / "b", resume=True)
    assert_same_states(parameters(tmp_path / "a"), parameters(tmp_path / "b"))
    assert "accuracy" in result.history[-1]  # of the validation images


def test_any_iterable_of_images_is_trained_on_without_labels(data, tmp_path):
    ccvae, svi, _ = start(data)
    images = (torch.rand(6, 1, 28, 28) for _ in range(3))
    result = ccvae_pyro.train(ccvae, svi, ((x,) for x in images), 1, tmp_path)
    assert result.history[-1].keys() == {"epoch", "loss", "seconds"}


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (5, "wanted an iterable of batches for 'train', got 5"),
        ([], "the loader of 'train' has no batch"),
        ({"valid": [(torch.rand(2, 1, 28, 28),)]}, "wanted a loader of the split 'train'"),
        (torch.rand(4, 1, 28, 28), "batch 1 of 'train': wanted tensors .*, got a Tensor"),
    ],
)
def test_what_is_no_loader_is_one_line(data, tmp_path, batches, message):
    ccvae, svi, _ = start(data)
    with pytest.raises(ValueError, match=message):
        ccvae_pyro.train(ccvae, svi, batches, 1, tmp_path)


def test_the_same_seed_gives_the_same_run(data, tmp_path):
    for name in ("a", "b"):
        ccvae_pyro.train(*start(data), 2, tmp_path / name)
    assert_same_states(parameters(tmp_path / "a"), parameters(tmp_path / "b"))


def test_training_leaves_the_callers_parameter_store(data, tmp_path):
    pyro.param("mine", torch.zeros(1))
    ccvae_pyro.train(*start(data), 1, tmp_path)
    assert list(pyro.get_param_store()) == ["mine"]


@pytest.mark.parametrize("decay_fraction", [0.0, 0.7])
@pytest.mark.parametrize("num_steps", [1, 6, 8])
def test_ctrl_c_saves_and_resuming_goes_on_to_the_same_end(
    data, tmp_path, num_steps, decay_fraction
):
    options = {"decay_fraction": decay_fraction}
    ccvae_pyro.train(*start(data), 3, tmp_path / "undisturbed", **options)

    ccvae, svi, batches = start(data)
    interrupt_after(svi, num_steps, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        ccvae_pyro.train(ccvae, svi, batches, 3, tmp_path / "stopped", **options)
    saved = checkpoint.read(tmp_path / "stopped" / "checkpoint.pt")
    assert saved["epoch"] * 4 + saved["step"] == num_steps

    ccvae, svi, batches = start(data, seed=0)
    for parameter in ccvae.parameters():
        parameter.data.zero_()  # so that they must come from the checkpoint
    options["resume"] = True
    resumed = ccvae_pyro.train(ccvae, svi, batches, 3, tmp_path / "stopped", **options)
    assert_same_states(parameters(tmp_path / "stopped"), parameters(tmp_path / "undisturbed"))
    undisturbed = checkpoint.read(tmp_path / "undisturbed" / "checkpoint.pt")["history"]
    losses = [[record["loss"] for record in h] for h in (resumed.history, undisturbed)]
    assert losses[0] == losses[1]


def test_the_learning_rate_is_constant_and_then_falls_to_zero(data, tmp_path):
    ccvae, svi, batches = start(data)
    rates, step = [], svi.step

    def noted(*batch):
        loss = step(*batch)
        rates.append({g["lr"] for o in svi.optim.optim_objs.values() for g in o.param_groups})
        return loss

    svi.step = noted
    ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path, decay_fraction=0.5)  # eight steps
    expected = [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    assert [len(of_step) for of_step in rates] == [1] * 8
    assert [min(of_step) for of_step in rates] == pytest.approx([1e-3 * r for r in expected])
    with pytest.raises(ValueError, match=r"decay_fraction must be between 0 and 1, got 1\.5"):
        ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path, decay_fraction=1.5)


def test_the_weight_reaches_the_final_one_after_the_first_half(data, tmp_path):
    ccvae, _, batches = start(data)
    objective, weights = ccvae_pyro.ExactCCVAE_ELBO(16.0), []
    svi = SVI(ccvae.model, ccvae.guide, ccvae_pyro.make_adam(1e-3), loss=objective)
    step = svi.step

    def noted(*batch):
        weights.append(objective.classification_weight)
        if len(weights) == 3:
            press_ctrl_c(None)
        return step(*batch)

    svi.step = noted
    with pytest.raises(KeyboardInterrupt):
        ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path, final_weight=1.0)  # three of eight
    objective.classification_weight = 16.0  # as that of a new objective
    ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path, final_weight=1.0, resume=True)
    assert weights == pytest.approx([16, 8, 4, 2, 1, 1, 1, 1])
    objective.classification_weight = 0.0
    with pytest.raises(ValueError, match=r"got classification_weight 0\.0 and final_weight 1\.0"):
        ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path, final_weight=1.0)


def test_the_learning_rate_of_the_users_optimizer_is_kept_without_decay(data, tmp_path):
    ccvae, svi, batches = start(data)
    svi.optim = ClippedAdam({"lr": 1e-3, "lrd": 0.5})
    ccvae_pyro.train(ccvae, svi, batches, 1, tmp_path)
    rates = {g["lr"] for o in svi.optim.optim_objs.values() for g in o.param_groups}
    assert rates == {1e-3 * 0.5**4}


def test_sigterm_saves_and_exits_with_its_code(data, tmp_path):
    ccvae_pyro.train(*start(data), 2, tmp_path / "undisturbed")
    ccvae, svi, batches = start(data)
    interrupt_after(svi, 3, send_sigterm)
    with pytest.raises(SystemExit) as stopped:
        ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path / "stopped")
    assert stopped.value.code == 143
    assert checkpoint.read(tmp_path / "stopped" / "checkpoint.pt")["step"] == 3
    ccvae_pyro.train(*start(data), 2, tmp_path / "stopped", resume=True)
    assert_same_states(parameters(tmp_path / "stopped"), parameters(tmp_path / "undisturbed"))


@pytest.mark.parametrize(
    ("error", "action"), [(KeyboardInterrupt, press_ctrl_c), (ValueError, None)]
)
def test_an_epoch_is_saved_before_it_is_evaluated(data, tmp_path, monkeypatch, error, action):
    ccvae_pyro.train(*start(data), 2, tmp_path / "undisturbed")

    def fail(*args):
        if action is not None:
            action(None)
            pytest.fail("the signal did not interrupt the evaluation")
        raise ValueError("no metric")

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["ccvae_pyro.training.train"], "evaluate", fail)
        with pytest.raises(error):
            ccvae_pyro.train(*start(data), 2, tmp_path / "run")
    saved = checkpoint.read(tmp_path / "run" / "checkpoint.pt")
    assert (saved["epoch"], saved["step"], saved["history"]) == (0, 4, [])
    result = ccvae_pyro.train(*start(data), 2, tmp_path / "run", resume=True)
    assert [record["epoch"] for record in result.history] == [1, 2]
    assert_same_states(parameters(tmp_path / "run"), parameters(tmp_path / "undisturbed"))


def test_a_checkpoint_is_saved_every_few_minutes(data, tmp_path):
    ccvae, svi, batches = start(data)
    saved = []

    def look(loss):
        saved.append((tmp_path / "checkpoint.pt").exists())
        time.sleep(0.02)
        return loss

    step = svi.step
    svi.step = lambda *batch: look(step(*batch))
    ccvae_pyro.train(ccvae, svi, batches, 1, tmp_path, checkpoint_minutes=0.01 / 60)
    assert saved == [False, True, True, True]


def test_a_run_that_is_killed_within_every_epoch_advances(data, tmp_path):
    ccvae_pyro.train(*start(data), 1, tmp_path / "undisturbed")

    def kill(loss):
        raise MemoryError  # nothing is saved any more

    options = {"resume": True, "checkpoint_minutes": 1e-9}
    for num_saved in (1, 2, 3):
        ccvae, svi, batches = start(data)
        interrupt_after(svi, 2, kill)
        with pytest.raises(MemoryError):
            ccvae_pyro.train(ccvae, svi, batches, 1, tmp_path / "run", **options)
        assert checkpoint.read(tmp_path / "run" / "checkpoint.pt")["step"] == num_saved
    ccvae_pyro.train(*start(data), 1, tmp_path / "run", resume=True)
    assert_same_states(parameters(tmp_path / "run"), parameters(tmp_path / "undisturbed"))


@pytest.mark.parametrize("num_epochs", [1, 2], ids=["finished", "unfinished"])
def test_a_run_is_neither_lost_nor_mixed_with_another(data, tmp_path, num_epochs):
    ccvae_pyro.train(*start(data), 1, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    with pytest.raises(RunError, match=r"holds a run: resume it \(--resume, resume=True\), overw"):
        ccvae_pyro.train(*start(data), num_epochs, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before
    with pytest.raises(ValueError, match="either resumed or overwritten, got both"):
        ccvae_pyro.train(*start(data), 1, tmp_path, resume=True, overwrite=True)
    (tmp_path / "checkpoint.pt").rename(tmp_path / "moved.pt")
    with pytest.raises(RunError, match="the history of a run without its checkpoint"):
        ccvae_pyro.train(*start(data), 1, tmp_path, resume=True)


def test_a_run_is_overwritten_if_that_is_wanted(data, tmp_path):
    ccvae_pyro.train(*start(data), 2, tmp_path)
    result = ccvae_pyro.train(*start(data, seed=1), 1, tmp_path, overwrite=True)
    assert len(result.history) == 1
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("failure", [MemoryError, FloatingPointError, SystemExit])
def test_a_run_that_is_overwritten_is_whole_until_the_new_one_has_a_checkpoint(
    data, tmp_path, failure
):
    ccvae_pyro.train(*start(data), 1, tmp_path, settings={"seed": 0})
    (tmp_path / "metrics.json").write_text("of the first run")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}

    def fail(loss):
        assert {path: path.read_bytes() for path in before} == before
        raise failure

    ccvae, svi, batches = start(data, seed=1)
    interrupt_after(svi, 4, fail)
    with pytest.raises(failure):
        ccvae_pyro.train(ccvae, svi, batches, 1, tmp_path, overwrite=True, settings={"seed": 1})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before

    ccvae, svi, batches = start(data, seed=1)
    interrupt_after(svi, 6, lambda loss: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path, overwrite=True, settings={"seed": 1})
    assert checkpoint.read(tmp_path / "checkpoint.pt")["settings"] == {"seed": 1}
    assert json.loads((tmp_path / "config.json").read_text()) == {"seed": 1}
    assert not (tmp_path / "metrics.json").exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("splits", [("train", "test"), ("train",)])
@pytest.mark.parametrize("is_listed", [True, False], ids=["empty", "absent"])
def test_without_validation_images_a_run_has_its_loss_only(tmp_path, capsys, splits, is_listed):
    given = {name: rows for name, rows in SPLITS.items() if name in splits}
    empty = {name: SPLITS["train"][:0] for name in SPLITS if name not in splits}
    data = make_data(splits=given | empty if is_listed else given)
    result = ccvae_pyro.train(*start(data), 2, str(tmp_path / "run"))
    assert [record.keys() for record in result.history] == [{"epoch", "loss", "seconds"}] * 2
    assert result.reconstructions == {}
    assert capsys.readouterr().out.count("there are no validation images") == 1
    assert (tmp_path / "run" / "history.csv").exists()


@pytest.mark.parametrize("num_epochs", [0, -1, 1.5, "3", None])
def test_a_number_of_epochs_below_one_is_refused(data, tmp_path, num_epochs):
    message = f"whole number of at least 1, got {num_epochs!r}"
    with pytest.raises(ValueError, match=message):
        ccvae_pyro.train(*start(data), num_epochs, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def rates_of(optimizer):
    groups = [s.optimizer.param_groups[0] for s in optimizer.optim_objs.values()]
    return {group["lr"] for group in groups}


def exponential():
    return ExponentialLR({"optimizer": torch.optim.Adam, "optim_args": {"lr": 1e-3}, "gamma": 0.5})


def test_a_scheduler_takes_a_step_after_each_epoch(data, tmp_path):
    ccvae, svi, batches = start(data, optimizer=exponential())
    ccvae_pyro.train(ccvae, svi, batches, 3, tmp_path / "undisturbed")
    assert rates_of(svi.optim) == {1e-3 / 8}

    ccvae, svi, batches = start(data, optimizer=exponential())
    interrupt_after(svi, 8, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        ccvae_pyro.train(ccvae, svi, batches, 3, tmp_path / "stopped")
    ccvae, svi, batches = start(data, optimizer=exponential())
    ccvae_pyro.train(ccvae, svi, batches, 3, tmp_path / "stopped", resume=True)
    assert rates_of(svi.optim) == {1e-3 / 8}
    assert_same_states(parameters(tmp_path / "stopped"), parameters(tmp_path / "undisturbed"))
    with pytest.raises(ValueError, match=r"wanted decay_fraction=0 with it, got 0\.5"):
        ccvae_pyro.train(*start(data, optimizer=exponential()), 3, tmp_path, decay_fraction=0.5)


def test_a_plateau_of_the_training_loss_lowers_the_rate(data, tmp_path):
    options = {"optimizer": torch.optim.SGD, "optim_args": {"lr": 1e-12}}
    scheduler = ReduceLROnPlateau(options | {"factor": 0.1, "patience": 0, "threshold": 1.0})
    ccvae, svi, batches = start(data, optimizer=scheduler)
    ccvae_pyro.train(ccvae, svi, batches, 3, tmp_path)
    assert [*rates_of(scheduler)] == pytest.approx([1e-14])


@pytest.mark.parametrize("make_optimizer", [ClippedAdam, SGD], ids=["ClippedAdam", "SGD"])
def test_a_run_is_resumed_with_its_own_optimizer(data, tmp_path, make_optimizer):
    ccvae_pyro.train(*start(data), 1, tmp_path)
    ccvae, svi, batches = start(data, optimizer=make_optimizer({"lr": 1e-3}))
    with pytest.raises(
        CheckpointError, match=r"the optimizer Adam, not (ClippedAdam|SGD): resume"
    ):
        ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path, resume=True)


def test_resuming_a_finished_run_changes_nothing(data, tmp_path):
    ccvae_pyro.train(*start(data), 2, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    ccvae_pyro.train(*start(data, seed=9), 2, tmp_path, resume=True)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_resuming_without_a_checkpoint_starts_a_run(data, tmp_path):
    ccvae_pyro.train(*start(data), 1, tmp_path / "a", resume=True)
    ccvae_pyro.train(*start(data), 1, tmp_path / "b")
    assert_same_states(parameters(tmp_path / "a"), parameters(tmp_path / "b"))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(data, tmp_path):
    ccvae, svi, batches = start(data)
    interrupt_after(svi, 7, lambda loss: float("nan"))
    with pytest.raises(FloatingPointError, match="nan in epoch 2, batch 3"):
        ccvae_pyro.train(ccvae, svi, batches, 3, tmp_path)
    assert checkpoint.read(tmp_path / "checkpoint.pt")["epoch"] == 1


def set_parameters(ccvae, value, loss):
    for parameter in ccvae.parameters():
        parameter.data.fill_(value)
    return loss


@pytest.mark.parametrize(("value", "num_steps"), [(np.nan, 6), (np.nan, 8), (1e30, 6)])
def test_parameters_that_are_not_finite_are_one_line(data, tmp_path, value, num_steps):
    ccvae, svi, batches = start(data)
    interrupt_after(svi, num_steps, partial(set_parameters, ccvae, value))
    with pytest.raises(FloatingPointError) as raised:
        ccvae_pyro.train(ccvae, svi, batches, 3, tmp_path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith("the loss became ")
    assert line.endswith(": a lower learning rate may help; the last checkpoint is kept")
    assert all(value.isfinite().all() for value in parameters(tmp_path).values())
    assert checkpoint.read(tmp_path / "checkpoint.pt")["epoch"] == 1


@pytest.mark.parametrize("learning_rate", [1e2, 1e6, 1e30])
@pytest.mark.parametrize("objective", [ccvae_pyro.ExactCCVAE_ELBO(), ccvae_pyro.CCVAE_ELBO(5)])
def test_a_learning_rate_that_is_too_high_is_one_line(data, tmp_path, learning_rate, objective):
    ccvae, _, batches = start(data)
    adam = ccvae_pyro.make_adam(learning_rate)
    svi = SVI(ccvae.model, ccvae.guide, adam, loss=objective)
    with pytest.raises(
        FloatingPointError, match=r"^the loss became .* the last checkpoint is kept$"
    ):
        ccvae_pyro.train(ccvae, svi, batches, 30, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def shared_scale_of_zero(ccvae):
    ccvae.style_prior.scale.zero_()


def likelihood_scale_of_zero(ccvae):
    ccvae.decoder.forward = lambda z: dist.Laplace(z.sum() * torch.ones(1, 28, 28), 0).to_event(3)


@pytest.mark.parametrize("change", [shared_scale_of_zero, likelihood_scale_of_zero])
def test_a_scale_of_zero_is_one_line(data, tmp_path, change):
    ccvae, svi, batches = start(data)
    change(ccvae)
    with pytest.raises(
        FloatingPointError, match=r"^the loss became nan in epoch 1, batch 1: a low"
    ):
        ccvae_pyro.train(ccvae, svi, batches, 1, tmp_path)


def test_an_error_of_another_cause_is_raised_as_it_is(data, tmp_path):
    ccvae, svi, batches = start(data)

    def fail(*batch):
        raise ValueError("a part of the user's does not like the batch")

    svi.step = fail
    with pytest.raises(ValueError, match="a part of the user's does not like the batch"):
        ccvae_pyro.train(ccvae, svi, batches, 1, tmp_path)


def test_a_full_disk_leaves_the_last_checkpoint(data, tmp_path, monkeypatch):
    ccvae_pyro.train(*start(data), 1, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def write_some(contents, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", write_some)
    with pytest.raises(OSError, match="No space left"):
        ccvae_pyro.train(*start(data), 2, tmp_path, resume=True)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("label_fraction", [0.0, 1.0])
def test_all_or_none_of_the_images_may_be_labeled(data, tmp_path, label_fraction):
    ccvae, svi, batches = start(data, label_fraction=label_fraction)
    history = ccvae_pyro.train(ccvae, svi, batches, 2, tmp_path).history
    assert all(np.isfinite(record["loss"]) for record in history)


def test_bfloat16_trains(data, tmp_path):
    ccvae, svi, batches = start(data)
    ccvae_pyro.set_precision(ccvae, torch.bfloat16)
    history = ccvae_pyro.train(ccvae, svi, batches, 4, tmp_path).history
    assert history[-1]["loss"] < history[0]["loss"]
    assert {p.dtype for p in ccvae.parameters()} == {torch.float32}


def test_a_checkpoint_holds_tensors_and_plain_values_only(data, tmp_path):
    ccvae_pyro.train(*start(data), 1, tmp_path)
    torch.load(tmp_path / "checkpoint.pt", weights_only=True)


def as_earlier_versions_wrote_it(contents):
    """A checkpoint of a single process, with the name of its config before version 0.2."""
    return contents | {"recipe": contents.pop("config"), "rng": contents["rng"][0]}


def test_a_run_of_an_earlier_version_is_resumed_to_the_same_end(data, tmp_path):
    undisturbed, earlier = tmp_path / "undisturbed", tmp_path / "earlier"
    ccvae_pyro.train(*start(data), 2, undisturbed)
    ccvae_pyro.train(*start(data), 1, earlier)
    contents = as_earlier_versions_wrote_it(checkpoint.read(earlier / "checkpoint.pt"))
    torch.save(contents, earlier / "checkpoint.pt")
    ccvae_pyro.train(*start(data), 2, earlier, resume=True)
    assert_same_states(parameters(earlier), parameters(undisturbed))


def test_a_run_is_resumed_only_on_images_that_are_prepared_as_they_were(data, tmp_path):
    squashed = replace(data, preprocessing=Preprocessing(28, 1))
    model, *rest = start(squashed)
    ccvae_pyro.train(model, *rest, 1, tmp_path)
    assert model.preprocessing == squashed.preprocessing
    padded = replace(data, preprocessing=Preprocessing(28, 1, "pad"))
    with pytest.raises(ValueError, match=r"resize='squash'.* cannot be resumed on .*resize='pad'"):
        ccvae_pyro.train(*start(padded), 2, tmp_path, resume=True)
    unknown, *rest = start(data)
    ccvae_pyro.train(unknown, *rest, 2, tmp_path, resume=True)
    assert unknown.preprocessing == squashed.preprocessing


OTHER_LABELS = {
    "another order": (lambda data: data.select([2, 1, 0]), "label 1 of the data is 'Wearing_Hat'"),
    "fewer": (lambda data: data.select([0, 1]), "label 3 of the data is none"),
    "another kind": (
        lambda data: replace(data, label_types=(*data.label_types[:2], Continuous("Wearing_Hat"))),
        r"label 3 of the data is 'Wearing_Hat' \(continuous\), that of the model 'Wearing_Hat'",
    ),
    "none": (lambda data: data.select([]), "label 1 of the data is none"),
}


@pytest.mark.parametrize("case", OTHER_LABELS)
def test_the_labels_of_the_data_are_those_of_the_model_before_the_first_step(data, tmp_path, case):
    change, message = OTHER_LABELS[case]
    ccvae, svi, _ = start(data)
    with pytest.raises(ValueError, match=message) as error:
        ccvae_pyro.train(ccvae, svi, Batches(change(data), 10), 1, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_a_model_without_labels_takes_the_images_of_any_data(data, tmp_path):
    torch.set_default_dtype(torch.float32)
    vae = baseline("vae", (), 5, images="mlp")
    svi = SVI(vae.model, vae.guide, Adam({"lr": 1e-3}), loss=Trace_ELBO())
    result = ccvae_pyro.train(vae, svi, Batches(data, 10), 2, tmp_path)
    assert result.history[1]["loss"] < result.history[0]["loss"]
    assert result.history[1]["reconstruction_error"] > 0


@pytest.mark.parametrize("is_missing", [False, True])
def test_an_objective_is_told_whether_all_images_are_labeled(tmp_path, monkeypatch, is_missing):
    ccvae, svi, batches = start(make_data())
    data, labels = batches.data, np.nan_to_num(batches.data.labels)
    if is_missing:
        labels[data.splits["train"][0], 0] = np.nan
    batches = Batches(replace(data, labels=labels), batches.batch_size)
    objective, told = svi.loss_and_grads.__self__, []
    monkeypatch.setattr(
        svi, "step", lambda *batch: told.append(objective.are_all_labeled) or torch.ones(())
    )
    ccvae_pyro.train(ccvae, svi, batches, 1, tmp_path)
    assert set(told) == {not is_missing}
    assert objective.are_all_labeled is False
