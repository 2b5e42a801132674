"""Replay: recorded denials asked of a linked policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.auditlog.classification import Classification, Ruling
from selab.policy.base import BasePolicy
from selab.policy.compile import link
from selab.policy.query.decide import Access, Cause, Decision
from selab.policy.toolchain import Toolchain
from selab.run.replay import Recorded, Replay, accesses, key_of, replay
from tests.unit.conftest import module


def avc(target: str, permissions: str, source: str = "web_t") -> bytes:
    return (
        f"type=AVC msg=audit(1.1:5): avc:  denied  {{ {permissions} }} for  pid=1 "
        f"scontext=u:r:{source}:s0:c0,c1 tcontext=u:r:{target}:s0 tclass=file permissive=1"
    ).encode()


def test_the_same_access_is_asked_once() -> None:
    assert len(accesses([avc("etc_t", "read"), avc("etc_t", "read open")])) == 2


def test_a_domain_can_be_asked_for_in_anothers_place() -> None:
    assert accesses([avc("draft_t", "read", "draft_t")], ("draft_t", "web_t"))[0].target == "u:r:web_t:s0"


@pytest.mark.toolchain
def test_what_would_be_allowed_is_counted(base: BasePolicy, tools: Toolchain, tmp_path: Path) -> None:
    path = tmp_path / "policy"
    path.write_bytes(link(base, [module("web", "(allow web_t etc_t (file (open)))")], tools).binary)
    result = replay(path, accesses([avc("etc_t", "read open"), avc("nobody_t", "read")]))
    assert (
        result.in_words()
        == "1 of 3 denials would be allowed now; 2 would not: 1 missing rule, 1 not decidable"
    )


def test_a_denial_with_one_access_that_stays_denied_is_denied() -> None:
    """The rule would allow both, and MCS keeps one of the two levels apart."""
    near, far = (
        Access("u:r:web_t:s0:c0,c1", f"u:r:etc_t:{level}", "file", "read") for level in ("s0", "s0:c7")
    )
    replayed = Replay((Decision(near, Cause.NONE), Decision(far, Cause.MCS)))
    assert (replayed.allowed, replayed.denied) == (frozenset(), {key_of(near)})
    assert replayed.causes[key_of(near)].cause is Cause.MCS


def read(target: str, source: str = "web_t") -> Access:
    return Access(f"u:r:{source}:s0", f"u:r:{target}:s0", "file", "read")


TOLERATED = Ruling(Classification.TOLERATED, "* -> proc_t:* { * }", "harmless")
EXPECTED = Ruling(Classification.EXPECTED, "* -> shadow_t:* { * }", "it is secret")
RULINGS = {key_of(read("proc_t")): TOLERATED, key_of(read("shadow_t")): EXPECTED}


def test_what_the_scenario_settles_is_counted_apart() -> None:
    decided = {"etc_t": Cause.NONE, "proc_t": Cause.RULE, "shadow_t": Cause.RULE}
    replayed = Replay(tuple(Decision(read(name), cause) for name, cause in decided.items()), RULINGS)
    assert replayed.in_words() == (
        "1 of 1 unexpected denial would be allowed now; 2 would stay denied, as the scenario says"
    )


def test_an_expected_denial_that_would_not_occur_is_a_fault() -> None:
    replayed = Replay((Decision(read("shadow_t"), Cause.NONE),), RULINGS)
    assert replayed.wrongly_allowed == {key_of(read("shadow_t"))}
    assert replayed.in_words().endswith("1 would be allowed although the scenario expects the denial")


def test_the_rulings_are_about_the_domain_that_is_asked_for() -> None:
    recorded = Recorded((), "web_t", {key_of(read("web_t")): TOLERATED})
    assert recorded.rulings_for("app_t") == {key_of(read("app_t", "app_t")): TOLERATED}
