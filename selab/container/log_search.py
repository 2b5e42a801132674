"""Search a log for the pattern of a `log` step, with a limit for the size and for the time.

The scenario's author chose the pattern, and the container writes the text, so that a search can take
exponential time (`(a+)+$`). Python's `re` cannot be interrupted; `regex` has its syntax and a time limit.
"""

from __future__ import annotations

import warnings

import regex

from selab.container.lifecycle import Running
from selab.guest import Guest, script_argv
from selab.policy.pattern import as_regex

MAX_LOG = 16 * 1024 * 1024
"""Bytes of a container's log that a `log` step reads and searches: its beginning."""
MAX_SEARCH = 10.0
"""Seconds that one search may take. A search of MAX_LOG usually takes some tenths of a second."""


class SearchTooSlow(Exception):
    """A search did not end within its limit of time or memory."""


class LogSearch:
    """Reads a container's log as it grows, and searches what it has read so far.

    data: what has been read.
    """

    def __init__(self, guest: Guest, container: Running, pattern: str) -> None:
        self._guest, self._container, self._pattern = guest, container, pattern
        self.data = bytearray()
        self._was_searched = False

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "backslashreplace")

    @property
    def is_full(self) -> bool:
        return len(self.data) >= MAX_LOG

    def advance(self, seconds: float) -> bool:
        """Read what is new, and return whether the pattern is in the log.

        Raises SearchTooSlow after `seconds`, or after MAX_SEARCH seconds.
        """
        new = self._read()
        self.data += new
        if self._was_searched and not new:
            return False
        self._was_searched = True
        return contains(self._pattern, self.text, min(seconds, MAX_SEARCH))

    def _read(self) -> bytes:
        room = MAX_LOG - len(self.data)
        if not room:
            return b""
        words = [str(len(self.data)), str(room), *self._container.log_argv]
        done = self._guest.run(script_argv("container/read-log", *words), limit=room)
        what = f"The log of {self._container.noun} could not be read."
        return done.expect(what, hint="Run `selab doctor`.").stdout


def contains(pattern: str, text: str, seconds: float) -> bool:
    """Return whether `pattern`, which `re` accepts, is in `text`. Raises SearchTooSlow after `seconds`."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return regex.search(as_regex(pattern), text, timeout=seconds) is not None
    except (TimeoutError, MemoryError) as error:
        raise SearchTooSlow from error
