"""Replay agrees with audit2why about a small policy with every cause of a denial.

tests/vm compares them with a real policy."""

from __future__ import annotations

import pytest

from selab.host.local import LocalHost
from selab.policy.compile import link
from selab.policy.toolchain import Toolchain
from tests.audit2why import differences
from tests.unit.conftest import module, write_base

pytestmark = pytest.mark.toolchain

MINE = """
(allow web_t etc_t (file (open)))
(allow web_t base_t (process (transition)))
(dontaudit web_t etc_t (file (read)))
"""
WEB = "u:r:web_t:s0:c0,c1"
RECORDS = {
    "allowed": (WEB, "u:r:etc_t:s0", "file", "open"),
    "rule": (WEB, "u:r:etc_t:s0", "file", "open write"),
    "dontaudit": (WEB, "u:r:etc_t:s0", "file", "read"),
    "mcs": (WEB, "u:r:shared_t:s0:c2,c3", "file", "read"),
    "constraint": (WEB, "u:r:base_t:s0", "process", "transition"),
    "boolean": ("u:r:base_t:s0", "u:r:etc_t:s0", "file", "write"),
}


@pytest.fixture(scope="module")
def different(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What differs about the records, whose serial numbers count from 1: one start of audit2why for all."""
    directory = tmp_path_factory.mktemp("policy")
    tools = Toolchain(LocalHost(), str(directory / "work"))
    policy = directory / "policy"
    policy.write_bytes(link(write_base(directory / "base"), [module("web", MINE)], tools).binary)
    lines = [
        f'type=AVC msg=audit(1700000000.123:{serial}): avc:  denied  {{ {permissions} }} for  pid=1 comm="x" '
        f"scontext={source} tcontext={target} tclass={tclass} permissive=0"
        for serial, (source, target, tclass, permissions) in enumerate(RECORDS.values(), 1)
    ]
    return differences(policy, [line.encode() for line in lines])


@pytest.mark.parametrize("serial", range(1, len(RECORDS) + 1), ids=list(RECORDS))
def test_the_two_say_the_same(different: list[str], serial: int) -> None:
    assert [line for line in different if line.startswith(f"{serial}: ")] == []
