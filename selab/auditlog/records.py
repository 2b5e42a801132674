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
from dataclasses import dataclass

from selab.auditlog.fields import parse_fields
from selab.auditlog.names import type_names

ENRICHED = "\x1d"
"""auditd writes this before the names that it adds with `log_format = ENRICHED` (AUDIT_INTERP_SEPARATOR)."""

_HEAD = re.compile(
    r"(?:(?<!\S)|(?<=[:'\"(`])(?=type=|node=))"  # not in a file's name, which encodes a blank in hex
    r"(?:node=(?P<node>\S{1,255}) )?"
    r"(?:(?:type=)?(?P<type>[A-Z][A-Z_0-9]{1,39}|\d{4}|UNKNOWN\[\d{1,5}\]) )?"
    r"(?:msg=)?audit\((?P<stamp>[^()\n]{1,64}?):(?P<serial>\d{1,20})\)[ ]?:[ ]?",
    re.ASCII,
)
_JOURNAL = re.compile(
    r"(?:^|\s)audit(?:\[\d{1,10}\])?: (?P<type>[A-Z][A-Z_0-9]{1,39}|UNKNOWN\[\d{1,5}\]|<audit-\d{1,5}>) ",
    re.ASCII,
)
_NUMBERED = re.compile(r"(?:UNKNOWN\[|<audit-)?(\d{1,5})[]>]?", re.ASCII)
_BARE_TYPE = re.compile(r"(?P<type>[A-Z][A-Z_0-9]{1,39}) (?=avc:|op=|pid=|[a-z]{1,20}=)", re.ASCII)
_DAEMON = re.compile(r"(?:\S\[\d{1,10}\]: |selinux: )$", re.ASCII)
_EPOCH = re.compile(r"\d{1,12}(?:\.\d{1,10})?$", re.ASCII)
_MARKS = re.compile(r"^type=|SELINUX_ERR|\b(?:scontext|tcontext|tclass|permissive)=", re.ASCII)
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
    """

    type: str
    serial: int | None
    stamp: str
    text: str
    node: str = ""
    partial: bool = False

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
    text = line.decode("utf-8", "backslashreplace").strip(_BLANKS)
    if not text or text == "----" or text.startswith("time->"):
        return ()
    head = _HEAD.match(text)
    if head and text.find("audit(", head.end()) < 0:
        return (_record(head, text[head.end() :]),)
    if "audit(" in text:
        return _split(text)
    return (_headless(text),)


def _split(text: str) -> tuple[Record, ...]:
    """Parse a line with several headers, or with one header that is not at its start."""
    heads = _outside_quotes(text, list(_HEAD.finditer(text)))
    if not heads:
        return (_headless(text),) if "avc:" in text else (Record("", None, "", text, partial=True),)
    before = text[: heads[0].start()].strip(_BLANKS)
    ends = [head.start() for head in heads[1:]] + [len(text)]
    records = [_record(head, text[head.end() : end]) for head, end in zip(heads, ends, strict=True)]
    if "audit(" in before or "avc:" in before:
        records.insert(0, Record("", None, "", before, partial=True))
    return tuple(records)


def _outside_quotes(text: str, heads: list[re.Match[str]]) -> list[re.Match[str]]:
    """Drop headers inside a `msg='...'`: an object manager puts a command line there that a user chose."""
    outside: list[re.Match[str]] = []
    opened = closed = 0
    for head in heads:
        if head.start() < closed:
            continue
        outside.append(head)
        if 0 <= opened < head.end():  # otherwise the quote that the last search found is still the next one
            opened = text.find("msg='", head.end())
            quote = text.find("'", opened + 5) if opened >= 0 else -1
            cut = quote < 0 or text[quote - 4 : quote] == "msg="
            closed = 0 if cut else quote
    return outside


def _record(head: re.Match[str], body: str) -> Record:
    text = body.strip(_BLANKS)
    kind = head["type"]
    if kind is None:
        kind = "AVC" if text.startswith("avc:") else ""
    if not kind:
        return Record("", None, "", head.group() + text, partial=True)
    return Record(_name(kind), int(head["serial"]), head["stamp"], text, head["node"] or "", _is_cut(text))


def _headless(text: str) -> Record:
    """Parse a line without `audit(TIME:SERIAL)`: journald's form, a bare message, or no record."""
    named = _JOURNAL.search(text) or _BARE_TYPE.match(text)
    if named:
        body = text[named.end() :].strip(_BLANKS)
        return Record(_name(named["type"]), None, "", body, partial=_is_cut(body))
    place = text.find("avc:")
    if place >= 0:
        kind = "USER_AVC" if _DAEMON.search(text, max(0, place - 64), place) else "AVC"
        return Record(kind, None, "", text[place:], partial=_is_cut(text[place:]))
    return Record("", None, "", text, partial=_MARKS.search(text) is not None)


def _is_cut(text: str) -> bool:
    """Return whether a denial ends before its class: the kernel's log truncates at about 1,000 characters."""
    return "avc:" in text and "denied" in text and "tclass=" not in text


def _name(kind: str) -> str:
    if kind.isalpha():
        return kind
    numbered = _NUMBERED.fullmatch(kind)
    return type_names().get(numbered[1], f"UNKNOWN[{numbered[1]}]") if numbered else kind
