"""Several processes train the same parameters as one."""

import time
from pathlib import Path

import pytest
import torch
from helpers import run_ranks
from ranks_worker import make_data, no_noise, train
from torch.testing import assert_close

import ccvae_pyro
from ccvae_pyro.data import Batches
from ccvae_pyro.distributions import _tilted_quadrature as tilted_grid
from ccvae_pyro.io import checkpoint
from ccvae_pyro.training import distributed

WORKER = Path(__file__).parents[1] / "ranks_worker.py"


def start(*arguments):
    """Two processes of the worker."""
    return run_ranks(WORKER, *arguments, CUDA_VISIBLE_DEVICES="", timeout=100)


@pytest.fixture
def noiseless(monkeypatch):
    """Replaces noise by constants, for this test only."""
    for owner in (torch.distributions.normal, torch.distributions.utils):
        monkeypatch.setattr(owner, "_standard_normal", owner._standard_normal)
    monkeypatch.setattr(tilted_grid, "is_free_to_read", tilted_grid.is_free_to_read)
    for name in ("rand", "rand_like", "randn"):
        monkeypatch.setattr(torch, name, getattr(torch, name))
    no_noise()


def parameters(out):
    return checkpoint.read(out / "checkpoint.pt")["model"]


@pytest.mark.usefixtures("noiseless")
@pytest.mark.parametrize("objective", ["paper", "exact"])
def test_two_processes_train_the_same_parameters_as_one(objective, tmp_path):
    alone = train(tmp_path / "one", objective, 3)
    finished = start(tmp_path / "two", objective, 2)
    assert finished.returncode == 0, finished.stderr
    # One process resumes the run of two.
    together = train(tmp_path / "two", objective, 3)
    losses = [[record["loss"] for record in run.history] for run in (alone, together)]
    assert_close(*losses, rtol=1e-12, atol=0)
    assert_close(parameters(tmp_path / "two"), parameters(tmp_path / "one"), rtol=0, atol=1e-11)


@pytest.mark.usefixtures("noiseless")
def test_two_processes_resume_the_run_of_one(tmp_path):
    train(tmp_path / "one", "exact", 3)
    train(tmp_path / "two", "exact", 1)
    assert start(tmp_path / "two", "exact", 3).returncode == 0
    assert_close(parameters(tmp_path / "two"), parameters(tmp_path / "one"), rtol=0, atol=1e-11)


def test_a_killed_process_ends_the_run_with_an_error_and_leaves_a_good_checkpoint(tmp_path):
    finished = start(tmp_path, "exact", 100, "SIGKILL")
    assert finished.returncode != 0
    assert "SIGKILL" in finished.stderr
    assert checkpoint.read(tmp_path / "checkpoint.pt")["epoch"] == 1


@pytest.mark.usefixtures("noiseless")
def test_ctrl_c_in_one_process_stops_all_when_they_read_the_loss(tmp_path):
    train(tmp_path / "one", "exact", 3)
    assert start(tmp_path / "two", "exact", 100, "SIGINT").returncode != 0
    saved = checkpoint.read(tmp_path / "two" / "checkpoint.pt")
    assert (saved["epoch"], saved["step"], len(saved["rng"])) == (1, 5, 2)
    train(tmp_path / "two", "exact", 3)
    assert_close(parameters(tmp_path / "two"), parameters(tmp_path / "one"), rtol=0, atol=1e-11)


FAILURES = {
    "unreadable-0": "face.jpg cannot be read as an image",
    "unreadable-1": "face.jpg cannot be read as an image (in the process of rank 1)",
    "full-disk": "[Errno 28] No space left on device: ",
    "batch": "[Errno 5] Input/output error: 'images.npy' (in the process of rank 1)",
}


@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_in_one_process_is_one_line_and_ends_all(tmp_path, failure):
    began = time.monotonic()
    finished = start(tmp_path, "exact", 100, failure)
    assert finished.returncode != 0
    said = [line for line in finished.stderr.splitlines() if "ranks_worker.py: error: " in line]
    assert len(said) == 1
    assert f"ranks_worker.py: error: {FAILURES[failure]}" in said[0]
    assert "[rank" not in finished.stderr  # the traceback of a process
    assert time.monotonic() - began < 60  # most of it to start: the others would wait for an hour


def test_a_single_process_has_rank_0_in_a_world_of_size_1():
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    assert distributed.all_reduce_sum(2.5, 1) == [2.5, 1.0]
    assert distributed.all_gather("mine") == ["mine"]
    cpu = torch.device("cpu")
    with distributed.process_group(cpu) as device, distributed.local_main_process_first():
        assert device == cpu


def test_batches_for_another_world_size_are_refused(tmp_path):
    ccvae = ccvae_pyro.mnist(num_labels=3, z_dim=5)
    batches = Batches(make_data("exact"), 10, rank=1, world_size=2)
    with pytest.raises(
        ValueError, match="wanted batches shared by 1 processes, the world size, got 2"
    ):
        ccvae_pyro.train(ccvae, None, batches, 1, tmp_path)
