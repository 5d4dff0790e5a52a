"""Images a second, of one process or of several that train together.

python -m torch.distributed.run --nproc-per-node 2 tests/bench/throughput.py 200
"""

import sys
import time

import pyro
import torch
from pyro.infer import SVI

import ccvae_pyro
from ccvae_pyro import JointAdam, TiltedCCVAE_ELBO, ranks
from ccvae_pyro.devices import pick_precision
from ccvae_pyro.stepping import stepper

NUM_LABELS, NUM_STEPS, WARMUP = 18, 30, 8


def measure(device, batch_size):
    """Of steps with a batch of so many images for each process."""
    pyro.set_rng_seed(0)
    ccvae = ccvae_pyro.celeba(NUM_LABELS, 45).to(device)
    ccvae_pyro.set_precision(ccvae, pick_precision("auto", device))
    svi = SVI(ccvae.model, ccvae.guide, JointAdam({"lr": 1e-4}), loss=TiltedCCVAE_ELBO())
    x = torch.rand(batch_size, 3, 64, 64, device=device).to(memory_format=torch.channels_last)
    y = torch.ones(batch_size, NUM_LABELS, device=device)
    step = stepper(ccvae, svi)
    for i in range(NUM_STEPS):
        if i == WARMUP:
            ranks.total(0)  # waits for the others
            start = time.perf_counter()
        loss = step(x, y)
    ranks.total(loss)
    seconds = time.perf_counter() - start
    return ranks.num_ranks() * batch_size * (NUM_STEPS - WARMUP) / seconds


if __name__ == "__main__":
    with ranks.joined(torch.device("cuda" if torch.cuda.is_available() else "cpu")) as device:
        images_a_second = measure(device, int(sys.argv[1]))
        if ranks.rank() == 0:
            print(images_a_second)
