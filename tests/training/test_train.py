"""Training, checkpoints, resuming."""

import csv
import os
import signal
from dataclasses import replace

import numpy as np
import pyro
import pytest
import torch
from helpers import assert_same_states
from pyro.infer import SVI
from pyro.optim import Adam, ClippedAdam

import ccvae_pyro
from ccvae_pyro import ExactCCVAE_ELBO
from ccvae_pyro.data import Batches, LabeledImages, Preprocessing, hide_labels
from ccvae_pyro.io import checkpoint
from ccvae_pyro.labels import binaries

NAMES = ("Bald", "Beard", "Wearing_Hat")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    rows = np.arange(60)
    images = rng.integers(0, 256, (60, 28, 28, 1), dtype=np.uint8)
    labels = rng.integers(0, 2, (60, 3)).astype(np.float32)
    return LabeledImages(
        images,
        labels,
        binaries(NAMES),
        {"train": rows[:40], "valid": rows[40:50], "test": rows[50:]},
    )


def start(data, seed=0, label_fraction=0.5):
    """A small model, its SVI and its batches: four an epoch, half of the images labeled."""
    torch.set_default_dtype(torch.float32)
    pyro.set_rng_seed(seed)
    ccvae = ccvae_pyro.mnist(num_labels=3, z_dim=5, label_names=NAMES)
    objective = ExactCCVAE_ELBO(classification_weight=1.0)
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-3}), loss=objective)
    return ccvae, svi, Batches(hide_labels(data, label_fraction), 10, seed=seed)


def parameters(path):
    return checkpoint.read(path / "checkpoint.pt")["model"]


def interrupt_after(svi, num_steps, action):
    """Calls a function with the loss at the end of a step, whose loss it returns."""
    step, taken = svi.step, []

    def counted(*batch):
        loss = step(*batch)
        taken.append(loss)
        return action(loss) if len(taken) == num_steps else loss

    svi.step = counted


def press_ctrl_c(loss):
    os.kill(os.getpid(), signal.SIGINT)
    return loss


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
