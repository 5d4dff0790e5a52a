"""Throughput of two processes relative to one, with one thread each."""

import statistics
from pathlib import Path

import pytest
from helpers import run_ranks

TESTS = Path(__file__).parent.parent
SCRIPT = TESTS / "bench" / "throughput.py"


def images_per_second(num_ranks, batch_size):
    finished = run_ranks(SCRIPT, batch_size, num_ranks=num_ranks, PYTHONPATH=str(TESTS))
    assert finished.returncode == 0, finished.stderr
    return float(finished.stdout.splitlines()[-1])


@pytest.mark.parametrize("is_shared", [False, True], ids=["200_each", "200_shared"])
def test_two_processes_against_one(benchmark, is_shared):
    benchmark.group = "processes"
    speeds = {1: [], 2: []}

    def take_turns():
        for num_ranks, measured in speeds.items():
            measured.append(images_per_second(num_ranks, 200 // num_ranks if is_shared else 200))

    benchmark.pedantic(take_turns, rounds=3, iterations=1)
    ratio = statistics.median(speeds[2]) / statistics.median(speeds[1])
    at = f"two processes relative to one, 200 images {'in all' if is_shared else 'each'}"
    benchmark.extra_info.update(suite="images per second", at=at, curve="exact", ratio=ratio)
