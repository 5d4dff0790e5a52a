"""Ctrl-C and SIGTERM that wait for the end of a training step."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGTERM_CODE = 128 + signal.SIGTERM  # the exit code of a process that SIGTERM ended, in a shell


class Interrupts:
    """The signals that came, for the training loop to look at between its steps."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._is_deferred = True

    def note(self, number: int) -> None:
        """Notes a signal, which ends the run at once in a block that need not be finished."""
        self.received.append(number)
        if not self._is_deferred:
            raise interruption(number)

    def raise_received(self) -> None:
        """Ends the run if a signal came."""
        if self.received:
            raise interruption(self.received[0])

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A block that a signal interrupts at once, since nothing in it has to be saved."""
        self.raise_received()
        self._is_deferred = False
        try:
            yield
        finally:
            self._is_deferred = True


def interruption(number: int = signal.SIGINT) -> BaseException:
    """What a signal raises: Ctrl-C what it always does, and SIGTERM an exit with its code, 143."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(SIGTERM_CODE)


@contextmanager
def deferred_interrupt() -> Iterator[Interrupts]:
    """Collects the first Ctrl-C or SIGTERM; a second one has its usual effect."""
    interrupts, previous = Interrupts(), dict[int, object]()

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def note(number: int, frame: FrameType | None) -> None:
        restore()
        interrupts.note(number)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, note) or signal.SIG_DFL
    except ValueError:  # outside of the main thread Python does not deliver signals
        yield interrupts
        return
    try:
        yield interrupts
    finally:
        restore()


@contextmanager
def sigterm_exits() -> Iterator[None]:
    """SIGTERM raises :exc:`SystemExit` with code 143, so that files are closed and locks released.

    By default it ends a process between any two instructions.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise interruption(number)

    try:
        previous = signal.signal(signal.SIGTERM, leave) or signal.SIG_DFL
    except ValueError:  # outside of the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
