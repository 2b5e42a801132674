"""The extended rules of a kernel policy, compared with what the rules were written from."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from selab.policy.base import BasePolicy
from selab.policy.compile import link
from selab.policy.query.decide import Access, Decider, libsepol
from selab.policy.query.extended import extended_rules
from selab.policy.toolchain import Toolchain
from tests.unit.conftest import module

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
