"""The extended rules of a kernel policy, compared with what the rules were written from."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.compile import compile_module, link
from selab.policy.module import PolicyModule
from selab.policy.query.decide import Access, Decider, libsepol
from selab.policy.query.extended import extended_rules
from selab.policy.query.index import PolicyIndex
from selab.policy.toolchain import Toolchain
from tests.policy_conf import commands_by_checkpolicy
from tests.unit.conftest import module, seal
from tests.unit.headers import write_headers

TYPES = ("web_t", "etc_t", "base_t", "kernel_t", "shared_t")
MEMBERS = {
    "all_but_web": ("etc_t", "base_t", "kernel_t", "shared_t"),
    "some": ("web_t", "base_t"),
    "web_alias": ("web_t",),
} | {name: (name,) for name in TYPES}
NAMES = """
    (typealias web_alias) (typealiasactual web_alias web_t) (typeattribute some) (typeattribute all_but_web)
    (typeattributeset some (web_t base_t)) (typeattributeset all_but_web (and (domain some etc_t shared_t)
    (not (web_t))))
"""
Spans = list[tuple[int, int]]


def spans(dice: random.Random) -> Spans:
    """One to four ranges, some of which are a whole driver (the upper eight bits) or a single command."""
    result = []
    for _ in range(dice.randint(1, 4)):
        low = dice.randrange(0x10000)
        high = dice.choice([low, min(0xFFFF, low + dice.randrange(700))])
        result.append(dice.choice([(low, high), (low & 0xFF00, low | 0xFF)]))
    return result


def policy_of(rules: list[tuple[str, str, str, Spans]], base: BasePolicy, tools: Toolchain) -> bytes:
    lines = ["(allow web_t etc_t (file (ioctl)))", "(typeattributeset all_but_web (kernel_t))"]
    for kind, source, target, ranges in rules:
        commands = " ".join(f"(range {low:#x} {high:#x})" for low, high in ranges)
        lines.append(f"({kind} {source} {target} (ioctl file ({commands})))")
    pairs = " ".join(f"(allow {source} {target} (file (ioctl)))" for source in TYPES for target in TYPES)
    return link(base, [module("web", f"{NAMES} {pairs} {' '.join(lines)}")], tools).binary


@pytest.mark.toolchain
@pytest.mark.parametrize("seed", range(4))
def test_each_command_is_decided_as_the_rules_say(
    base: BasePolicy, tools: Toolchain, tmp_path: Path, seed: int
) -> None:
    """The expected answer comes from the numbers that the rules were written from, not from any CIL."""
    dice = random.Random(seed)
    kinds = ("allowx", "allowx", "dontauditx", "auditallowx")
    names = list(MEMBERS)
    rules = [
        (dice.choice(kinds), dice.choice(names), dice.choice([*names, "self"]), spans(dice)) for _ in range(9)
    ]
    path = tmp_path / "policy"
    path.write_bytes(policy_of(rules, base, tools))
    edges = {edge for *_, ranges in rules for low, high in ranges for edge in (low - 1, low, high, high + 1)}
    commands = sorted(edges & set(range(0x10000)))
    accesses, expected = [], []
    for source in TYPES:
        for target in TYPES:
            applying = [
                (kind, ranges)
                for kind, from_name, to_name, ranges in rules
                if source in MEMBERS[from_name]
                and (source == target if to_name == "self" else target in MEMBERS[to_name])
            ]
            listed = [ranges for kind, ranges in applying if kind == "allowx"]
            for command in commands:
                accesses.append(Access(f"u:r:{source}:s0", f"u:r:{target}:s0", "file", "ioctl", command))
                inside = any(low <= command <= high for ranges in listed for low, high in ranges)
                expected.append(inside or not applying)
    assert [decision.allowed for decision in Decider(path).decide(accesses)] == expected


@pytest.mark.toolchain
def test_a_policy_without_extended_rules_has_no_index(
    base: BasePolicy, tools: Toolchain, tmp_path: Path
) -> None:
    path = tmp_path / "policy"
    path.write_bytes(policy_of([], base, tools))
    assert extended_rules(libsepol(), path) is None


@pytest.mark.toolchain
@pytest.mark.parametrize("kind", ["dontauditx", "auditallowx"])
def test_a_rule_that_only_audits_limits_the_commands(
    base: BasePolicy, tools: Toolchain, tmp_path: Path, kind: str
) -> None:
    """The kernel looks for extended rules of any kind before it asks for the commands that are allowed."""
    path = tmp_path / "policy"
    path.write_bytes(policy_of([(kind, "web_t", "etc_t", [(1, 2)])], base, tools))
    decision = Decider(path).decide([Access("u:r:web_t:s0", "u:r:etc_t:s0", "file", "ioctl", 1)])[0]
    assert (decision.allowed, decision.detail) == (False, "0x1 is not in any allowxperm rule")


EVERY_FORM_IN_CIL = """
(role object_r) (roleattribute cil_gen_require) (typealias old_t) (typealiasactual old_t etc_t)
(typeattribute files) (typeattributeset files (etc_t shared_t))
(typeattribute everything) (typeattributeset everything (all))
(typeattribute others) (typeattributeset others (and (domain files) (not (base_t))))
(allow domain everything (file (ioctl)))
(allowx base_t etc_t (ioctl file (0x5401)))
(allowx base_t old_t (ioctl file ((range 0x5600 0x58ff) 0x1)))
(allowx domain files (ioctl file (and (range 0x100 0x1ff) (not (0x180)))))
(allowx others self (ioctl file (xor (range 0x0 0xf) (range 0x8 0x17))))
(allowx kernel_t domain (ioctl file (all)))
(permissionx named (ioctl file (or (0xffff) (0x100))))
(allowx kernel_t files named)
(auditallowx files base_t (ioctl file (0x7)))
(dontauditx shared_t others (ioctl file ((range 0xff00 0xffff))))
(neverallowx shared_t base_t (ioctl file (0x3)))
"""
EVERY_FORM_IN_TE = """
module web 1.0;
require { type base_t; type etc_t; type kernel_t; attribute domain; class file { read ioctl }; role r; }
type web_t, domain; type web_file_t; role r types { web_t web_file_t };
allow web_t { web_file_t etc_t }:file { read ioctl };
allowxperm web_t web_file_t:file ioctl 0x8910;
allowxperm web_t { etc_t kernel_t }:file ioctl { 0x8927 0x8930-0x8933 };
allowxperm { domain -kernel_t } self:file ioctl ~{ 0x8910 0x9000-0x90ff };
allowxperm domain web_file_t:file ioctl 0x5401;
auditallowxperm base_t web_file_t:file ioctl 0x5402;
dontauditxperm web_t base_t:file ioctl { 0x1 0x2 };
neverallowxperm web_t base_t:file ioctl 0x3;
"""


@pytest.mark.toolchain
def test_the_commands_of_each_form_of_rule_are_those_that_checkpolicy_lists(
    base: BasePolicy, tools: Toolchain, tmp_path: Path
) -> None:
    """In the base policy and in a candidate, read from the kernel policy and from the flat base."""
    for file in (base.flat, base.directory / "cil" / "base.cil"):
        file.write_text(file.read_text() + EVERY_FORM_IN_CIL)
    seal(base.directory)
    write_headers(base.headers)
    source = PolicyModule("web", tmp_path, {"te": EVERY_FORM_IN_TE.encode()})
    candidate = compile_module(source, base, tools)
    path = tmp_path / "policy"
    path.write_bytes(link(base, [candidate], tools).binary)
    expected = commands_by_checkpolicy(path)
    linked, separate = extended_rules(libsepol(), path), PolicyIndex.of(base, [candidate])
    assert linked is not None
    every = [(source, target, "file") for source in separate.types for target in separate.types]
    assert len(expected) > len(every) // 4
    assert {key: linked.commands(*key) for key in every} == {key: expected.get(key) for key in every}
    assert {key: separate.commands(*key) for key in every} == {key: expected.get(key) for key in every}
