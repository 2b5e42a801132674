"""The duration of each step the last time, which progress shows to a person who waits."""

from __future__ import annotations

import contextlib
import math
import re
from pathlib import Path

from selab.host.files import read_json, write_json

MOST = 200
"""Steps that are remembered; the oldest are dropped first."""
LONGEST_NAME = 120
_DIGEST = re.compile(r"\b[0-9a-f]{12,64}\b")
_NUMBER = re.compile(r"\b\d+\b")


class Durations:
    """The seconds of each kind of step, stored in a file.

    A file that cannot be read counts as empty. A file that cannot be written is no error.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._before = _read(file) if file else {}
        self._now: dict[str, float] = {}

    def last(self, step: str) -> float | None:
        """Return the seconds of the last step of this kind that succeeded, or None."""
        kind = kind_of(step)
        return self._now.get(kind, self._before.get(kind))

    def took(self, step: str, seconds: float) -> None:
        """Remember a step that has succeeded."""
        self._now.pop(kind_of(step), None)
        self._now[kind_of(step)] = round(seconds, 1)

    def keep(self) -> None:
        """Write the durations to the file, with those that another selab has written in the meantime."""
        if not self._file or not self._now:
            return
        others = {kind: seconds for kind, seconds in _read(self._file).items() if kind not in self._now}
        with contextlib.suppress(OSError):
            write_json(self._file, dict([*others.items(), *self._now.items()][-MOST:]))


def kind_of(step: str) -> str:
    """Return a step's name without numbers (`Round 2`) and digests, which differ each time."""
    return _NUMBER.sub("N", _DIGEST.sub("", step))[:LONGEST_NAME]


def _read(file: Path) -> dict[str, float]:
    """Return the valid entries of the file."""
    return {
        kind: float(seconds)
        for kind, seconds in read_json(file).items()
        if _is_duration(seconds) and len(kind) <= LONGEST_NAME
    }


def _is_duration(seconds: object) -> bool:
    return (
        isinstance(seconds, (int, float))
        and not isinstance(seconds, bool)
        and math.isfinite(seconds)
        and 0 <= seconds < 1e6
    )
