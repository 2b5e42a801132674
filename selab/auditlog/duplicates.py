"""Recognise the record that a log has twice: as auditd or the kernel wrote it, and from the audit socket.

The journal has it from the kernel and from the socket, the entry of one of them may lack the serial number,
and a user may read the journal together with audit.log. Only the text is compared, so a record that is left
out never differs in its denial from the one that stays.

Most logs are audit.log alone. Its lines are only remembered, and parsed when another form occurs.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from selab.auditlog.records import Record, parse_line

MAX_TEXTS = 2048
"""Texts, and lines of audit.log, that are remembered at a time."""
MAX_SAME = 16
"""Records with one text that are remembered at a time."""
_TYPES = frozenset({"AVC", "USER_AVC", "SELINUX_ERR", "USER_SELINUX_ERR"})
COMPARED = frozenset(name.encode() for name in _TYPES)
"""Types of the records that are compared; others are no decisions."""


@dataclass
class _Occurrence:
    """A record of the log.

    key: its event, or empty if the record has no serial number.
    sources: the ways by which it came into the log, see `Record.source`.
    """

    key: str
    sources: set[str]


class Duplicates:
    """Remembers the latest records, as many as MAX_TEXTS and MAX_SAME say."""

    def __init__(self) -> None:
        self._seen: dict[bytes, deque[_Occurrence]] = {}
        self._lines: deque[bytes] | None = deque(maxlen=MAX_TEXTS)
        self.has_line: Callable[[bytes], bool | None] = self._lines.append
        """Returns whether the log has had a line of audit.log, and remembers it."""

    def _has_line(self, line: bytes) -> bool:
        return any(self.has(record, f"{record.stamp}:{record.serial}") for record in parse_line(line))

    def _parse_lines(self) -> None:
        lines, self._lines = self._lines or (), None
        self.has_line = self._has_line
        for line in lines:
            self.has_line(line)

    def has(self, record: Record, key: str) -> bool:
        """Return whether the log has had `record`, of the event `key`, from another source; remember it."""
        if record.type not in _TYPES or record.partial:
            return False
        if self._lines is not None and record.source != "log":
            self._parse_lines()
        digest = _digest(record)
        occurrences = self._seen.get(digest)
        if occurrences is None:
            occurrences = self._seen[digest] = deque(maxlen=MAX_SAME)
            if len(self._seen) > MAX_TEXTS:
                del self._seen[next(iter(self._seen))]
        for occurrence in occurrences:
            if record.source not in occurrence.sources and _may_be_same(occurrence.key, key):
                occurrence.sources.add(record.source)
                occurrence.key = occurrence.key or key
                return True
        occurrences.append(_Occurrence(key, {record.source}))
        return False


def _may_be_same(key: str, other: str) -> bool:
    """Return whether two records with one text may be one: at least one event is known, and none differs."""
    return bool(key or other) and (not key or not other or key == other)


def _digest(record: Record) -> bytes:
    text = " ".join([record.type, *record.text.partition("\x1d")[0].split()])
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
