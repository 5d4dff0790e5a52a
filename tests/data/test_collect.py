"""Loaders become data sets."""

import numpy as np
import pytest
import torch

from ccvae_pyro.data import collect
from ccvae_pyro.labels import Binary, Categorical, Continuous

LABELS = (Binary("Hat"), Continuous("Age"))


def batch(num=4, **kwargs):
    return torch.rand(num, 3, 6, 8, **kwargs), torch.stack([torch.ones(num), torch.rand(num)], 1)


def rows_of(x, y):
    """Images and labels as bytes, in an order of their own."""
    pixels = x.mul(255).round().byte().permute(0, 2, 3, 1).reshape(len(x), -1)
    return sorted(
        (bytes(image.tolist()), *label)
        for image, label in zip(pixels, y.float().tolist(), strict=True)
    )


def test_all_images_of_all_batches_are_kept_with_their_labels():
    batches = [batch(4), batch(3)]
    data = collect(batches, LABELS)
    assert data.images.shape == (7, 6, 8, 3)
    x, y = (torch.cat(each) for each in zip(*batches, strict=True))
    collected = torch.from_numpy(data.images).permute(0, 3, 1, 2).double() / 255
    assert rows_of(collected, torch.from_numpy(data.labels)) == rows_of(x, y)


def test_the_order_of_a_loader_does_not_matter():
    batches = [batch(4), batch(3)]
    first, second = collect(batches, LABELS), collect(reversed(batches), LABELS)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_splits_are_told_apart_and_bytes_kept_as_they_are():
    x = torch.randint(256, (5, 1, 4, 4), dtype=torch.uint8)
    y = torch.tensor([0, 1, 2, 1, 0])
    data = collect(
        {"train": [(x[:3], y[:3])], "test": [[x[3:], y[3:]]]}, [Categorical("c", ("a", "b", "d"))]
    )
    assert {name: rows.tolist() for name, rows in data.splits.items()} == {
        "train": [0, 1, 2],
        "test": [3, 4],
    }
    held = data.images[data.splits["test"], :, :, 0]
    assert sorted(held.tolist()) == sorted(x[3:, 0].tolist())


def test_labels_are_missing_where_a_batch_has_none():
    x, _ = batch(4)
    assert np.isnan(collect([(x,)], LABELS).labels).all()


@pytest.mark.parametrize(
    ("loaders", "message"),
    [
        ({"training": [batch()]}, "wanted a split of train, valid, test, got 'training'"),
        ({}, "wanted a loader of at least one split, got none"),
        ([{"x": 1}], r"batch 1 of 'train': wanted tensors \(x, y\) or \(x,\), got a dict"),
        ([batch(), (torch.rand(2, 3), 1)], "batch 2 of 'train': .* got a tuple of Tensor, int"),
        ([(torch.rand(4, 6, 8),)], r"wanted images \(batch, .* got \(4, 6, 8\)"),
        ([(batch()[0] * 2,)], r"wanted pixels in \[0, 1\], got some from 0.0.* to (1\.9|2)"),
        ([(batch()[0] * np.nan,)], r"wanted pixels in \[0, 1\], got some from nan to nan"),
        ([(batch()[0].long(),)], "wanted images of uint8 or floating point, got torch.int64"),
        ([(batch()[0], torch.ones(4, 3))], r"labels of shape \(4, 2\), got \(4, 3\)"),
        ([batch(), (torch.rand(2, 3, 6, 6),)], r"batch 2 of 'train': images of shape \(6, 6, 3\)"),
        (
            {"train": [batch()], "valid": [(torch.rand(2, 3, 6, 6),)]},
            r"the images of 'valid' have shape \(6, 6, 3\), others \(6, 8, 3\)",
        ),
    ],
)
def test_what_is_no_batch_is_one_line(loaders, message):
    with pytest.raises(ValueError, match=message) as caught:
        collect(loaders, LABELS)
    assert "\n" not in str(caught.value)
