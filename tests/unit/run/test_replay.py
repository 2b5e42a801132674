"""Replay: recorded denials asked of a linked policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.compile import link
from selab.policy.query.decide import Access, Cause, Decision
from selab.policy.toolchain import Toolchain
from selab.run.replay import Replay, accesses, key_of, replay
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
