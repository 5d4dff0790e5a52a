"""How batches reach a device, whole or a process's share of them."""

import threading

import numpy as np
import pytest
import torch

from ccvae_pyro.data import Batches, LabeledImages, hide_labels, prefetch, transfer
from ccvae_pyro.data.prefetch import ahead, make_feed
from ccvae_pyro.data.transfer import uploaded
from ccvae_pyro.labels import binaries

MOVES = {
    "still": {},
    "moved": {"shift": 2},
    "warped": {"warp": 0.2},
    "both": {"shift": 2, "warp": 0.2},
}
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def data(tmp_path):
    """Images of which the first five and last five are in no split, from a memory map."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (60, 6, 4, 3), dtype=np.uint8))
    rows = np.random.default_rng(1).permutation(50) + 5
    return LabeledImages(
        np.load(tmp_path / "images.npy", mmap_mode="r"),
        rng.integers(0, 2, (60, 3)).astype(np.float32),
        binaries(("Bald", "Beard", "Wearing_Hat")),
        {"train": rows[:40], "valid": rows[40:45], "test": rows[45:]},
    )


def assert_same(some, others):
    """Batches are equal, bit for bit."""
    for batch, other in zip(some, others, strict=True):
        for a, b in zip(batch, other, strict=True):
            assert a.shape == b.shape
            assert torch.equal(a.nan_to_num(-1), b.nan_to_num(-1))


def threads():
    """The threads that gather batches."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def assert_no_thread_is_left():
    for thread in threads():
        thread.join(5)
    assert not threads()


# The ways to a device


@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.05, 0.0])
@pytest.mark.parametrize("moves", MOVES.values(), ids=MOVES)
def test_batches_are_the_same_by_all_ways(data, moves, fraction):
    few = hide_labels(data, fraction)
    resident, gathered = (Batches(few, 7, **moves, resident=way) for way in (True, False))
    whole = list(gathered.epoch(1))
    assert_same(resident.epoch(1), whole)
    assert_same(resident.epoch(1, start=3), whole[3:])
    assert_same(gathered.epoch(1, start=3), whole[3:])
    for split in ("valid", "test"):
        assert_same(resident.held_out(split), gathered.held_out(split))


@pytest.mark.parametrize("resident", [True, False])
def test_rows_are_those_asked_for(data, resident):
    feed = make_feed(data, torch.device("cpu"), resident)
    rows = [data.splits["test"], data.splits["train"][[3, 3, 1]], data.splits["valid"][:0]]
    assert_same(feed(rows), [data.batch(some) for some in rows])


def test_images_stay_on_an_accelerator_that_holds_them_twice(data, monkeypatch):
    def is_resident(device):
        feed = make_feed(data, torch.device(device), None)([data.splits["test"]])
        assert next(feed)[0].device.type == device
        return not threads()

    # 50 rows of the splits, of 6x4 pixels of three bytes and three labels of four.
    needed = 2 * 50 * (6 * 4 * 3 + 3 * 4)
    monkeypatch.setattr(prefetch, "free_memory", lambda device: needed)
    assert is_resident("meta")
    assert not is_resident("cpu")
    assert_no_thread_is_left()
    monkeypatch.setattr(prefetch, "free_memory", lambda device: needed - 1)
    assert not is_resident("meta")
    assert_no_thread_is_left()


def test_images_are_uploaded_piece_by_piece(data, monkeypatch):
    pieces, staged = [], transfer.staged

    def note(array, device):
        pieces.append(len(array))
        return staged(array, device)

    monkeypatch.setattr(transfer, "staged", note)
    monkeypatch.setattr(transfer, "CHUNK", 2 * 6 * 4 * 3)  # two images
    rows = np.array([3, 50, 7, 7, 12])
    images = uploaded(data.images, rows, torch.device("cpu"))
    assert np.array_equal(images.numpy(), data.images[rows])
    assert pieces == [2, 2, 1]


def test_an_upload_shows_how_far_it_is_if_it_is_long(data, monkeypatch, capsys):
    rows = data.splits["train"]
    uploaded(data.images, rows, torch.device("cpu"))
    assert not capsys.readouterr().err
    monkeypatch.setattr(transfer, "LONG", 40 * 6 * 4 * 3)
    uploaded(data.images, rows, torch.device("cpu"))
    assert "images to cpu: 100%" in capsys.readouterr().err


# The thread


def test_the_thread_is_two_batches_ahead_and_no_more():
    is_ahead, done = threading.Event(), []

    def function(rows):
        done.append(rows)
        if len(done) == 3:
            is_ahead.set()

    batches = ahead(function, iter(range(10)))
    next(batches)
    assert is_ahead.wait(5)
    # What is not submitted cannot be done: the thread has nothing left to do.
    assert done == [0, 1, 2]
    batches.close()
    assert_no_thread_is_left()


