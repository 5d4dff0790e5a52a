"""Ctrl-C that waits until a step is done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def deferred_interrupt() -> Iterator[list]:
    """Collects the first Ctrl-C in a list, so that no step is cut in two; a second one kills."""
    interrupts: list[int] = []

    def note(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, previous)
        interrupts.append(number)

    try:
        previous = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: there is no Ctrl-C to catch
        yield interrupts
        return
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, previous)
