"""Advice about ioctl commands that allowxperm rules do not list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selab.advice.advise import Situation, Volume, advise, applicable
from selab.advice.block import block, inserted_into
from selab.advice.cil_block import cil
from selab.advice.denied_access import DeniedAccess
from selab.advice.knowledge import PolicyKnowledge
from selab.advice.remedy import Kind
from selab.policy.interfaces import InterfaceTable
from selab.policy.language.declarations import read_candidates, read_flat
from selab.policy.language.statements import Grant
from selab.policy.query.decide import Cause
from selab.policy.query.index import PolicyIndex
from tests.unit.advice.conftest import granting, need

BASE = """
(class tcp_socket (create ioctl))
(class file (read ioctl))
(typeattribute domain)
(type etc_t)
(type volume_t)
(allow domain volume_t (file (read ioctl)))
(allowx domain volume_t (ioctl file (0x5401)))
"""
CANDIDATE = """
(type app_t) (typealias app_alias) (typealiasactual app_alias app_t) (typeattributeset domain (app_t))
(allow app_t self (tcp_socket (ioctl)))
(allowx app_alias self (ioctl tcp_socket (0x8927 0x8933)))
(allowx app_t etc_t (ioctl file (0x8927)))
"""
CALL = Grant("allow", "$1", "etc_t", "file", frozenset({"read", "ioctl"}))


@pytest.fixture
def expert() -> PolicyKnowledge:
    base = read_flat(BASE)
    index = PolicyIndex(base, read_candidates([CANDIDATE], base))
    return PolicyKnowledge(index, InterfaceTable([granting("control_etc", CALL)]), ())


SOCKET = need("app_t", "app_t", "tcp_socket", "ioctl", commands=1 << 0x8910)
FILE = need("app_t", "etc_t", "file", "ioctl", commands=1 << 0x8910)


def texts(denied: DeniedAccess, expert: PolicyKnowledge, cause: Cause = Cause.COMMAND) -> list[str]:
    return [remedy.text for remedy in advise([denied], expert, {denied.number: cause})[0].remedies]


def test_the_missing_command_is_suggested_and_no_wider_rule(expert: PolicyKnowledge) -> None:
    assert texts(SOCKET, expert) == [
        "allowxperm app_t self:tcp_socket ioctl 0x8910;",
        "dontauditxperm app_t self:tcp_socket ioctl 0x8910;",
    ]


def test_a_command_that_is_listed_is_not_suggested_again(expert: PolicyKnowledge) -> None:
    denied = replace(SOCKET, commands=1 << 0x8910 | 1 << 0x8927)
    assert texts(denied, expert)[0] == "allowxperm app_t self:tcp_socket ioctl 0x8910;"


def test_a_missing_permission_is_suggested_with_the_command(expert: PolicyKnowledge) -> None:
    assert texts(FILE, expert, Cause.RULE)[0] == (
        "allow app_t etc_t:file ioctl;\nallowxperm app_t etc_t:file ioctl 0x8910;"
    )


def test_no_interface_is_offered_for_an_unlisted_command(expert: PolicyKnowledge) -> None:
    assert "control_etc(app_t)" not in texts(FILE, expert, Cause.RULE)


def test_without_allowxperm_rules_the_command_makes_no_difference(expert: PolicyKnowledge) -> None:
    denied = need("app_t", "app_t", "file", "ioctl", commands=1 << 0x8910)
    assert texts(denied, expert, Cause.RULE)[0] == "allow app_t self:file ioctl;"


def test_the_reason_names_the_command(expert: PolicyKnowledge) -> None:
    (advice,) = advise([SOCKET], expert, {1: Cause.COMMAND})
    assert advice.stopped == "an ioctl command that no allowxperm rule lists: 0x8910"


def test_a_volume_is_not_relabelled_to_a_type_whose_rules_lack_the_command(expert: PolicyKnowledge) -> None:
    denied = replace(FILE, path="/data/x")
    situation = Situation("app_t", (Volume("/data"),), "volume_t")
    (advice,) = advise([denied], expert, {1: Cause.RULE}, situation)
    assert Kind.RELABEL not in [remedy.kind for remedy in advice.remedies]


def test_an_interface_for_another_denial_does_not_replace_the_rule(expert: PolicyKnowledge) -> None:
    """The interface covers `ioctl`, but not the command."""
    reading = need("app_t", "etc_t", "file", "read", number=2)
    chosen = applicable(advise([FILE, reading], expert, {1: Cause.COMMAND, 2: Cause.RULE}))
    assert "allowxperm app_t etc_t:file ioctl 0x8910;" in block(chosen)


def test_cil_lists_the_command(expert: PolicyKnowledge) -> None:
    chosen = applicable(advise([SOCKET], expert, {1: Cause.COMMAND}))
    assert cil(chosen).splitlines()[1:] == ["(allowx app_t self (ioctl tcp_socket (0x8910)))"]


def test_two_lines_that_the_block_has_are_not_added_again(expert: PolicyKnowledge) -> None:
    chosen = applicable(advise([FILE], expert, {1: Cause.RULE}))
    once = inserted_into("", chosen)
    assert inserted_into(once, chosen) == once


def test_no_rule_is_suggested_for_netlink_messages_that_extended_rules_limit() -> None:
    """selab does not evaluate these rules, so it must not say that the permission is missing."""
    policy = read_flat(f"{BASE} (allowx domain domain (nlmsg tcp_socket (0x10)))")
    denied = need("app_t", "app_t", "tcp_socket", "nlmsg")
    knowledge = PolicyKnowledge(PolicyIndex(policy), InterfaceTable(()), ())
    (advice,) = advise([denied], knowledge, {denied.number: Cause.UNKNOWN})
    assert (advice.remedies, "nlmsg" in advice.stopped) == ((), True)