def test_the_thread_ends_after_the_batch_that_it_is_at():
    is_at_second, go_on, done = threading.Event(), threading.Event(), []

    def function(rows):
        done.append(rows)
        if rows == 1:
            is_at_second.set()
            assert go_on.wait(5)

    batches = ahead(function, iter(range(10)))
    next(batches)
    assert is_at_second.wait(5)
    batches.close()
    go_on.set()
    assert_no_thread_is_left()
    assert done == [0, 1]


def test_an_error_in_the_thread_is_raised_at_its_batch(data):
    rows = np.append(data.splits["train"][:39], 59)
    broken = LabeledImages(data.images[:59], data.labels, data.kinds, {"train": rows})
    seen = []
    with pytest.raises(IndexError, match="index 59 is out of bounds"):
        seen.extend(Batches(broken, 1, resident=False).epoch(1))
    order = np.random.default_rng((0, 1)).permutation(rows)
    assert order[len(seen)] == 59
    assert_no_thread_is_left()


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_whoever_leaves_early_leaves_no_thread(data, error):
    def leave():
        for _ in Batches(data, 2, resident=False).epoch(1):
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
    next(Batches(data, 2, resident=False).held_out("valid"))
    assert_no_thread_is_left()


# Shares


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("moves", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize(("fraction", "num_ranks"), [(1.0, 2), (0.5, 7), (0.05, 3), (0.0, 2)])
def test_shares_are_every_so_many_rows_of_the_batches(data, fraction, num_ranks, moves, resident):
    few = hide_labels(data, fraction)
    whole = list(Batches(few, 7, **moves).epoch(2))
    for rank in range(num_ranks):
        share = Batches(few, 7, **moves, resident=resident, rank=rank, num_ranks=num_ranks)
        expected = [[part[rank::num_ranks] for part in batch] for batch in whole]
        assert_same(share.epoch(2), expected)
        assert_same(share.epoch(2, start=4), expected[4:])


@pytest.mark.parametrize("moves", MOVES.values(), ids=MOVES)
def test_a_share_of_a_small_batch_may_be_empty(data, moves):
    shares = [Batches(data, 7, **moves, rank=rank, num_ranks=7) for rank in range(7)]
    last = [list(share.epoch(1))[-1] for share in shares]
    assert [len(x) for x, _ in last] == [1, 1, 1, 1, 1, 0, 0]
    assert last[-1][0].shape == (0, 3, 6, 4)
    assert last[-1][1].shape == (0, 3)


def test_labeled_images_are_spread_over_the_shares(data):
    few = hide_labels(data, 0.1)
    counts = [
        [int((~y.isnan()).all(1).sum()) for _, y in share.epoch(1)]
        for share in (Batches(few, 12, rank=rank, num_ranks=3) for rank in range(3))
    ]
    assert counts == [[1] * 4] * 3  # three in each batch


@pytest.mark.parametrize("fraction", [1.0, 0.05])
def test_counts_are_of_all_shares_together(data, fraction):
    few = hide_labels(data, fraction)
    whole, share = Batches(few, 7), Batches(few, 7, rank=1, num_ranks=3)
    assert len(share) == len(whole) == len(list(share.epoch(1)))
    for name in ("num_images", "label_share", "batch_size"):
        assert getattr(share, name) == getattr(whole, name), name


def test_what_is_held_out_is_not_shared(data):
    whole, share = Batches(data, 3), Batches(data, 3, rank=1, num_ranks=2)
    assert_same(share.held_out("test"), whole.held_out("test"))


@pytest.mark.parametrize(
    ("rank", "num_ranks", "message"),
    [
        (2, 2, "at least 0 and below num_ranks, 2, got 2"),
        (-1, 2, "at least 0 and below num_ranks, 2, got -1"),
        (0, 0, "at least 0 and below num_ranks, 0, got 0"),
        (0, 9, "an image for each of 9 processes at least, got 8"),
    ],
)
def test_a_share_is_one_of_those_that_there_are(data, rank, num_ranks, message):
    with pytest.raises(ValueError, match=message):
        Batches(data, 8, rank=rank, num_ranks=num_ranks)


# CUDA


@needs_gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("moves", MOVES.values(), ids=MOVES)
def test_the_host_never_waits_for_a_gpu(data, moves, resident):
    expected = list(Batches(data, 7, **moves).epoch(1))
    batches = Batches(data, 7, **moves, device="cuda", resident=resident)
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
def test_a_share_without_images_reaches_a_gpu(data):
    for resident in (True, False):
        share = Batches(data, 7, shift=1, device="cuda", resident=resident, rank=6, num_ranks=7)
        assert [len(x) for x, _ in share.epoch(1)] == [1] * 5 + [0]
