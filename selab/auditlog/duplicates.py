"""Recognise the record that a log has twice: as the kernel printed it, and from the audit socket.

The journal has both, and the entry of one of them may lack the serial number. Only the text is compared, so a
record that is left out never differs in its denial from the one that stays.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass

from selab.auditlog.records import Record

MAX_TEXTS = 512
"""Texts that are remembered at a time: the two entries of a record are close together in a log."""
MAX_SAME = 16
"""Records with one text that are remembered at a time."""
_TYPES = frozenset({"AVC", "USER_AVC", "SELINUX_ERR", "USER_SELINUX_ERR"})


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

    def has(self, record: Record, key: str) -> bool:
        """Return whether the log has had `record`, of the event `key`, from another source; remember it."""
        if record.type not in _TYPES or record.partial:
            return False
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
