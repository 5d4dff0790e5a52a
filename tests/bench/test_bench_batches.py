"""Training steps with and without prefetching of batches."""

import os

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import SVI
from pyro.optim import Adam

import ccvae_pyro
from ccvae_pyro import CCVAE_ELBO
from ccvae_pyro.data.prefetch import as_floats, prefetch

BATCH, NUM_STEPS, NUM_IMAGES, NUM_LABELS = 200, 8, 20_000, 18


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Images of noise, in a file on disk."""
    path = tmp_path_factory.mktemp("images") / "images.npy"
    rng = np.random.default_rng(0)
    np.save(path, rng.integers(0, 256, (NUM_IMAGES, 64, 64, 3), dtype=np.uint8))
    with path.open("rb+") as file:
        os.fsync(file)
    return path


def forget(path):
    """Drops a file from the page cache, as happens to files larger than memory."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the page cache cannot be emptied")
@pytest.mark.parametrize("way", [prefetch, map])
@pytest.mark.parametrize("source", ["memory", "disk"])
@pytest.mark.benchmark(group=f"{NUM_STEPS} training steps and their batches")
def test_batches(benchmark, path, source, way):
    torch.set_default_dtype(torch.float32)
    ccvae = ccvae_pyro.celeba(NUM_LABELS, 45)
    svi = SVI(ccvae.model, ccvae.guide, Adam({"lr": 1e-4}), loss=CCVAE_ELBO())
    labels = np.random.default_rng(0).integers(0, 2, (NUM_IMAGES, NUM_LABELS)).astype(np.float32)

    def gather(rows):
        if source == "disk":
            forget(path)
        images = np.load(path, mmap_mode="r")
        return as_floats(torch.from_numpy(images[rows])), torch.from_numpy(labels[rows])

    def epoch():
        order = np.random.default_rng().permutation(NUM_IMAGES)[: NUM_STEPS * BATCH]
        for batch in way(gather, order.reshape(NUM_STEPS, BATCH)):
            svi.step(*batch)

    with pyro.get_param_store().scope():
        benchmark.pedantic(epoch, rounds=5, warmup_rounds=1, iterations=1)
