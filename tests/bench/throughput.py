"""Training throughput in images per second, of one process or several.

PYTHONPATH=tests python -m torch.distributed.run --nproc-per-node 2 tests/bench/throughput.py 200
"""

import sys
import time

import pyro
import torch
from bench.steps import Setting, images, new_svi

from ccvae_pyro import ExactCCVAE_ELBO
from ccvae_pyro.training import distributed, make_step, pick_device, pick_precision

NUM_STEPS, WARMUP = 30, 8


def measure(device, batch_size):
    """The throughput with a batch of this size in each process."""
    pyro.set_rng_seed(0)
    precision = pick_precision("auto", device)
    setting = Setting(batch_size=batch_size, device=device, precision=precision)
    step = make_step(*new_svi(ExactCCVAE_ELBO(), setting))
    x, y = images(setting), torch.ones(batch_size, setting.num_labels, device=device)
    for i in range(NUM_STEPS):
        if i == WARMUP:
            distributed.all_reduce_sum(0)  # a barrier
            start = time.perf_counter()
        loss = step(x, y)
    distributed.all_reduce_sum(loss)
    seconds = time.perf_counter() - start
    return distributed.world_size() * batch_size * (NUM_STEPS - WARMUP) / seconds


if __name__ == "__main__":
    with distributed.process_group(pick_device()) as device:
        images_per_second = measure(device, int(sys.argv[1]))
        if distributed.rank() == 0:
            print(images_per_second)
