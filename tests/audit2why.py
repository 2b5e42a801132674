"""audit2why and `selab replay` about the same records and the same policy, record by record."""

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
"""What audit2why says of a record, and a word for it."""
SAME = {
    "allowed": {Cause.NONE},
    "rule": {Cause.RULE},
    "dontaudit": {
        Cause.RULE
    },  # it asks what hides the denial; we ask what would allow it, and that is a rule all the same
    "boolean": {Cause.BOOLEAN},
    "constraint": {Cause.CONSTRAINT, Cause.MCS},  # it does not tell categories from other constraints
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
"""A record with several permissions is decided as a whole there: the first hurdle of any of them counts."""


def differences(policy: Path, lines: Sequence[bytes]) -> list[str]:
    """The records about which the two do not say the same."""
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
        if found := re.match(r"type=AVC msg=audit\([\d.]+:(\d+)\)", part):
            said = part.split("Was caused by:", 1)[-1]
            yield int(found[1]), next(word for sentence, word in SENTENCES.items() if sentence in said)


def _ours(policy: Path, lines: Sequence[bytes]) -> Iterator[tuple[int, Cause]]:
    records = {
        event.serial or 0: [
            Access(str(one.source), str(one.target), one.tclass, name)
            for one in event.denials()
            for name in one.permissions
        ]
        for event in read_events(lines)
    }
    asked = list(dict.fromkeys(access for accesses in records.values() for access in accesses))
    decided = {decision.access: decision.cause for decision in replay(policy, asked, booleans=True).decisions}
    for serial, accesses in records.items():
        if accesses:
            yield serial, min((decided[access] for access in accesses), key=ORDER.index)
