"""A script that tests start in several processes: it trains a small model without noise.

python -m torch.distributed.run --nproc-per-node 2 tests/ranks_worker.py OUT paper 2
"""

import argparse
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
from ccvae_pyro.io import checkpoint
from ccvae_pyro.labels import binaries
from ccvae_pyro.training import distributed

sys.path.append(str(Path(__file__).parents[1] / "examples"))

OBJECTIVES = {"paper": CCVAE_ELBO(5), "exact": ExactCCVAE_ELBO(3.0)}


class DoubleBatches(Batches):
    """In float64: in float32, Adam amplifies the rounding errors of gradients near zero."""

    def epoch(self, number, start=0):
        for batch in super().epoch(number, start):
            yield tuple(tensor.double() for tensor in batch)

    def held_out(self, split):
        return ((x.double(), y.double()) for x, y in super().held_out(split))


def make_data(objective):
    """41 training images, of which some have labels, and some of these not all of them.

    The paper's objective takes all labels of an image, or none.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(61, 28, 28, 1), dtype=np.uint8)
    labels = rng.integers(2, size=(61, 3)).astype(np.float32)
    labels[:5, slice(None) if objective == "paper" else 1] = np.nan
    splits = {"train": np.arange(41), "valid": np.arange(41, 51), "test": np.arange(51, 61)}
    return hide_labels(LabeledImages(images, labels, binaries("ABC"), splits), 0.5)


def no_noise():
    """Replaces random numbers by medians, so that samples do not depend on the process.

    The number of quadrature nodes, which depends on the other images of a batch, is fixed too.
    """
    tilted_grid.is_free_to_read = lambda value: False
    torch.rand_like = lambda x: torch.full_like(x, 0.5)
    torch.rand = lambda shape, **kwargs: torch.full(shape, 0.5, **kwargs)
    torch.randn = torch.zeros
    torch.distributions.normal._standard_normal = torch.distributions.utils._standard_normal = (
        lambda shape, dtype, device: torch.zeros(shape, dtype=dtype, device=device)
    )


def train(out, objective, num_epochs, event=None):
    """Trains, or resumes the training if the folder has a checkpoint.

    :param event: a signal that the process of rank 1 sends to itself in its second epoch, or a
        failure: see :func:`fail`.
    """
    pyro.set_rng_seed(0)
    torch.set_default_dtype(torch.float64)
    shares = {"rank": distributed.rank(), "world_size": distributed.world_size()}
    with distributed.local_main_process_first():
        data = make_data(objective)
        if event == f"unreadable-{distributed.rank()}":
            raise ValueError("face.jpg cannot be read as an image\nand a second line")
    batches = DoubleBatches(data, 10, min_labeled_fraction=0.0, **shares)
    ccvae = ccvae_pyro.mnist(3, z_dim=5, label_names=data.label_names).double()
    svi = SVI(ccvae.model, ccvae.guide, JointAdam({"lr": 1e-3}), loss=OBJECTIVES[objective])
    if event == "full-disk" and distributed.rank() == 0:
        checkpoint.save = _no_space
    if event == "batch" or hasattr(signal, event or ""):
        _in_second_epoch(batches, event)
    return ccvae_pyro.train(ccvae, svi, batches, num_epochs, Path(out), resume=True)


def _no_space(path, *args, **values):
    raise OSError(28, "No space left on device", str(path))


def _in_second_epoch(batches, event):
    """Lets something happen to the process of rank 1 within its second epoch."""
    epoch = batches.epoch

    def interrupted(number, start=0):
        for i, batch in enumerate(epoch(number, start)):
            if (number, i) == (2, 2) and distributed.rank() == 1:
                if event == "batch":
                    raise OSError(5, "Input/output error", "images.npy")
                os.kill(os.getpid(), getattr(signal, event))
            yield batch

    batches.epoch = interrupted


def run(args):
    """Trains, in one of the processes."""
    with distributed.process_group(torch.device("cpu")):
        no_noise()
        out, objective, num_epochs, *event = args.words
        train(out, objective, int(num_epochs), *event)


if __name__ == "__main__":
    import common

    args = argparse.Namespace(words=sys.argv[1:])
    if code := common.guarded(run, args, "ranks_worker.py", "the same command"):
        sys.exit(code)
    # A thread of the process group that is left when the interpreter exits may abort the process.
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    assert not any("gloo" in name for name in threads), threads
