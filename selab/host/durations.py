"""How long each step took last time: what a person who waits wants to know."""

from __future__ import annotations

import contextlib
import math
import re
from pathlib import Path

from selab.host.files import read_json, write_json

MOST = 200
"""Steps that are remembered; those that were done last stay."""
LONGEST_NAME = 120
_DIGEST = re.compile(r"\b[0-9a-f]{12,64}\b")
_NUMBER = re.compile(r"\b\d+\b")


class Durations:
    """Seconds by the kind of step, kept in a file. A file that cannot be read counts as absent, and one that cannot be written is no
    error: without it, all is done as well."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._before = _read(file) if file else {}
        self._now: dict[str, float] = {}

    def last(self, step: str) -> float | None:
        """The seconds that a step of this kind took when it was last done to its end."""
        kind = kind_of(step)
        return self._now.get(kind, self._before.get(kind))

    def took(self, step: str, seconds: float) -> None:
        """Remember a step that has ended well."""
        self._now.pop(kind_of(step), None)
        self._now[kind_of(step)] = round(seconds, 1)

    def keep(self) -> None:
        """Write down what has been remembered, with what another selab has written in the meantime."""
        if not self._file or not self._now:
            return
        others = {kind: seconds for kind, seconds in _read(self._file).items() if kind not in self._now}
        with contextlib.suppress(OSError):
            write_json(self._file, dict([*others.items(), *self._now.items()][-MOST:]))


def kind_of(step: str) -> str:
    """What of a step's name is the same the next time: `Round 2` is a round, and an image keeps its name when its content changes."""
    return _NUMBER.sub("N", _DIGEST.sub("", step))[:LONGEST_NAME]


def _read(file: Path) -> dict[str, float]:
    """What can be believed of the file."""
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
