"""What keeps a container runtime from starting a process in a domain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from selab.policy.query import entry
from selab.policy.query.decide import Access, Cause, Decision
from selab.policy.query.entry import Entry

NONE, RULE, UNKNOWN, ROLE = Cause.NONE, Cause.RULE, Cause.UNKNOWN, Cause.ROLE


@pytest.mark.parametrize(
    ("transitions", "entry_points", "blocked"),
    [
        ([NONE, RULE], [NONE, RULE], []),
        ([RULE, NONE], [RULE, NONE], []),
        ([RULE, RULE], [NONE, NONE], [("dockerd_t", RULE)]),
        ([UNKNOWN, ROLE], [NONE, NONE], [("runtime_t", ROLE)]),
        ([NONE, NONE], [RULE, RULE], [("image_t", RULE)]),
        ([RULE, RULE], [RULE, RULE], [("dockerd_t", RULE), ("image_t", RULE)]),
        ([UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN], []),
    ],
)
def test_a_domain_needs_a_starter_and_a_program(
    monkeypatch: pytest.MonkeyPatch,
    transitions: list[Cause],
    entry_points: list[Cause],
    blocked: list[tuple[str, Cause]],
) -> None:
    def ask(policy: Path, accesses: Sequence[Access], *, booleans: bool) -> list[Decision]:
        assert (policy, booleans) == (Path("/linked"), True)
        return [
            Decision(each, cause) for each, cause in zip(accesses, [*transitions, *entry_points], strict=True)
        ]

    monkeypatch.setattr(entry, "ask", ask)
    obstacles = Entry("web_t", ["dockerd_t", "runtime_t"], ["image_t", "web_exec_t"]).obstacles(
        Path("/linked")
    )
    assert [
        (next(name for name in ("dockerd_t", "runtime_t", "image_t") if name in str(each.access)), each.cause)
        for each in obstacles
    ] == blocked


@pytest.mark.parametrize(("mls", "level"), [(True, ":s0"), (False, "")])
def test_the_accesses_are_those_of_an_exec(monkeypatch: pytest.MonkeyPatch, mls: bool, level: str) -> None:
    calls: list[Access] = []

    def ask(_: Path, accesses: Sequence[Access], **__: bool) -> list[Decision]:
        calls.extend(accesses)
        return [Decision(each, NONE) for each in accesses]

    monkeypatch.setattr(entry, "ask", ask)
    Entry("web_t", ["dockerd_t"], ["image_t"], mls).obstacles(Path("/linked"))
    process, program = f"system_u:system_r:web_t{level}", f"system_u:object_r:image_t{level}"
    assert calls == [
        Access(f"system_u:system_r:dockerd_t{level}", process, "process", "transition"),
        Access(process, program, "file", "entrypoint"),
    ]
