"""Fixtures: every test starts from a seed, in float64, with a parameter store of its own."""

from collections.abc import Iterator

import pyro
import pytest
import torch
from helpers import BATCH, NUM_LABELS, NUM_PIXELS, make_ccvae

from ccvae_pyro import CCVAE


@pytest.fixture(autouse=True)
def fresh_pyro() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    pyro.set_rng_seed(0)
    with pyro.get_param_store().scope():
        yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def ccvae() -> CCVAE:
    return make_ccvae()


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(BATCH, NUM_PIXELS), torch.randint(2, (BATCH, NUM_LABELS)).double()


@pytest.fixture(scope="session")
def avatars_root(tmp_path_factory):
    """Where examples draw avatars, once."""
    return tmp_path_factory.mktemp("avatars")
