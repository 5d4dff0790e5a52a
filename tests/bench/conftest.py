"""Benchmarks of training steps, relative to steps of encoder and decoder only.

`make bench` runs them, prints ratios and plots them. The two kinds of steps alternate, so that
both are measured under the same load of the machine.
"""

import statistics
import time

import pyro
import pytest
import torch
from bench.steps import bare_step, peak_memory

WARMUP = 4


@pytest.fixture(autouse=True)
def own_store():
    torch.set_default_dtype(torch.float32)
    with pyro.get_param_store().scope():
        yield


@pytest.fixture
def in_turn(benchmark):
    """Times a step in turn with a step of the networks only, and records the ratios.

    `extra_info` has the `suite`, the position `at` along its axis, the name of a `curve`, the
    `ratio` of median times, and the ratio of peak `memory`.
    """

    def run(step, setting, suite, at, curve, rounds=15):
        bare, times = bare_step(setting), []

        def take_bare_step():
            start = time.perf_counter()
            bare()
            times.append(time.perf_counter() - start)

        benchmark.group = suite
        benchmark.pedantic(step, setup=take_bare_step, rounds=rounds, warmup_rounds=WARMUP)
        ratio = benchmark.stats.stats.median / statistics.median(times[WARMUP:])
        memory = peak_memory(step) / peak_memory(bare)
        benchmark.extra_info.update(suite=suite, at=at, curve=curve, ratio=ratio, memory=memory)

    return run
