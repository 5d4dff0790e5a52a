"""What tests start as one of several processes: a small model, trained without noise.

python -m torch.distributed.run --nproc-per-node 2 tests/ranks_worker.py OUT paper 2
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pyro
import torch
from pyro.infer import SVI

import ccvae_pyro
from ccvae_pyro import CCVAE_ELBO, ExactCCVAE_ELBO, JointAdam
from ccvae_pyro.data import Batches, LabeledImages, hide_labels
from ccvae_pyro.distributions import _tilted_quadrature as tilted_grid
from ccvae_pyro.labels import binaries
from ccvae_pyro.training import distributed as ranks

OBJECTIVES = {"paper": CCVAE_ELBO(5), "exact": ExactCCVAE_ELBO(3.0)}


class DoubleBatches(Batches):
    """In float64: in float32, Adam makes much of the rounding of gradients that are near zero."""

    def epoch(self, number, start=0):
        for batch in super().epoch(number, start):
            yield tuple(tensor.double() for tensor in batch)

    def held_out(self, split):
        return ((x.double(), y.double()) for x, y in super().held_out(split))


def make_data():
    """A few of whose images have labels, some of these not all; a batch of 10 leaves one."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(51, 28, 28, 1), dtype=np.uint8)
    labels = rng.integers(2, size=(51, 3)).astype(np.float32)
    labels[:5, 1] = np.nan
    splits = {"train": np.arange(41), "valid": np.arange(41, 51), "test": np.arange(41, 51)}
    return hide_labels(LabeledImages(images, labels, binaries("ABC"), splits), 0.5)


def no_noise():
    """Has every process draw the medians, so that who draws what makes no difference.

    And take the same nodes for integrals, whose number depends on what else is in a batch.
    """
    tilted_grid.is_free_to_read = lambda value: False
    torch.rand_like = lambda x: torch.full_like(x, 0.5)
    torch.rand = lambda shape, **kwargs: torch.full(shape, 0.5, **kwargs)
    torch.distributions.normal._standard_normal = torch.distributions.utils._standard_normal = (
        lambda shape, dtype, device: torch.zeros(shape, dtype=dtype, device=device)
    )


def train(out, objective, num_epochs, meet=None):
    """Trains, with the checkpoint in a folder to go on from if there is one.

    :param meet: what happens to the second process in its second epoch.
    """
    pyro.set_rng_seed(0)
    torch.set_default_dtype(torch.float64)
    shares = {"rank": ranks.rank(), "num_ranks": ranks.num_ranks()}
    batches = DoubleBatches(make_data(), 10, labeled_share=0.0, **shares)
    ccvae = ccvae_pyro.mnist(num_labels=3, z_dim=5).double()
    svi = SVI(ccvae.model, ccvae.guide, JointAdam({"lr": 1e-3}), loss=OBJECTIVES[objective])
    if meet is not None and ranks.rank() == 1:
        _meet(batches, meet)
    return ccvae_pyro.train(ccvae, svi, batches, num_epochs, Path(out), resume=True)


def _meet(batches, meet):
    epoch = batches.epoch

    def interrupted(number, start=0):
        for i, batch in enumerate(epoch(number, start)):
            if (number, i) == (2, 2):
                os.kill(os.getpid(), getattr(signal, meet))
            yield batch

    batches.epoch = interrupted


if __name__ == "__main__":
    with ranks.joined(torch.device("cpu")):
        no_noise()
        out, objective, num_epochs, *meet = sys.argv[1:]
        train(out, objective, int(num_epochs), *meet)
    # A thread of the group's that is there when the interpreter ends may abort the process.
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    assert not any("gloo" in name for name in threads), threads
