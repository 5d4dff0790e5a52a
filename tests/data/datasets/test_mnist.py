"""MNIST and Fashion-MNIST."""

import numpy as np
import pytest
import torch
from helpers import write_mnist

from ccvae_pyro.data import load_mnist
from ccvae_pyro.labels import Categorical


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_mnist_and_fashion_mnist_are_read(tmp_path, name):
    images, classes = write_mnist(tmp_path, num_images=30, name=name)
    data = load_mnist(tmp_path, name)
    x, y = data.batch(np.arange(30))
    assert x.shape == (30, 1, 28, 28)
    assert torch.equal(x[:, 0], torch.from_numpy(images).float() / 255)
    assert y[:, 0].tolist() == classes.tolist()
    assert {part: len(rows) for part, rows in data.splits.items()} == {
        "train": 18,
        "valid": 2,
        "test": 10,
    }
    assert data.splits["test"].tolist() == list(range(20, 30))
    assert [type(kind) for kind in data.label_types] == [Categorical]
    assert len(data.label_types[0].classes) == 10


def test_a_missing_or_unknown_data_set_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"MNIST is not in .*raw"):
        load_mnist(tmp_path)
    with pytest.raises(ValueError, match="'mnist' or 'fashion', got 'cifar'"):
        load_mnist(tmp_path, "cifar")
