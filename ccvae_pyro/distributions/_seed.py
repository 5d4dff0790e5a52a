"""Random numbers that are the same every time, whatever was sampled before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ccvae_pyro.labels._plain_values import plain_int


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Samples from a seed; after the block, PyTorch's generators go on from where they were.

    :param seed: the seed; if it is None, nothing changes.
    :raises ValueError: if it is no whole number of at least 0.
    """
    if seed is None:
        yield
        return
    seed = plain_int(seed, "seed", minimum=0)
    of_apple = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        try:
            yield
        finally:
            if of_apple is not None:  # which fork_rng does not keep
                torch.mps.set_rng_state(of_apple)
