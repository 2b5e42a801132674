"""Take audit records out of JSON lines: the journal, Docker's json-file, auditbeat, filebeat."""

from __future__ import annotations

import json
from collections.abc import Iterator

from selab.auditlog.journal import entry_line

OBJECT = '{"'
"""What a JSON object that some program logged begins with."""
MARKS = ("avc:", "audit(", "audit[", "SELINUX_ERR")
"""A text with none of these is no audit record."""
MAX_FAULTS = 256
"""Beginnings of objects in a line that are tried in vain. To give the position of a fault, the json module
reads the line up to it, so a line of many faults would take quadratic time."""
_MESSAGES = frozenset({"MESSAGE", "message", "log"})
_DECODER = json.JSONDecoder(strict=False)


def texts(line: str) -> list[tuple[str, bool]] | None:
    """Return the texts of the records in a line of JSON objects, and whether each could be read.

    None means that the line has no object, or that it has records outside of one before the first. What
    follows MAX_FAULTS beginnings without an object could not be read.
    """
    begin = line.find(OBJECT)
    if begin < 0 or _is_marked(line[:begin]):
        return None
    parts: list[tuple[str, bool]] = []
    place = faults = 0
    while begin >= 0 and faults < MAX_FAULTS:
        try:
            document, end = _DECODER.raw_decode(line, begin)
        except json.JSONDecodeError as error:
            begin = line.find(OBJECT, max(begin + 1, error.pos - 2))
            faults += 1
            continue
        except RecursionError:
            break
        parts += _between(line[place:begin])
        parts += [(text, True) for text in dict.fromkeys(_strings(document))]
        place = end
        begin = line.find(OBJECT, end) if not _is_marked(line[end : max(end, line.find(OBJECT, end))]) else -1
    return [*parts, *_between(line[place:])]


def _between(text: str) -> list[tuple[str, bool]]:
    """Return what stands outside of objects: records in plain text, or the rest of an object."""
    return [(text, OBJECT not in text)] if _is_marked(text) else []


def _strings(document: object) -> Iterator[str]:
    """Yield the texts in a document that may be records, or notices that records were lost."""
    if isinstance(document, dict) and (entry := entry_line(document)):
        yield entry
        return
    nested: list[tuple[str, object]] = [("", document)]
    while nested:
        name, value = nested.pop()
        if isinstance(value, dict):
            nested += reversed(value.items())
        elif isinstance(value, list):
            nested += [(name, item) for item in reversed(value)]
        elif isinstance(value, str) and (name in _MESSAGES or _is_marked(value)):
            yield value


def _is_marked(text: str) -> bool:
    return any(mark in text for mark in MARKS)
