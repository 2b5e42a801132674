"""Offline decisions, by libsepol about a real linked policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.errors import SelabError
from selab.policy.base import BasePolicy
from selab.policy.compile import link
from selab.policy.language.declarations import read_flat
from selab.policy.query import decide as decide_module
from selab.policy.query.decide import BOUNDS, CONSTRAINT, RBAC, TE, Access, Cause, Decider
from selab.policy.query.index import PolicyIndex
from selab.policy.toolchain import Toolchain
from tests.unit.conftest import module

WEB = "u:r:web_t:s0:c0,c1"


@pytest.fixture
def decider(base: BasePolicy, tools: Toolchain, tmp_path: Path) -> Decider:
    path = tmp_path / "policy"
    path.write_bytes(
        link(
            base,
            [module("web", "(allow web_t etc_t (file (open))) (allow web_t base_t (process (transition)))")],
            tools,
        ).binary
    )
    return Decider(path)


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("target", "tclass", "permission", "cause"),
    [
        ("u:r:etc_t:s0", "file", "open", Cause.NONE),
        ("u:r:etc_t:s0", "file", "read", Cause.RULE),
        ("u:r:shared_t:s0:c0,c1", "file", "read", Cause.NONE),
        ("u:r:shared_t:s0:c2,c3", "file", "read", Cause.MCS),
        ("u:r:shared_t:s0:c2,c3", "file", "write", Cause.RULE),
        ("u:r:base_t:s0", "process", "transition", Cause.CONSTRAINT),
        ("u:r:nobody_t:s0", "file", "read", Cause.UNKNOWN),
        ("u:r:etc_t:s0", "socket", "read", Cause.UNKNOWN),
        ("u:r:etc_t:s0", "file", "fly", Cause.UNKNOWN),
    ],
)
def test_an_access_is_decided(
    decider: Decider, target: str, tclass: str, permission: str, cause: Cause
) -> None:
    assert decider.decide([Access(WEB, target, tclass, permission)])[0].cause is cause


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (TE | CONSTRAINT | RBAC | BOUNDS, Cause.RULE),
        (CONSTRAINT | RBAC, Cause.CONSTRAINT),
        (RBAC | BOUNDS, Cause.ROLE),
        (BOUNDS, Cause.BOUNDS),
        (0, Cause.RULE),
    ],
)
def test_the_first_obstacle_is_the_cause(reason: int, cause: Cause) -> None:
    assert decide_module._cause(reason) is cause


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("command", "target", "cause"),
    [
        (0x8927, "etc_t", Cause.NONE),
        (0x8910, "etc_t", Cause.COMMAND),
        (None, "etc_t", Cause.NONE),
        (0x8910, "base_t", Cause.COMMAND),
        (0x8910, "kernel_t", Cause.NONE),
        (0x8927, "shared_t", Cause.RULE),
    ],
)
def test_an_extended_rule_limits_the_commands(
    base: BasePolicy, tools: Toolchain, tmp_path: Path, command: int | None, target: str, cause: Cause
) -> None:
    rules = """
        (allow web_t etc_t (file (ioctl))) (allow web_t base_t (file (ioctl)))
        (allow web_t kernel_t (file (ioctl)))
        (allowx web_t etc_t (ioctl file (0x8927 0x8933))) (dontauditx web_t base_t (ioctl file (0x1)))
    """
    path = tmp_path / "policy"
    path.write_bytes(link(base, [module("web", rules)], tools).binary)
    (decision,) = Decider(path).decide([Access(WEB, f"u:r:{target}:s0", "file", "ioctl", command)])
    assert decision.cause is cause


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        ("allowx web_t etc_t (nlmsg file (0x10))", Cause.UNKNOWN),
        ("dontauditx base_t etc_t (nlmsg file (0x10))", Cause.UNKNOWN),
        ("allowx web_t etc_t (nlmsg dir (0x10))", Cause.NONE),
        ("neverallowx web_t etc_t (nlmsg file (0x10))", Cause.NONE),
    ],
)
def test_what_an_extended_rule_about_netlink_messages_limits_is_not_decidable(
    base: BasePolicy, tools: Toolchain, tmp_path: Path, rule: str, cause: Cause
) -> None:
    """Only libsepol 3.8 compiles such a rule, so the rules of the policy are given here."""
    base.flat.write_text(base.flat.read_text().replace("(class file (read", "(class file (nlmsg read"))
    path = tmp_path / "policy"
    path.write_bytes(link(base, [module("web", "(allow web_t etc_t (file (nlmsg)))")], tools).binary)
    decider = Decider(path)
    decider.__dict__["_extended"] = PolicyIndex(read_flat(f"({rule})"))
    (decision,) = decider.decide([Access(WEB, "u:r:etc_t:s0", "file", "nlmsg")])
    assert decision.cause is cause


@pytest.mark.toolchain
def test_a_context_that_is_none_is_not_decidable(decider: Decider) -> None:
    assert decider.decide([Access("nonsense", "", "file", "read")])[0].cause is Cause.UNKNOWN


@pytest.mark.toolchain
def test_an_older_policy_is_not_asked_by_mistake(decider: Decider, tmp_path: Path) -> None:
    Decider(tmp_path / "policy")
    with pytest.raises(SelabError, match="another policy"):
        decider.decide([])


def test_a_file_that_is_no_policy_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"not a policy")
    with pytest.raises(SelabError, match="cannot be read"):
        Decider(tmp_path / "nothing")
