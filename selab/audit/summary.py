"""A whole log in one value: its unique denials, what else SELinux reported, and what was passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from selab.audit.denial import Denial, Rows, SelinuxError
from selab.audit.event import Event, read_events

MAX_EXAMPLES = 5
EXAMPLE_LENGTH = 400
MAX_KINDS = 256
"""Names of ignored kinds to tell apart: a hostile log can invent any number."""


@dataclass(frozen=True)
class Summary:
    """`records`: denial records seen (AVC and USER_AVC); `events`: the events they belong to; `denials`: one row per source type, target
    type and class; `selinux_err`: each distinct failure with how often it came; `ignored`: other records by kind; `unparsed`: records that
    may be denials and could not be read, with the first `unparsed_examples`."""

    records: int
    events: int
    denials: tuple[Denial, ...]
    selinux_err: tuple[tuple[SelinuxError, int], ...]
    ignored: dict[str, int]
    unparsed: int
    unparsed_examples: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "records": self.records,
            "events": self.events,
            "denials": [denial.to_json() for denial in self.denials],
            "selinux_err": [{**error.to_json(), "count": count} for error, count in self.selinux_err],
            "ignored": self.ignored,
            "unparsed": {"count": self.unparsed, "examples": list(self.unparsed_examples)},
        }


class _Collector:
    def __init__(self) -> None:
        self.rows = Rows()
        self.records = self.events = self.unparsed = 0
        self.errors: Counter[SelinuxError] = Counter()
        self.ignored: Counter[str] = Counter()
        self.examples: list[str] = []

    def add(self, event: Event) -> None:
        denials = event.denials()
        self.records += len(denials)
        self.events += bool(denials)
        for avc in denials:
            self.rows.add(avc)
        self.errors.update(event.selinux_errors())
        for kind in event.ignored():
            self.ignored[kind if kind in self.ignored or len(self.ignored) < MAX_KINDS else "other"] += 1
        for record in event.unparsed():
            self.unparsed += 1
            if len(self.examples) < MAX_EXAMPLES:
                self.examples.append(record.format().decode("utf-8")[:EXAMPLE_LENGTH])


def summarise(lines: Iterable[bytes]) -> Summary:
    """Read a log of any form. Memory grows with the number of unique rows only."""
    found = _Collector()
    for event in read_events(lines):
        found.add(event)
    return Summary(
        records=found.records,
        events=found.events,
        denials=found.rows.denials(),
        selinux_err=tuple(found.errors.items()),
        ignored=dict(sorted(found.ignored.items())),
        unparsed=found.unparsed,
        unparsed_examples=tuple(found.examples),
    )
