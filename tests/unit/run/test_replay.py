"""Replay: recorded denials asked of a linked policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.auditlog.classification import Classification, Ruling
from selab.auditlog.denials import DenialKey
from selab.policy.base import BasePolicy
from selab.policy.compile import link
from selab.policy.query.decide import Access, Cause, Decision
from selab.policy.toolchain import Toolchain
from selab.run import replay as replay_module
from selab.run.replay import Recorded, Replay, accesses, key_of, replay
from tests.unit.conftest import module


def avc(target: str, permissions: str, source: str = "web_t") -> bytes:
    return (
        f"type=AVC msg=audit(1.1:5): avc:  denied  {{ {permissions} }} for  pid=1 "
        f"scontext=u:r:{source}:s0:c0,c1 tcontext=u:r:{target}:s0 tclass=file permissive=1"
    ).encode()


def access(target: str, permission: str, source: str = "web_t", command: int | None = None) -> Access:
    return Access(f"u:r:{source}:s0:c0,c1", f"u:r:{target}:s0", "file", permission, command)


def test_the_same_access_is_asked_once() -> None:
    calls = accesses([avc("etc_t", "read"), avc("etc_t", "read open"), avc("lib_t", "read")])
    assert calls == [access("etc_t", "read"), access("etc_t", "open"), access("lib_t", "read")]


@pytest.mark.parametrize("domain", ["web_t", "draft_t"])
def test_another_domain_takes_the_place_of_the_runs_own_on_both_sides(domain: str) -> None:
    recorded = Recorded([avc("draft_t", "read", "draft_t"), avc("etc_t", "read", "draft_t")], "draft_t")
    assert recorded.accesses_of(domain) == [access(domain, "read", domain), access("etc_t", "read", domain)]


OWN, SAME_TYPES = avc("etc_t", "read"), avc("etc_t", "read").replace(b"c0,c1", b"c7,c8")
MACHINE = avc("etc_t", "write", "cron_t").replace(b":c0,c1", b"")
OTHERS = frozenset(
    DenialKey(source, "etc_t", "file", permission)
    for source, permission in (("web_t", "read"), ("cron_t", "write"))
)


def test_of_a_run_only_the_scenarios_own_denials_are_asked_about() -> None:
    """The second one is of another container with the same type: only its level shows that."""
    recorded = Recorded([OWN, SAME_TYPES, MACHINE], "web_t", level="s0:c0,c1", others=OTHERS)
    assert recorded.accesses_of("web_t") == [access("etc_t", "read")]


def test_a_command_of_the_machines_ioctl_is_the_machines() -> None:
    key = DenialKey("web_t", "etc_t", "file", "ioctl", "0x8910")
    recorded = Recorded([ioctl("0x8910")], "web_t", level="s0:c7,c8", others=frozenset({key}))
    assert recorded.accesses_of("web_t") == []


def test_of_a_log_only_denials_of_the_candidates_types_are_asked_about() -> None:
    recorded = Recorded([OWN, MACHINE, avc("web_data_t", "read", "cron_t")], "web_t")
    assert recorded.accesses_of("web_t", frozenset({"web_data_t"})) == [
        access("etc_t", "read"),
        access("web_data_t", "read", "cron_t"),
    ]


def test_granted_accesses_and_those_that_a_program_decides_are_not_asked_about() -> None:
    """libsepol knows nothing of the classes of programs such as systemd."""
    granted = avc("etc_t", "read").replace(b"denied", b"granted")
    userspace = (
        b"type=USER_AVC msg=audit(1.1:6): pid=1 uid=0 subj=u:r:init_t:s0 msg='avc:  denied  { start } for "
        b"scontext=u:r:web_t:s0 tcontext=u:r:etc_t:s0 tclass=service'"
    )
    assert accesses([granted, userspace]) == []


@pytest.mark.toolchain
def test_what_would_be_allowed_is_counted(base: BasePolicy, tools: Toolchain, tmp_path: Path) -> None:
    path = tmp_path / "policy"
    path.write_bytes(link(base, [module("web", "(allow web_t etc_t (file (open)))")], tools).binary)
    result = replay(path, accesses([avc("etc_t", "read open"), avc("nobody_t", "read")]))
    assert (
        result.in_words()
        == "1 of 3 denials would be allowed now; 2 would not: 1 missing rule, 1 not decidable"
    )


def ioctl(command: str) -> bytes:
    return avc("etc_t", "ioctl").replace(b" scontext=", f" ioctlcmd={command} scontext=".encode())


@pytest.mark.toolchain
def test_an_ioctl_is_decided_by_its_command(base: BasePolicy, tools: Toolchain, tmp_path: Path) -> None:
    """The case of shared/field: policies/xperm.te with ioctl.log."""
    rules = "(allow web_t etc_t (file (ioctl))) (allowx web_t etc_t (ioctl file (0x8927 0x8933)))"
    path = tmp_path / "policy"
    path.write_bytes(link(base, [module("web", rules)], tools).binary)
    result = replay(path, accesses([ioctl("0x8910"), ioctl("0x8927")]))
    assert result.in_words() == "1 of 2 denials would be allowed now; 1 would not: 1 unlisted ioctl command"


def test_the_command_of_an_ioctl_is_asked_about() -> None:
    assert accesses([ioctl("0x8910")]) == [access("etc_t", "ioctl", command=0x8910)]


def test_a_policy_that_ignores_commands_has_one_denial_for_all_of_them() -> None:
    decisions = tuple(Decision(access, Cause.RULE) for access in accesses([ioctl("0x8910"), ioctl("0x8927")]))
    assert Replay(decisions).in_words() == "0 of 1 denial would be allowed now; 1 would not: 1 missing rule"


def test_a_denial_with_one_access_that_stays_denied_is_denied() -> None:
    """The rule would allow both, and MCS keeps one of the two levels apart."""
    near, far = (
        Access("u:r:web_t:s0:c0,c1", f"u:r:etc_t:{level}", "file", "read") for level in ("s0", "s0:c7")
    )
    replayed = Replay((Decision(near, Cause.NONE), Decision(far, Cause.MCS)))
    assert (replayed.allowed, replayed.denied) == (frozenset(), {key_of(Decision(near, Cause.NONE))})
    assert replayed.causes[key_of(Decision(near, Cause.NONE))].cause is Cause.MCS


def test_the_causes_of_what_stays_denied_are_counted_the_most_frequent_first() -> None:
    causes = {
        "etc_t": Cause.NONE,
        "proc_t": Cause.BOOLEAN,
        "sysfs_t": Cause.RULE,
        "lib_t": Cause.RULE,
        "usr_t": Cause.MCS,
    }
    replayed = Replay(tuple(Decision(read(name), cause) for name, cause in causes.items()))
    assert replayed.in_words() == (
        "1 of 5 denials would be allowed now; 4 would not: "
        f"2 {Cause.RULE.value}, 1 {Cause.MCS.value}, 1 {Cause.BOOLEAN.value}"
    )


@pytest.mark.parametrize("options", [{}, {"booleans": True}, {"names": True}], ids=str)
def test_the_linked_policy_is_asked_about_each_access(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, bool]
) -> None:
    requested, calls = [read("shadow_t")], []

    def ask(policy: Path, accesses: list[Access], *, booleans: bool, names: bool) -> list[Decision]:
        calls.append((policy, accesses, booleans, names))
        return [Decision(each, Cause.NONE) for each in accesses]

    monkeypatch.setattr(replay_module, "ask", ask)
    result = replay(Path("/linked"), requested, RULINGS, **options)
    assert calls == [
        (Path("/linked"), requested, options.get("booleans", False), options.get("names", False))
    ]
    assert result == Replay((Decision(requested[0], Cause.NONE),), RULINGS)


def read(target: str, source: str = "web_t") -> Access:
    return Access(f"u:r:{source}:s0", f"u:r:{target}:s0", "file", "read")


TOLERATED = Ruling(Classification.TOLERATED, "* -> proc_t:* { * }", "harmless")
EXPECTED = Ruling(Classification.EXPECTED, "* -> shadow_t:* { * }", "it is secret")
RULINGS = {
    key_of(Decision(read("proc_t"), Cause.NONE)): TOLERATED,
    key_of(Decision(read("shadow_t"), Cause.NONE)): EXPECTED,
}


def test_what_the_scenario_settles_is_counted_apart() -> None:
    decided = {"etc_t": Cause.NONE, "proc_t": Cause.RULE, "shadow_t": Cause.RULE}
    replayed = Replay(tuple(Decision(read(name), cause) for name, cause in decided.items()), RULINGS)
    assert replayed.in_words() == (
        "1 of 1 unexpected denial would be allowed now; 2 would stay denied, as the scenario says"
    )


def test_an_expected_denial_that_would_not_occur_is_a_fault() -> None:
    replayed = Replay((Decision(read("shadow_t"), Cause.NONE),), RULINGS)
    assert replayed.wrongly_allowed == {key_of(Decision(read("shadow_t"), Cause.NONE))}
    assert replayed.in_words().endswith("1 would be allowed although the scenario expects the denial")


def test_the_rulings_are_about_the_domain_that_is_asked_for() -> None:
    recorded = Recorded((), "web_t", {key_of(Decision(read("web_t"), Cause.NONE)): TOLERATED})
    assert recorded.rulings_for("app_t") == {key_of(Decision(read("app_t", "app_t"), Cause.NONE)): TOLERATED}


@pytest.mark.parametrize(("recorded_by_command", "now"), [(True, False), (False, True), (True, True)])
def test_a_ruling_on_an_ioctl_is_found_under_either_policy(recorded_by_command: bool, now: bool) -> None:
    (access,) = accesses([ioctl("0x8910")])
    key = key_of(Decision(access, Cause.COMMAND, by_command=recorded_by_command))
    rulings = Recorded((), "web_t", {key: TOLERATED}).rulings_for("web_t")
    decision = Decision(access, Cause.COMMAND, by_command=now)
    assert Replay((decision,), rulings).ruling_on(key_of(decision)) == TOLERATED


def test_a_ruling_on_one_command_is_not_one_on_another() -> None:
    """The entries of a scenario name paths, so two commands of an ioctl can have two rulings."""
    first, second = (
        key_of(Decision(each, Cause.COMMAND, by_command=True))
        for each in accesses([ioctl("0x8910"), ioctl("0x8927")])
    )
    replayed = Replay((), {first: TOLERATED, first.without_command: EXPECTED})
    assert (replayed.ruling_on(first), replayed.ruling_on(second)) == (TOLERATED, EXPECTED)
