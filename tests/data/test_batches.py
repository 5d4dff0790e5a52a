"""Batches of an epoch, in one process and in several."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import AUGMENTATIONS, assert_same_batches

from ccvae_pyro.data import Batches, LabeledImages, balanced_weights, hide_labels
from ccvae_pyro.labels import Categorical, Continuous, binaries


def is_labeled(batch):
    """Whether each image of a batch has a label."""
    return ~batch[1].isnan().all(dim=1)


def test_an_epoch_has_every_image_once(data):
    batches = Batches(data, 7)
    seen = torch.cat([x for x, _ in batches.epoch(1)])
    expected = data.batch(data.splits["train"])[0]
    assert len(seen) == 40
    assert torch.equal(seen.sum((1, 2, 3)).sort().values, expected.sum((1, 2, 3)).sort().values)
    assert len(list(batches.epoch(1))) == len(batches) == 6


def test_images_come_with_their_labels(data):
    for x, y in Batches(data, 8).epoch(3):
        for image, labels in zip(x, y, strict=True):
            pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
            row = np.flatnonzero((data.images == pixels).all((1, 2, 3))).item()
            assert np.array_equal(labels, data.labels[row])


def test_each_epoch_has_its_own_order_and_can_be_resumed(data):
    batches = Batches(data, 7, seed=5)
    first, again, second = ([x for x, *_ in batches.epoch(number)] for number in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], second[0])
    rest = [x for x, *_ in batches.epoch(1, start=4)]
    assert all(torch.equal(a, b) for a, b in zip(first[4:], rest, strict=True))


def test_each_image_is_shifted_independently_and_reproducibly(data):
    shifted, still = Batches(data, 7, seed=5, shift=2), Batches(data, 7, seed=5)
    shifts = set()
    for (x, y), (original, same) in zip(shifted.epoch(2), still.epoch(2), strict=True):
        assert torch.equal(y, same)
        padded = F.pad(original, (2, 2, 2, 2), mode="replicate")
        for image, around in zip(x, padded, strict=True):
            found = [
                (down, right)
                for down, right in itertools.product(range(5), repeat=2)
                if torch.equal(around[:, down:, right:][:, : x.shape[2], : x.shape[3]], image)
            ]
            assert found
            shifts.add(found[0])
        assert x.is_contiguous(memory_format=torch.channels_last)
    assert len(shifts) > 5
    resumed = list(shifted.epoch(2, start=1))
    assert all(
        torch.equal(a[0], b[0]) for a, b in zip(list(shifted.epoch(2))[1:], resumed, strict=True)
    )
    held_out = zip(shifted.held_out("test"), still.held_out("test"), strict=True)
    assert all(torch.equal(a[0], b[0]) for a, b in held_out)


def test_warps_are_reproducible(data):
    batches = Batches(data, 7, warp=0.2)
    first, again = ([x for x, _ in batches.epoch(1)] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    still = [x for x, _ in Batches(data, 7).epoch(1)]
    assert not torch.equal(first[0], still[0])


def test_half_of_the_images_are_mirrored_in_each_epoch(data):
    still, flipped = (Batches(data, 7, seed=5, flip=flip) for flip in (False, True))
    is_mirrored = []
    for (x, y), (original, same) in zip(flipped.epoch(2), still.epoch(2), strict=True):
        assert torch.equal(y, same)
        assert x.is_contiguous(memory_format=torch.channels_last)
        for image, before in zip(x, original, strict=True):
            is_mirrored.append(not torch.equal(image, before))
            assert torch.equal(image, before.flip(-1) if is_mirrored[-1] else before)
    assert 10 < sum(is_mirrored) < 30
    held_out = zip(flipped.held_out("test"), still.held_out("test"), strict=True)
    assert all(torch.equal(a[0], b[0]) for a, b in held_out)


def test_flips_leave_shifts_and_warps_as_they_are(data):
    still, flipped = (Batches(data, 7, shift=2, warp=0.2, flip=flip) for flip in (False, True))
    for (x, _), (before, _) in zip(flipped.epoch(1), still.epoch(1), strict=True):
        for image, other in zip(x, before, strict=True):
            assert torch.equal(image, other) or torch.equal(image, other.flip(-1))


def test_a_batch_without_labels_consists_of_images_only(data):
    assert [len(batch) for batch in Batches(hide_labels(data, 0.0), 20).epoch(1)] == [1, 1]


def test_few_labeled_images_are_mixed_into_every_batch(data):
    batches = Batches(hide_labels(data, 0.05), 8, min_labeled_fraction=0.25)
    epoch = list(batches.epoch(1))
    assert [is_labeled(batch).sum() for batch in epoch] == [2] * len(epoch)
    assert len(epoch) == len(batches) == 7  # 38 images without labels, 6 a batch
    assert sum(len(batch[0]) for batch in epoch) == batches.num_images == 38 + 2 * 7
    unlabeled = torch.cat([x[~is_labeled((x, y))] for x, y in epoch]).sum((1, 2, 3))
    assert len(unlabeled.unique()) == 38


@pytest.mark.parametrize(
    ("fraction", "expected"), [(1.0, 1.0), (0.5, 0.5), (0.05, 14 / 52), (0.0, 0.0)]
)
def test_label_fraction_is_the_fraction_of_known_labels_in_the_batches(data, fraction, expected):
    batches = Batches(hide_labels(data, fraction), 8, min_labeled_fraction=0.25)
    assert batches.label_fraction == pytest.approx(expected)
    if expected:
        y = torch.cat([y for _, y in batches.epoch(1)])
        assert (~y.isnan()).float().mean().item() == pytest.approx(expected)


@pytest.mark.parametrize("batch_size", [0, 41])
def test_a_batch_has_at_least_one_image_and_at_most_all(data, batch_size):
    with pytest.raises(ValueError, match=rf"training images, 40, got {batch_size}"):
        Batches(data, batch_size)


def test_arguments_out_of_range_are_errors(data):
    with pytest.raises(ValueError, match=r"min_labeled_fraction must be .* below 1, got 1"):
        Batches(data, 5, min_labeled_fraction=1)
    with pytest.raises(ValueError, match="below the size of an image, 4, got -1"):
        Batches(data, 5, shift=-1)
    with pytest.raises(ValueError, match=r"warp must be at least 0 and below 1, got 1\.5"):
        Batches(data, 5, warp=1.5)


# Several processes


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
@pytest.mark.parametrize(("fraction", "world_size"), [(1.0, 2), (0.5, 7), (0.05, 3), (0.0, 2)])
def test_each_process_gets_every_nth_image_of_a_batch(
    mapped_data, fraction, world_size, augmentation, resident
):
    few = hide_labels(mapped_data, fraction)
    whole = list(Batches(few, 7, **augmentation).epoch(2))
    for rank in range(world_size):
        part = Batches(few, 7, **augmentation, resident=resident, rank=rank, world_size=world_size)
        expected = [[tensor[rank::world_size] for tensor in batch] for batch in whole]
        assert_same_batches(part.epoch(2), expected)
        assert_same_batches(part.epoch(2, start=4), expected[4:])


@pytest.mark.parametrize("augmentation", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_a_process_may_get_none_of_a_small_batch(mapped_data, augmentation):
    parts = [Batches(mapped_data, 7, **augmentation, rank=rank, world_size=7) for rank in range(7)]
    last = [list(part.epoch(1))[-1] for part in parts]
    assert [len(x) for x, _ in last] == [1, 1, 1, 1, 1, 0, 0]
    assert last[-1][0].shape == (0, 3, 6, 4)
    assert last[-1][1].shape == (0, 3)


def test_labeled_images_are_spread_over_the_processes(mapped_data):
    few = hide_labels(mapped_data, 0.1)
    counts = [
        [int((~y.isnan()).all(1).sum()) for _, y in part.epoch(1)]
        for part in (Batches(few, 12, rank=rank, world_size=3) for rank in range(3))
    ]
    assert counts == [[1] * 4] * 3  # three in each batch


@pytest.mark.parametrize("fraction", [1.0, 0.05])
def test_counts_refer_to_all_processes_together(mapped_data, fraction):
    few = hide_labels(mapped_data, fraction)
    whole, part = Batches(few, 7), Batches(few, 7, rank=1, world_size=3)
    assert len(part) == len(whole) == len(list(part.epoch(1)))
    for name in ("num_images", "label_fraction", "batch_size"):
        assert getattr(part, name) == getattr(whole, name), name


def test_every_process_gets_all_held_out_images(mapped_data):
    whole, part = Batches(mapped_data, 3), Batches(mapped_data, 3, rank=1, world_size=2)
    assert_same_batches(part.held_out("test"), whole.held_out("test"))


@pytest.mark.parametrize(
    ("rank", "world_size", "message"),
    [
        (2, 2, "at least 0 and below world_size, 2, got 2"),
        (-1, 2, "at least 0 and below world_size, 2, got -1"),
        (0, 0, "at least 0 and below world_size, 0, got 0"),
        (0, 9, "at least the world size, 9, got 8"),
    ],
)
def test_rank_and_world_size_are_checked(mapped_data, rank, world_size, message):
    with pytest.raises(ValueError, match=message):
        Batches(mapped_data, 8, rank=rank, world_size=world_size)


def labeled_images(labels, types):
    labels = np.asarray(labels, np.float32)
    images = np.zeros((len(labels), 8, 8, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(labels))
    return LabeledImages(images, labels, types, {"train": np.arange(len(labels))})


def test_balanced_batches_have_the_values_of_a_label_equally_often():
    y = np.r_[np.ones(5), np.zeros(95)][:, None]
    data = labeled_images(y, binaries(["Hat"]))
    assert balanced_weights(data)[[0, 50]].tolist() == pytest.approx([10, 10 / 19])
    drawn = torch.cat([y for n in range(20) for _, y in Batches(data, 10, balance=True).epoch(n)])
    assert len(drawn) == 20 * 100
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.05)
    plain = torch.cat([y for _, y in Batches(data, 10).epoch(1)])
    assert plain.sum() == 5


def test_labels_are_balanced_together_and_missing_ones_count_as_any_other():
    y = np.array([[1, 2, 0.3], [0, 0, 0.1], [0, 1, 9.0], [0, 1, np.nan], [np.nan] * 3])
    types = (*binaries(["Hat"]), Categorical("Hair", ("a", "b", "c")), Continuous("Age", 0, 1))
    weights = balanced_weights(labeled_images(y, types))
    hat, hair = [2, 2 / 3, 2 / 3, 2 / 3, 1], [4 / 3, 4 / 3, 2 / 3, 2 / 3, 1]
    expected = np.mean([hat, hair, np.ones(5)], axis=0)
    assert weights == pytest.approx(expected / expected.mean())


def test_balance_is_for_labeled_images_of_mixed_batches():
    y = np.full((200, 1), np.nan)
    y[:20, 0] = np.r_[np.ones(2), np.zeros(18)]
    batches = Batches(labeled_images(y, binaries(["Hat"])), 20, balance=True)
    drawn = torch.cat([y[:5] for n in range(30) for _, y in batches.epoch(n)])
    assert not drawn.isnan().any()
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.06)
    seen = torch.cat([x[5:, 0, 0, 0] for x, _ in batches.epoch(1)])
    assert len(seen.unique()) == len(batches.unlabeled)
