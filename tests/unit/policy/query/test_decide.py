"""Offline decisions, by libsepol about a recorded policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from selab.errors import SelabError
from selab.policy.base import BasePolicy
from selab.policy.compile import link
from selab.policy.language.declarations import read_flat
from selab.policy.query import decide as decide_module
from selab.policy.query.decide import (
    BOUNDS,
    CONSTRAINT,
    RBAC,
    TE,
    Access,
    Cause,
    Decider,
    can_decide,
    libsepol,
)
from selab.policy.query.index import PolicyIndex
from selab.policy.toolchain import Toolchain
from tests.unit.policy.query.recorded_policy import CIL

WEB = "u:r:web_t:s0:c0,c1"


@pytest.fixture
def decider(policy: Path) -> Decider:
    return Decider(policy)


@pytest.fixture
def unloaded_libsepol() -> Iterator[None]:
    """Let a test load libsepol anew, and let no later test use what it loaded."""
    libsepol.cache_clear()
    yield
    libsepol.cache_clear()


@pytest.mark.parametrize(
    ("target", "tclass", "permission", "cause"),
    [
        ("u:r:etc_t:s0", "file", "open", Cause.NONE),
        ("u:r:etc_t:s0", "file", "read", Cause.RULE),
        ("u:r:shared_t:s0:c0,c1", "file", "read", Cause.NONE),
        ("u:r:shared_t:s0:c2,c3", "file", "read", Cause.MCS),
        ("u:r:shared_t:s0:c2,c3", "file", "write", Cause.RULE),
        ("u:r:base_t:s0:c0,c1", "process", "transition", Cause.NONE),
        ("u:r:base_t:s0", "process", "dyntransition", Cause.CONSTRAINT),
        ("u:other_r:web_t:s0", "process", "transition", Cause.ROLE),
    ],
)
def test_an_access_is_decided(
    decider: Decider, target: str, tclass: str, permission: str, cause: Cause
) -> None:
    decision = decider.decide([Access(WEB, target, tclass, permission)])[0]
    assert (decision.cause, decision.allowed) == (cause, cause is Cause.NONE)


def test_a_domain_may_do_no_more_than_the_domain_that_bounds_it(decider: Decider) -> None:
    access = Access("u:r:child_t:s0", "u:r:etc_t:s0", "file", "open")
    assert decider.decide([access])[0].cause is Cause.BOUNDS


@pytest.mark.parametrize(
    ("access", "unknown"),
    [
        (Access("nonsense", "", "file", "read"), "nonsense"),
        (Access("u:r:nobody_t:s0", "u:r:etc_t:s0", "file", "read"), "u:r:nobody_t:s0"),
        (Access(WEB, "u:r:nobody_t:s0", "file", "read"), "u:r:nobody_t:s0"),
        (Access(WEB, "u:r:etc_t:s0", "socket", "read"), "socket"),
        (Access(WEB, "u:r:etc_t:s0", "file", "fly"), "file has no permission fly"),
    ],
)
def test_what_the_policy_does_not_know_is_not_decidable_and_named(
    decider: Decider, access: Access, unknown: str
) -> None:
    decision = decider.decide([access])[0]
    assert (decision.cause, decision.detail.endswith(unknown)) == (Cause.UNKNOWN, True)


def test_accesses_are_decided_in_order_each_by_its_own_names(decider: Decider) -> None:
    """What libsepol answered about a context or a permission is kept for the next access."""
    triples = [
        ("etc_t", "read", Cause.RULE),
        ("shared_t", "read", Cause.NONE),
        ("etc_t", "open", Cause.NONE),
        ("shared_t", "open", Cause.RULE),
        ("etc_t", "fly", Cause.UNKNOWN),
        ("etc_t", "open", Cause.NONE),
    ]
    accesses = [Access("u:r:web_t:s0", f"u:r:{target}:s0", "file", each) for target, each, _ in triples]
    decisions = decider.decide(accesses)
    assert [decision.access for decision in decisions] == accesses
    assert [decision.cause for decision in decisions] == [cause for *_, cause in triples]


def test_what_libsepol_fails_to_decide_is_not_decidable(
    decider: Decider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decider, "_compute", lambda *arguments: (None, 0))
    decision = decider.decide([Access(WEB, "u:r:etc_t:s0", "file", "open")])[0]
    assert (decision.cause, decision.detail) == (Cause.UNKNOWN, "libsepol could not decide it")


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


@pytest.mark.parametrize(
    ("command", "target", "cause", "detail", "by_command"),
    [
        (0x8927, "etc_t", Cause.NONE, "", True),
        (0x8910, "etc_t", Cause.COMMAND, "0x8910 is not in { 0x8927 0x8933 }", True),
        (None, "etc_t", Cause.NONE, "", False),
        (0x8910, "base_t", Cause.COMMAND, "0x8910 is not in any allowxperm rule", True),
        (0x8910, "kernel_t", Cause.NONE, "", False),
        (0x8927, "shared_t", Cause.RULE, "", False),
    ],
)
def test_an_extended_rule_limits_the_commands(
    decider: Decider, command: int | None, target: str, cause: Cause, detail: str, by_command: bool
) -> None:
    (decision,) = decider.decide([Access(WEB, f"u:r:{target}:s0", "file", "ioctl", command)])
    assert (decision.cause, decision.detail, decision.by_command) == (cause, detail, by_command)


def test_commands_that_depend_on_a_boolean_are_not_decidable(decider: Decider) -> None:
    """Only libsepol 3.9 compiles such a rule, so the rules of the policy are given here."""
    rule = "(boolean shiny true) (booleanif (shiny) (true (allowx web_t etc_t (ioctl file (0x1)))))"
    decider.__dict__["_extended"] = PolicyIndex(read_flat(f"(type web_t) (type etc_t)\n{rule}"))
    access = Access(WEB, "u:r:etc_t:s0", "file", "ioctl", 1)
    decision = decider.decide([access])[0]
    assert (decision.cause, decision.access, "boolean" in decision.detail) == (Cause.UNKNOWN, access, True)


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
    decider: Decider, rule: str, cause: Cause
) -> None:
    """Only libsepol 3.8 compiles such a rule, so the rules of the policy are given here."""
    decider.__dict__["_extended"] = PolicyIndex(read_flat(f"({rule})"))
    (decision,) = decider.decide([Access(WEB, "u:r:etc_t:s0", "file", "nlmsg")])
    assert (decision.cause, "nlmsg" in decision.detail) == (cause, cause is Cause.UNKNOWN)


def test_an_older_policy_is_not_asked_by_mistake(decider: Decider, policy: Path) -> None:
    newer = Decider(policy)
    with pytest.raises(SelabError, match="another policy"):
        decider.decide([])
    assert newer.decide([]) == []


@pytest.mark.parametrize("data", [b"not a policy", None], ids=["no policy", "no file"])
def test_a_file_that_is_no_policy_is_refused_by_its_name(data: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    if data:
        path.write_bytes(data)
    with pytest.raises(SelabError, match="cannot be read") as caught:
        Decider(path)
    assert caught.value.detail == str(path)
    assert ("version" if data else "exists") in caught.value.hint


def test_a_policy_that_was_read_or_refused_is_not_left_open(policy: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"not a policy")
    before = len(list(Path("/proc/self/fd").iterdir()))
    Decider(policy)
    with pytest.raises(SelabError):
        Decider(tmp_path / "nothing")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


class OldLibrary:
    """A libsepol that exports only `names`."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        if name not in self.names:
            raise AttributeError(f"undefined symbol: {name}")
        return lambda *arguments: self.calls.append((name, arguments))


