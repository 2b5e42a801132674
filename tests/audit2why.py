"""Compare the answers of audit2why and `selab replay` about the same records and policy, record by record."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from selab.auditlog.events import read_events
from selab.policy.query.decide import Access, Cause
from selab.run.replay import replay

SENTENCES = {
    "would be allowed by active policy": "allowed",
    "should be dontaudit'd": "dontaudit",
    "Missing type enforcement": "rule",
    "was set incorrectly": "boolean",
    "booleans was set": "boolean",
    "following booleans": "boolean",
    "Constraint rule": "constraint",
    "Missing role allow": "role",
    "Typebounds": "bounds",
}
"""What audit2why prints about a record, and a word for it."""
SAME = {
    "allowed": {Cause.NONE},
    "rule": {Cause.RULE},
    # audit2why reports what hides the denial, selab what would allow it: a rule.
    "dontaudit": {Cause.RULE},
    "boolean": {Cause.BOOLEAN},
    "constraint": {Cause.CONSTRAINT, Cause.MCS},  # audit2why does not distinguish categories
    "role": {Cause.ROLE},
    "bounds": {Cause.BOUNDS},
}
ORDER = (
    Cause.UNKNOWN,
    Cause.RULE,
    Cause.BOOLEAN,
    Cause.MCS,
    Cause.CONSTRAINT,
    Cause.ROLE,
    Cause.BOUNDS,
    Cause.NONE,
)
"""audit2why decides a record with several permissions as a whole: the first cause in this order counts."""


def differences(policy: Path, lines: Sequence[bytes]) -> list[str]:
    """Return a line for each record about which the answers differ."""
    theirs, ours = dict(_theirs(policy, lines)), dict(_ours(policy, lines))
    assert theirs and theirs.keys() == ours.keys()
    return [
        f"{serial}: audit2why {theirs[serial]}, selab {ours[serial]}"
        for serial in theirs
        if ours[serial] not in SAME[theirs[serial]]
    ]


def _theirs(policy: Path, lines: Sequence[bytes]) -> Iterator[tuple[int, str]]:
    argv = ["audit2why", "-p", str(policy)]
    done = subprocess.run(argv, input=b"\n".join(lines) + b"\n", capture_output=True, check=False)
    for part in re.split(r"^(?=type=AVC )", done.stdout.decode(), flags=re.MULTILINE):
        if record := re.match(r"type=AVC msg=audit\([\d.]+:(\d+)\)", part):
            answer = part.split("Was caused by:", 1)[-1]
            yield int(record[1]), next(word for sentence, word in SENTENCES.items() if sentence in answer)


def _ours(policy: Path, lines: Sequence[bytes]) -> Iterator[tuple[int, Cause]]:
    records = {
        event.serial or 0: [
            Access(str(denial.source), str(denial.target), denial.tclass, name)
            for denial in event.denials()
            for name in denial.permissions
        ]
        for event in read_events(lines)
    }
    every = list(dict.fromkeys(access for accesses in records.values() for access in accesses))
    decided = {decision.access: decision.cause for decision in replay(policy, every, booleans=True).decisions}
    for serial, accesses in records.items():
        if accesses:
            yield serial, min((decided[access] for access in accesses), key=ORDER.index)
