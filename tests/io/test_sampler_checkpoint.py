"""Checkpoints with a fitted sampler."""

import pytest
import torch
from helpers import assert_same_states
from small_runs import make_data, start

import ccvae_pyro
from ccvae_pyro import CheckpointError, fit_sampler, generate
from ccvae_pyro.io import read, save_choices


@pytest.fixture
def fitted(tmp_path):
    """A model with a sampler, and where to save it."""
    ccvae, _, batches = start(make_data())
    ccvae.sampler = fit_sampler(ccvae, batches.held_out("train"))
    return ccvae, tmp_path / "checkpoint.pt"


def samples(ccvae):
    torch.manual_seed(0)
    return generate(ccvae, torch.tensor([[0.0, 1.0, 1.0]]))


def test_a_checkpoint_holds_the_sampler(fitted):
    ccvae, path = fitted
    ccvae_pyro.save(path, ccvae)
    assert torch.load(path, weights_only=True)["sampler"].keys() == ccvae.sampler.tensors.keys()
    loaded = ccvae_pyro.load(path)  # built by its config
    assert_same_states(loaded.sampler.tensors, ccvae.sampler.tensors)
    assert torch.equal(samples(loaded.eval()), samples(ccvae.eval()))
    assert loaded.sampler is not None


def test_a_checkpoint_without_a_sampler_loads_and_removes_one(fitted):
    ccvae, path = fitted
    sampler, ccvae.sampler = ccvae.sampler, None
    ccvae_pyro.save(path, ccvae)
    contents = torch.load(path, weights_only=True)
    del contents["sampler"]  # as earlier versions wrote it
    torch.save(contents, path)
    ccvae.sampler = sampler
    assert ccvae_pyro.load(path, ccvae).sampler is None


def test_a_sampler_is_written_into_a_checkpoint_whose_other_entries_stay(fitted):
    ccvae, path = fitted
    sampler, ccvae.sampler = ccvae.sampler, None
    ccvae_pyro.save(path, ccvae, epoch=3, note="kept")
    before = read(path)
    ccvae.sampler = sampler
    save_choices(path, ccvae)
    after = read(path)
    assert_same_states(after["sampler"], sampler.tensors)
    assert_same_states(after["model"], before["model"])
    assert {key: after[key] for key in ("epoch", "note", "config")} == {
        key: before[key] for key in ("epoch", "note", "config")
    }
    ccvae.sampler = None
    save_choices(path, ccvae)
    assert read(path)["sampler"] is None


def test_a_sampler_is_not_written_into_the_checkpoint_of_other_parameters(fitted):
    ccvae, path = fitted
    ccvae_pyro.save(path, ccvae)
    written = path.read_bytes()
    next(ccvae.parameters()).data += 1
    with pytest.raises(CheckpointError, match="other parameters than the model"):
        save_choices(path, ccvae)
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("text", "wanted the tensors"),
        ({"weight": torch.ones(2)}, "wanted the tensors"),
        ({"weight": torch.ones(2, 5), "bias": torch.ones(5), "scale_tril": torch.eye(5)}, "shape"),
    ],
)
def test_an_invalid_sampler_is_an_error_and_the_model_stays(fitted, entry, message):
    ccvae, path = fitted
    ccvae_pyro.save(path, ccvae)
    contents = torch.load(path, weights_only=True)
    torch.save(contents | {"sampler": entry}, path)
    sampler = ccvae.sampler
    with pytest.raises(CheckpointError, match=f"has an invalid fitted sampler: .*{message}"):
        ccvae_pyro.load(path, ccvae)
    assert ccvae.sampler is sampler


def test_training_removes_the_sampler(tmp_path):
    ccvae, svi, batches = start(make_data())
    ccvae.sampler = fit_sampler(ccvae, batches.held_out("train"))
    ccvae_pyro.train(ccvae, svi, batches, 1, tmp_path)
    assert ccvae.sampler is None
    assert read(tmp_path / "checkpoint.pt")["sampler"] is None
