"""Replay: recorded denials asked of a linked policy."""

from __future__ import annotations

from pathlib import Path

from selab.policy.base import BasePolicy
from selab.policy.compile import link
from selab.policy.toolchain import Toolchain
from selab.run.replay import accesses, replay
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


def test_what_would_be_allowed_is_counted(base: BasePolicy, tools: Toolchain, tmp_path: Path) -> None:
    path = tmp_path / "policy"
    path.write_bytes(link(base, [module("web", "(allow web_t etc_t (file (open)))")], tools).binary)
    result = replay(path, accesses([avc("etc_t", "read open"), avc("nobody_t", "read")]))
    assert (
        result.in_words()
        == "1 of 3 denials would be allowed now; 2 would not: 1 missing rule, 1 not decidable"
    )
