"""MNIST and Fashion-MNIST."""

import gzip

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


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_files_may_be_compressed(tmp_path, suffix):
    images, classes = write_mnist(tmp_path, num_images=30, name="mnist")
    for path in list((tmp_path / "MNIST" / "raw").iterdir()):
        compressed = gzip.compress(path.read_bytes())
        path.unlink()
        path.with_name(path.name + suffix).write_bytes(compressed)
    data = load_mnist(tmp_path)
    assert np.array_equal(data.images[..., 0], images)
    assert data.labels[:, 0].tolist() == classes.tolist()


def idx(array, magic=None):
    header = np.array([magic or 2048 + array.ndim, *array.shape], dtype=">u4")
    return header.tobytes() + array.tobytes()


ZEROS = np.zeros((20, 28, 28), np.uint8)
BAD = {
    "fewer labels": ("labels", idx(np.zeros(19, np.uint8)), "has 19 labels, but .* 20 images"),
    "more labels": ("labels", idx(np.zeros(21, np.uint8)), "has 21 labels, but .* 20 images"),
    "truncated labels": ("labels", idx(np.zeros(20, np.uint8))[:-3], "has 25 bytes, wanted 28"),
    "labels with more to follow": ("labels", idx(np.zeros(20, np.uint8)) + b"12", "has 30 bytes"),
    "truncated images": ("images", idx(ZEROS)[:-1], "15695 bytes, wanted 15696 for .* 20x28x28"),
    "truncated header": ("images", idx(ZEROS)[:9], "is truncated: 9 bytes, wanted at least 16"),
    "empty": ("images", b"", "is truncated: 0 bytes"),
    "labels for images": (
        "images",
        idx(np.zeros(20, np.uint8)),
        "2049, wanted 2051: it is no",
    ),
    "other numbers": ("images", idx(ZEROS, 0x0D03), "starts with the number 3331, wanted 2051"),
    "web page": ("images", b"<!DOCTYPE html><html></html>", "wanted 2051: it is a web page"),
    "32x32": ("images", idx(np.zeros((20, 32, 32), np.uint8)), "images of 32x32, wanted 28x28"),
    "a huge size": (
        "images",
        np.array([2051, *[2**32 - 1] * 3], ">u4").tobytes(),
        f"has 16 bytes, wanted {(2**32 - 1) ** 3 + 16}",
    ),
    "a class of letters": (
        "labels",
        idx(np.full(20, 12, np.uint8)),
        "label 0 is 12, wanted 0 to",
    ),
    "broken compression": ("images", gzip.compress(idx(ZEROS))[:-9], "cannot be decompressed"),
    "no images": ("both", None, "has no images"),
}


@pytest.mark.parametrize(("kind", "content", "message"), BAD.values(), ids=BAD)
def test_a_file_that_is_not_what_its_name_says_is_one_line(tmp_path, kind, content, message):
    write_mnist(tmp_path, num_images=30, name="mnist")
    raw = tmp_path / "MNIST" / "raw"
    if kind == "both":
        (raw / "train-images-idx3-ubyte").write_bytes(idx(ZEROS[:0]))
        (raw / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(0, np.uint8)))
    else:
        (raw / f"train-{kind}-idx{3 if kind == 'images' else 1}-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=rf"train-\w+-idx\d-ubyte.*{message}") as caught:
        load_mnist(tmp_path)
    assert "\n" not in str(caught.value)
