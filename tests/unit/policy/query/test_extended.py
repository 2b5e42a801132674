"""The extended rules of a kernel policy, compared with what the rules were written from."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selab.errors import SelabError
from selab.policy.base import BasePolicy
from selab.policy.compile import compile_module, link
from selab.policy.language.commands import in_te
from selab.policy.module import PolicyModule
from selab.policy.query import extended as extended_module
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


@pytest.fixture
def written_as(policy: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], PolicyIndex | None]:
    """Read the extended rules of a policy that libsepol writes as the given CIL."""

    def read(cil: str) -> PolicyIndex | None:
        monkeypatch.setattr(extended_module, "_as_cil", lambda library, data: cil)
        return extended_rules(libsepol(), policy)

    return read


@pytest.mark.parametrize(
    ("target", "commands"), [("etc_t", "{ 0x8927 0x8933 }"), ("base_t", "{  }"), ("kernel_t", None)]
)
def test_the_rules_are_those_of_the_policy(policy: Path, target: str, commands: str | None) -> None:
    index = extended_rules(libsepol(), policy)
    assert index is not None
    listed = index.commands("web_t", target, "file")
    assert (listed if listed is None else in_te(listed)) == commands


def test_a_policy_without_extended_rules_has_no_index(
    written_as: Callable[[str], PolicyIndex | None],
) -> None:
    assert written_as("(type web_t)\n(allow web_t web_t (file (ioctl)))\n") is None


@pytest.mark.parametrize("kind", ["allowx", "dontauditx", "auditallowx"])
def test_attributes_and_aliases_of_the_rules_are_known(
    written_as: Callable[[str], PolicyIndex | None], kind: str
) -> None:
    index = written_as(
        f"""
(type web_t)
(type etc_t)
(typealias old_t)
(typealiasactual old_t etc_t)
(typeattribute domain)
(typeattributeset domain (web_t))
(allow domain etc_t (file (ioctl)))
({kind} domain old_t (ioctl file (0x1)))
"""[1:]
    )
    assert index is not None
    assert index.commands("web_t", "etc_t", "file") == (0b10 if kind == "allowx" else 0)


def test_the_condition_of_a_rule_is_known(written_as: Callable[[str], PolicyIndex | None]) -> None:
    index = written_as(
        """
(type web_t)
(boolean shiny false)
(booleanif shiny
    (true
        (allowx web_t self (ioctl file (0x1)))
    )
)
"""[1:]
    )
    assert index is not None
    assert [rule.condition for rule in index.extended("web_t", "web_t", "file")] == ["shiny"]


def test_a_file_that_is_no_policy_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"not a policy")
    with pytest.raises(SelabError, match="extended rules"):
        extended_rules(libsepol(), tmp_path / "nothing")


def test_a_policy_that_libsepol_fails_to_write_is_an_error(policy: Path) -> None:
    class Failing:
        def __getattr__(self, name: str) -> Any:
            failing = name == "sepol_kernel_policydb_to_cil"
            return (lambda *arguments: -1) if failing else getattr(libsepol(), name)

    with pytest.raises(SelabError, match="extended rules"):
        extended_rules(Failing(), policy)  # type: ignore[arg-type]


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
