"""Parse one audit record: its place in a line, its type, stamp and serial number, and its fields.

These forms are supported (each has a file in tests/corpus): audit.log raw and enriched, `ausearch`, `ausearch
-i`, the kernel's own log (dmesg, syslog, Android's logcat), journald's `audit[PID]: TYPE ...`, userspace
object managers' own log lines, and several records on one line.

A log does not prove who wrote it. Only auditd writes audit.log, and what a process may choose (its name, a
path) is quoted or hex there, so it cannot imitate a record. A process that can write to syslog or the journal
can write a line that looks like a record, and `ausearch -i` prints names bare.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from selab.auditlog.embedded import OBJECT, texts
from selab.auditlog.fields import parse_fields
from selab.auditlog.joined import HEADER, Piece, is_single, split
from selab.auditlog.names import type_names

ENRICHED = "\x1d"
"""auditd writes this before the names that it adds with `log_format = ENRICHED` (AUDIT_INTERP_SEPARATOR)."""

_NUMBERED = re.compile(r"(?:UNKNOWN\[|<audit-)?(\d{1,5})[]>]?", re.ASCII)
_EPOCH = re.compile(r"\d{1,12}(?:\.\d{1,10})?$", re.ASCII)
_MARKS = re.compile(r"type=[A-Z\d]|SELINUX_ERR|\b(?:scontext|tcontext|tclass|permissive)=", re.ASCII)
_ODD_STAMP = re.compile(r"audit\([^()]{1,64}\):$", re.ASCII)
_BLANKS = " \t\r\n"


@dataclass(frozen=True)
class Record:
    """One record. A line that is no record (its `type` is empty) is represented too.

    type: name of the type (`AVC`), even if the line has its number (1400).
    serial: number of the event, or None in journald's form and in bare messages.
    stamp: time as the line has it, or empty in journald's form and in bare messages.
    text: what follows the header; bytes that are not UTF-8 become backslash escapes.
    node: name of the machine, if the line has it.
    partial: whether the line is a truncated record, so that its content is incomplete.
    source: how the record came into the log: "log" (from auditd), "kernel" (as the kernel printed it),
        "syslog" (after other text), "json" (in a string of JSON), "journal" (as journald prints it) or "bare"
        (its text alone). It does not distinguish records.
    """

    type: str
    serial: int | None
    stamp: str
    text: str
    node: str = ""
    partial: bool = False
    source: str = field(default="", compare=False)

    @property
    def time(self) -> float | None:
        """Return seconds since the epoch, or None if the stamp is missing, zero or from `ausearch -i`.

        The dates of `ausearch -i` depend on a locale and a time zone that the log does not contain.
        """
        return float(self.stamp) or None if _EPOCH.match(self.stamp) else None

    @property
    def interpreted(self) -> bool:
        """Return whether `ausearch -i` wrote the line: values are names instead of numbers, and bare."""
        return bool(self.stamp) and not _EPOCH.match(self.stamp)

    @functools.cached_property
    def fields(self) -> Mapping[str, str]:
        """Return the decoded fields, including enriched ones; the first of a name applies."""
        return parse_fields(self.text, self.type, self.interpreted)

    def format(self) -> bytes:
        """Format the record as a line that parses to the same record.

        The line has audit.log's form, or journald's if there is no serial number.
        """
        node = f"node={self.node} " if self.node else ""
        if not self.type:
            line = self.text
        elif self.serial is None:
            line = f"audit: {self.type} {self.text}"
        else:
            blank = " " if self.interpreted else ""
            line = f"{node}type={self.type} msg=audit({self.stamp}:{self.serial}){blank}: {self.text}"
        return line.encode("utf-8", "backslashreplace")


def parse_line(line: bytes) -> tuple[Record, ...]:
    """Parse one line of any log; a blank line and what `ausearch` prints between events give no record."""
    text = line.decode("utf-8", "backslashreplace").replace("\0", " ").strip(_BLANKS)
    if not text or text == "----" or text.startswith("time->"):
        return ()
    head = HEADER.match(text)
    if head and head["type"] and is_single(text, head.end()):
        body = text[head.end() :].lstrip(_BLANKS)
        source = "log" if head["msg"] else "kernel"
        kind, node = _name(head["type"]), head["node"] or ""
        return (Record(kind, int(head["serial"]), head["stamp"], body, node, _is_cut(body), source),)
    parts = texts(text) if OBJECT in text else None
    if parts is None:
        return _parse_text(text, is_certain=OBJECT not in text)
    records = [
        record for part, is_read in parts for record in (_parse_lines(part) if is_read else [_unread(part)])
    ]
    return tuple(records) or (Record("", None, "", text),)


def _parse_lines(text: str) -> list[Record]:
    """Parse a text out of a JSON string, which may have several lines."""
    return [
        replace(record, source="json") if record.source == "log" else record
        for line in text.replace("\0", " ").splitlines()
        if line.strip()
        for record in _parse_text(line.strip(_BLANKS))
    ]


def _parse_text(text: str, is_certain: bool = True) -> tuple[Record, ...]:
    """Parse a line without JSON. If it is uncertain whether it has some, an error's end is uncertain too."""
    before, pieces = split(text)
    if not pieces:
        return (_without_beginning(text),)
    before = before.strip(_BLANKS)
    if before and pieces[0].source == "log":
        pieces[0] = pieces[0]._replace(source="syslog")
    records = [_record(piece, is_certain) for piece in pieces]
    if _MARKS.search(before) or "avc:" in before or ("audit(" in before and not _ODD_STAMP.search(before)):
        records.insert(0, _unread(before))
    return tuple(records)


def _record(piece: Piece, is_certain: bool) -> Record:
    text = piece.text.strip(_BLANKS)
    if '=\\"' in text:  # the text is out of a JSON string that was cut
        text = text.replace('\\"', '"')
    kind = _name(piece.kind)
    is_cut = not piece.is_whole or _is_cut(text) or not (is_certain or kind != "SELINUX_ERR")
    return Record(kind, piece.serial, piece.stamp, text, piece.node, is_cut, piece.source)


def _without_beginning(text: str) -> Record:
    """Parse a line in which no record begins as expected."""
    place = text.find("avc:")
    if place >= 0:
        return Record("AVC", None, "", text[place:], partial=_is_cut(text[place:]), source="bare")
    is_part = "audit(" in text or _MARKS.search(text) is not None
    return Record("", None, "", text, partial=is_part)


def _unread(text: str) -> Record:
    return Record("", None, "", text, partial=True)


def _is_cut(text: str) -> bool:
    """Return whether a denial ends before its class: the kernel's log truncates at about 1,000 characters."""
    return "avc:" in text and "denied" in text and "tclass=" not in text


def _name(kind: str) -> str:
    if kind.isalpha():
        return kind
    numbered = _NUMBERED.fullmatch(kind)
    return type_names().get(numbered[1], f"UNKNOWN[{numbered[1]}]") if numbered else kind
