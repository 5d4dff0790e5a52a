"""The cache of decoded images."""

import numpy as np
import pytest

from ccvae_pyro.data import cache


def test_a_write_that_fails_halfway_leaves_no_file(tmp_path):
    def images():
        yield np.zeros((2, 2, 3), dtype=np.uint8)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        cache.write_images(tmp_path / "images.npy", images(), (3, 2, 2, 3))
    assert list(tmp_path.iterdir()) == []


def test_a_cache_without_labels_is_incomplete(tmp_path):
    cache.write_images(
        tmp_path / "a.npy", (image for image in np.zeros((1, 2, 2, 3), np.uint8)), (1, 2, 2, 3)
    )
    assert not cache.is_complete(tmp_path / "a.npy")
    cache.write_arrays(tmp_path / "a.npy", is_readable=[True])
    assert cache.is_complete(tmp_path / "a.npy")
