"""Replay agrees with audit2why about a small policy with every cause of a denial.

tests/vm compares them with a real policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.compile import link
from selab.policy.toolchain import Toolchain
from tests.audit2why import differences
from tests.unit.conftest import module

pytestmark = pytest.mark.toolchain

MINE = """
(allow web_t etc_t (file (open)))
(allow web_t base_t (process (transition)))
(dontaudit web_t etc_t (file (read)))
"""
WEB = "u:r:web_t:s0:c0,c1"


@pytest.fixture
def policy(base: BasePolicy, tools: Toolchain, tmp_path: Path) -> Path:
    path = tmp_path / "policy"
    path.write_bytes(link(base, [module("web", MINE)], tools).binary)
    return path


@pytest.mark.parametrize(
    ("source", "target", "tclass", "permissions"),
    [
        (WEB, "u:r:etc_t:s0", "file", "open"),
        (WEB, "u:r:etc_t:s0", "file", "open write"),
        (WEB, "u:r:etc_t:s0", "file", "read"),
        (WEB, "u:r:shared_t:s0:c2,c3", "file", "read"),
        (WEB, "u:r:base_t:s0", "process", "transition"),
        ("u:r:base_t:s0", "u:r:etc_t:s0", "file", "write"),
    ],
    ids=["allowed", "rule", "dontaudit", "mcs", "constraint", "boolean"],
)
def test_the_two_say_the_same(policy: Path, source: str, target: str, tclass: str, permissions: str) -> None:
    line = (
        f'type=AVC msg=audit(1700000000.123:7): avc:  denied  {{ {permissions} }} for  pid=1 comm="x" '
        f"scontext={source} tcontext={target} tclass={tclass} permissive=0"
    )
    assert differences(policy, [line.encode()]) == []
