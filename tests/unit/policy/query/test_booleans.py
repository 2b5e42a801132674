"""Which boolean would allow it, asked of libsepol about a real linked policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.compile import link
from selab.policy.query.booleans import Booleans, with_booleans
from selab.policy.query.decide import Access, Cause, Decider, Decision
from selab.policy.toolchain import Toolchain
from tests.unit.conftest import module

pytestmark = pytest.mark.toolchain

MINE = """
(boolean loud true) (boolean third false)
(booleanif (not (loud)) (true (allow web_t etc_t (file (read)))))
(booleanif (not (loud)) (true (allow web_t etc_t (file (ioctl)))))
(allowx web_t etc_t (ioctl file (0x1)))
(booleanif (and (shiny) (third)) (true (allow web_t shared_t (file (write)))))
"""


@pytest.fixture
def policy(base: BasePolicy, tools: Toolchain, tmp_path: Path) -> Path:
    path = tmp_path / "policy"
    path.write_bytes(link(base, [module("web", MINE)], tools).binary)
    return path


def decided(policy: Path, source: str, target: str, permission: str) -> Decision:
    accesses = [Access(f"u:r:{source}_t:s0", f"u:r:{target}_t:s0", "file", permission)]
    return with_booleans(policy, Decider(policy).decide(accesses), names=True)[0]


def test_the_values_are_those_of_the_policy(policy: Path) -> None:
    assert Booleans(policy).values == {"shiny": False, "loud": True, "third": False}


@pytest.mark.parametrize(
    ("source", "target", "permission", "detail"),
    [
        ("base", "etc", "write", "shiny on"),
        ("web", "etc", "read", "loud off"),
        ("web", "shared", "write", ""),
    ],
)
def test_what_a_boolean_would_allow_names_it(
    policy: Path, source: str, target: str, permission: str, detail: str
) -> None:
    decision = decided(policy, source, target, permission)
    assert (decision.cause, decision.detail) == (Cause.BOOLEAN, detail)


def test_what_no_boolean_allows_is_a_missing_rule(policy: Path) -> None:
    assert decided(policy, "web", "etc", "write").cause is Cause.RULE


@pytest.mark.parametrize(("command", "cause"), [(1, Cause.BOOLEAN), (2, Cause.RULE)])
def test_a_boolean_does_not_allow_an_ioctl_command_that_no_rule_lists(
    policy: Path, command: int, cause: Cause
) -> None:
    access = Access("u:r:web_t:s0", "u:r:etc_t:s0", "file", "ioctl", command)
    (decision,) = with_booleans(policy, Decider(policy).decide([access]), names=True)
    assert decision.cause is cause


def test_a_changed_copy_decides_otherwise(policy: Path, tmp_path: Path) -> None:
    Booleans(policy).write({"shiny": True}, tmp_path / "copy")
    access = Access("u:r:base_t:s0", "u:r:etc_t:s0", "file", "write")
    assert Decider(tmp_path / "copy").decide([access])[0].allowed
