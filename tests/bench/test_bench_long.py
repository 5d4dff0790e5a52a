"""Whether steps get slower, or memory grows, during a long run."""

import resource
import statistics
import time

import numpy as np
import torch
from bench.steps import Setting, new_svi

from ccvae_pyro import ExactCCVAE_ELBO
from ccvae_pyro.data import Batches, LabeledImages
from ccvae_pyro.labels import binaries

NUM_STEPS, BATCH = 1000, 20  # in each of two epochs


def test_two_epochs(benchmark):
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(NUM_STEPS * BATCH, 64, 64, 3), dtype=np.uint8)
    labels = rng.integers(2, size=(len(images), 18)).astype(np.float32)
    names = [str(i) for i in range(18)]
    data = LabeledImages(images, labels, binaries(names), {"train": np.arange(len(images))})
    batches = Batches(data, BATCH)
    _, svi = new_svi(ExactCCVAE_ELBO(), Setting())
    times, sizes = [], []

    def epoch():
        start = time.perf_counter()
        for batch in batches.epoch(len(times) // NUM_STEPS + 1):
            svi.step(*batch)
            times.append(time.perf_counter() - start)
            sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            start = time.perf_counter()

    assert torch.get_default_dtype() == torch.float32
    benchmark.group = "a long run"
    benchmark.pedantic(epoch, rounds=2, iterations=1)
    first, second = times[:NUM_STEPS], times[NUM_STEPS:]
    benchmark.extra_info.update(
        suite="a long run",
        at="second epoch relative to first, and peak memory relative to step 200",
        curve="exact",
        ratio=statistics.median(second) / statistics.median(first),
        memory=sizes[-1] / sizes[200],
    )
