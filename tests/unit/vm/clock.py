"""A clock for tests of what waits and retries."""

from __future__ import annotations


class Clock:
    """A clock that only sleeping moves. `sleeps` holds the seconds of each sleep."""

    def __init__(self) -> None:
        self.now, self.sleeps = 1000.0, list[float]()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
