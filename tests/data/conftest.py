"""Labeled images that several test files share."""

import numpy as np
import pytest

from ccvae_pyro.data import LabeledImages
from ccvae_pyro.labels import binaries


@pytest.fixture
def data():
    """50 images of noise, in memory, with three binary labels."""
    rng = np.random.default_rng(0)
    rows = np.arange(50)
    return LabeledImages(
        rng.integers(0, 256, (50, 4, 4, 3), dtype=np.uint8),
        rng.integers(0, 2, (50, 3)).astype(np.float32),
        binaries(("Bald", "Beard", "Wearing_Hat")),
        {"train": rows[:40], "valid": rows[40:45], "test": rows[45:]},
    )


@pytest.fixture
def mapped_data(tmp_path):
    """60 images from a memory map; the first five and the last five are in no split."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (60, 6, 4, 3), dtype=np.uint8))
    rows = np.random.default_rng(1).permutation(50) + 5
    return LabeledImages(
        np.load(tmp_path / "images.npy", mmap_mode="r"),
        rng.integers(0, 2, (60, 3)).astype(np.float32),
        binaries(("Bald", "Beard", "Wearing_Hat")),
        {"train": rows[:40], "valid": rows[40:45], "test": rows[45:]},
    )
