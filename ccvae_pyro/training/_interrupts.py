"""Ctrl-C that waits for the end of a training step."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupt() -> Iterator[list[int]]:
    """Collects the first Ctrl-C in a list, for the caller to look at; a second one interrupts."""
    interrupts: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, previous)
        interrupts.append(number)

    try:
        previous = signal.signal(signal.SIGINT, note)
    except ValueError:  # outside of the main thread Python does not deliver Ctrl-C
        yield interrupts
        return
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, previous)
