"""Steps report what they do, how they ended and how long they took, to progress, log and timings."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

log = logging.getLogger("selab")


class Listener(Protocol):
    """An object that shows progress to a person."""

    def started(self, step: str, depth: int) -> None: ...
    def noted(self, text: str, depth: int) -> None: ...
    def ended(self, step: str, depth: int, seconds: float, failed: bool) -> None: ...


class Silent:
    """A listener for programs, which shows nothing."""

    def started(self, step: str, depth: int) -> None: ...
    def noted(self, text: str, depth: int) -> None: ...
    def ended(self, step: str, depth: int, seconds: float, failed: bool) -> None: ...


class Progress:
    """The steps of one invocation.

    timings: the seconds of each finished step that has a key, by key, in the order in which the steps began.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self.listener: Listener = listener or Silent()
        self.timings: dict[str, float] = {}
        self._depth = 0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """The time since the first of these steps could begin."""
        return time.monotonic() - self._started

    @contextmanager
    def step(self, doing: str, key: str = "") -> Iterator[None]:
        """Run the block as the step `doing` ("Compiling ..."), and add its seconds to `timings[key]`."""
        depth, started, failed = self._depth, time.monotonic(), True
        self._depth += 1
        if key:
            self.timings.setdefault(key, 0.0)
        log.info("%s%s", "  " * depth, doing)
        self.listener.started(doing, depth)
        try:
            yield
            failed = False
        finally:
            self._depth = depth
            seconds = time.monotonic() - started
            if key:
                self.timings[key] += seconds
            log.info("%s%s: %s after %.2f s", "  " * depth, doing, "failed" if failed else "done", seconds)
            self.listener.ended(doing, depth, seconds, failed)

    def note(self, text: str) -> None:
        """Report a fact within the current step ("used the VM that is running")."""
        log.info("%s%s", "  " * self._depth, text)
        self.listener.noted(text, self._depth)
