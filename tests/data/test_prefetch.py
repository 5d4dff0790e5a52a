"""Moving batches to a device."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import AUGMENTATIONS, assert_same_batches
from recorded import Replays

from ccvae_pyro.data import Batches, hide_labels
from ccvae_pyro.data import prefetch as prefetch_module
from ccvae_pyro.data.prefetch import make_gather, prefetch, upload

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def gather_from(data, device, resident):
    """The function that gathers batches from the splits of some images."""
    rows = np.concatenate(list(data.splits.values()))
    return make_gather(data.images, data.labels, rows, torch.device(device), resident)


def threads():
    """The threads that gather batches."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def assert_no_thread_is_left():
    for thread in threads():
        thread.join(5)
    assert not threads()


# From the device and from the host


@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.05, 0.0])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_batches_gathered_on_the_device_and_on_the_host_are_equal(
    mapped_data, augmentation, fraction
):
    few = hide_labels(mapped_data, fraction)
    on_device, on_host = (Batches(few, 7, **augmentation, resident=r) for r in (True, False))
    whole = list(on_host.epoch(1))
    assert_same_batches(on_device.epoch(1), whole)
    assert_same_batches(on_device.epoch(1, start=3), whole[3:])
    assert_same_batches(on_host.epoch(1, start=3), whole[3:])
    for split in ("valid", "test"):
        assert_same_batches(on_device.held_out(split), on_host.held_out(split))


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_batches_follow_from_what_the_host_sends_by_fixed_operations(
    mapped_data, augmentation, resident
):
    batches = Batches(mapped_data, 7, **augmentation, resident=resident)
    first, *others = [sent for sent in batches.sent(1) if len(sent[0]) == 7]
    buffers = [tensor.clone() for tensor in first]
    if resident:
        assert buffers[0].shape == (7,)
        assert sum(buffer.nbytes for buffer in buffers) <= 7 * (8 + 6 * 4 + 1)
    made = []
    replay = Replays().record(lambda: made.append(batches.received(*buffers)))
    expected = [batch for batch in batches.epoch(1) if len(batch[0]) == 7]
    for sent, batch in zip((first, *others), expected, strict=True):
        for buffer, tensor in zip(buffers, sent, strict=True):
            buffer.copy_(tensor)
        replay()
        assert_same_batches(made, [batch])


@pytest.mark.parametrize("resident", [True, False])
def test_a_batch_consists_of_the_rows_asked_for(mapped_data, resident):
    gather = gather_from(mapped_data, "cpu", resident)
    rows = [
        mapped_data.splits["test"],
        mapped_data.splits["train"][[3, 3, 1]],
        mapped_data.splits["valid"][:0],
    ]
    assert_same_batches(gather(rows), [mapped_data.batch(some) for some in rows])


def test_images_are_resident_on_an_accelerator_with_twice_their_memory_free(
    mapped_data, monkeypatch
):
    def is_resident(device):
        batches = gather_from(mapped_data, device, None)([mapped_data.splits["test"]])
        assert next(batches)[0].device.type == device
        return not threads()

    # 50 rows of the splits, of 6x4 pixels of three bytes and three labels of four.
    needed = 2 * 50 * (6 * 4 * 3 + 3 * 4)
    monkeypatch.setattr(prefetch_module, "free_memory", lambda device: needed)
    assert is_resident("meta")
    assert not is_resident("cpu")
    assert_no_thread_is_left()
    monkeypatch.setattr(prefetch_module, "free_memory", lambda device: needed - 1)
    assert not is_resident("meta")
    assert_no_thread_is_left()


def test_images_are_uploaded_in_chunks(mapped_data, monkeypatch):
    chunks, pin = [], prefetch_module.pin

    def note(array, device):
        chunks.append(len(array))
        return pin(array, device)

    monkeypatch.setattr(prefetch_module, "pin", note)
    monkeypatch.setattr(prefetch_module, "CHUNK_BYTES", 2 * 6 * 4 * 3)  # two images
    rows = np.array([3, 50, 7, 7, 12])
    images = upload(mapped_data.images, rows, torch.device("cpu"))
    assert np.array_equal(images.numpy(), mapped_data.images[rows])
    assert chunks == [2, 2, 1]


def test_a_long_upload_shows_a_progress_bar(mapped_data, monkeypatch, capsys):
    rows = mapped_data.splits["train"]
    upload(mapped_data.images, rows, torch.device("cpu"))
    assert not capsys.readouterr().err
    monkeypatch.setattr(prefetch_module, "PROGRESS_BYTES", 40 * 6 * 4 * 3)
    upload(mapped_data.images, rows, torch.device("cpu"))
    assert "images to cpu: 100%" in capsys.readouterr().err


# The thread


def test_the_thread_is_exactly_two_batches_ahead():
    is_ahead, done = threading.Event(), []

    def function(rows):
        done.append(rows)
        if len(done) == 3:
            is_ahead.set()

    batches = prefetch(function, iter(range(10)))
    next(batches)
    assert is_ahead.wait(5)
    # What is not submitted cannot be done: the thread has nothing left to do.
    assert done == [0, 1, 2]
    batches.close()
    assert_no_thread_is_left()


def test_the_thread_ends_after_its_current_batch():
    is_at_second, go_on, done = threading.Event(), threading.Event(), []

    def function(rows):
        done.append(rows)
        if rows == 1:
            is_at_second.set()
            assert go_on.wait(5)

    batches = prefetch(function, iter(range(10)))
    next(batches)
    assert is_at_second.wait(5)
    batches.close()
    go_on.set()
    assert_no_thread_is_left()
    assert done == [0, 1]


def test_an_error_in_the_thread_is_raised_at_its_batch(mapped_data):
    rows = np.append(mapped_data.splits["train"][:39], 59)
    broken = replace(mapped_data, splits={"train": rows})
    object.__setattr__(broken, "images", mapped_data.images[:59])  # past the check of rows
    seen = []
    with pytest.raises(IndexError, match="index 59 is out of bounds"):
        seen.extend(Batches(broken, 1, resident=False).epoch(1))
    order = np.random.default_rng((0, 1)).permutation(rows)
    assert order[len(seen)] == 59
    assert_no_thread_is_left()


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_leaving_an_epoch_early_leaves_no_thread(mapped_data, error):
    def leave():
        for _ in Batches(mapped_data, 2, resident=False).epoch(1):
            assert threads()
            if error:
                raise error("enough")
            break

    if error:
        with pytest.raises(error, match="enough"):
            leave()
    else:
        leave()
    assert_no_thread_is_left()
    next(Batches(mapped_data, 2, resident=False).held_out("valid"))
    assert_no_thread_is_left()


# CUDA


@needs_gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_the_host_never_waits_for_a_gpu(mapped_data, augmentation, resident):
    expected = list(Batches(mapped_data, 7, **augmentation).epoch(1))
    batches = Batches(mapped_data, 7, **augmentation, device="cuda", resident=resident)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = list(batches.epoch(1))
    finally:
        torch.cuda.set_sync_debug_mode(before)
    for (x, y), (x_cpu, y_cpu) in zip(found, expected, strict=True):
        torch.testing.assert_close(x.cpu(), x_cpu, atol=1e-4, rtol=0)
        assert torch.equal(y.cpu(), y_cpu)


@needs_gpu
def test_an_empty_batch_reaches_a_gpu(mapped_data):
    for resident in (True, False):
        part = Batches(
            mapped_data, 7, shift=1, device="cuda", resident=resident, rank=6, world_size=7
        )
        assert [len(x) for x, _ in part.epoch(1)] == [1] * 5 + [0]
