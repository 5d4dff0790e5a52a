"""Fixtures: every test starts from a seed, in float64, with a parameter store of its own."""

from collections.abc import Iterator

import pyro
import pytest
import torch
from helpers import BATCH, NUM_LABELS, NUM_PIXELS, make_ccvae
from PIL import Image

from ccvae_pyro import CCVAE
from ccvae_pyro.data.datasets import avatars
from ccvae_pyro.data.datasets._avatar_tables import ATTRIBUTES


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


@pytest.fixture(scope="session")
def celeba_root(tmp_path_factory):
    """36 avatars of 89x109 pixels with their first five attributes, in CelebA's layout."""
    root = tmp_path_factory.mktemp("celeba")
    (root / "img_align_celeba").mkdir()
    lines = []
    for i in range(36):
        image, labels = avatars.draw(0, i, 109)
        Image.fromarray(image[:, 10:99]).save(root / "img_align_celeba" / f"{i:06}.png")
        cells = " ".join(f"{2 * int(label) - 1:2d}" for label in labels[:5])
        lines.append(f"{i:06}.png {cells}")
    header = " ".join(ATTRIBUTES[:5])
    (root / "list_attr_celeba.txt").write_text("\n".join(["36", header, *lines]) + "\n")
    splits = [f"{i:06}.png {0 if i < 24 else 1 if i < 30 else 2}" for i in range(36)]
    (root / "list_eval_partition.txt").write_text("\n".join(splits) + "\n")
    return root