NEEDED = (
    "sepol_set_policydb_from_file",
    "sepol_context_to_sid",
    "sepol_compute_av_reason",
    "sepol_string_to_av_perm",
    "sepol_debug",
)


@pytest.mark.parametrize("missing", ["", *NEEDED])
@pytest.mark.usefixtures("unloaded_libsepol")
def test_a_library_without_the_functions_that_decide_is_not_usable(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = OldLibrary(*(name for name in NEEDED if name != missing))
    monkeypatch.setattr(decide_module.ctypes, "CDLL", lambda name: library)
    assert can_decide() is not bool(missing)
    assert library.calls == ([] if missing else [("sepol_debug", (0,))])


@pytest.mark.usefixtures("unloaded_libsepol")
def test_without_libsepol_nothing_is_decided_and_the_error_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decide_module.ctypes.util, "find_library", lambda name: f"lib{name}-absent.so")
    assert not can_decide()
    with pytest.raises(SelabError, match="cannot decide") as caught:
        libsepol()
    assert "libsepol-absent.so" in caught.value.detail and "libsepol" in caught.value.hint


@pytest.mark.usefixtures("unloaded_libsepol")
def test_a_library_that_the_linker_does_not_list_is_loaded_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decide_module.ctypes.util, "find_library", lambda name: None)
    assert can_decide()


@pytest.mark.toolchain
def test_the_recorded_policy_decides_as_one_that_secilc_makes_of_its_source(
    base: BasePolicy, policy: Path, tools: Toolchain, tmp_path: Path
) -> None:
    base.flat.write_text(CIL)
    compiled = tmp_path / "compiled"
    compiled.write_bytes(link(base, [], tools).binary)
    contexts = [f"u:r:{name}_t:s0" for name in ("web", "base", "kernel", "child", "etc", "shared")]
    accesses = [
        Access(source, target, "file", permission, 1 if permission == "ioctl" else None)
        for source in contexts[:4]
        for target in [*contexts, "u:r:shared_t:s0:c0"]
        for permission in ("read", "write", "open", "ioctl")
    ]
    assert Decider(compiled).decide(accesses) == Decider(policy).decide(accesses)
