"""Deny rules, resolved for a compiler that does not know them."""

from __future__ import annotations

from pathlib import Path

import pytest

from selab.policy.compile import CompiledModule, link
from selab.policy.deny import MARK, disguised, has_deny, is_plain, revealed, without_deny
from selab.policy.language.cil_source import parse
from selab.policy.language.declarations import read_flat
from selab.policy.query.decide import Access, Cause
from selab.policy.query.decide_subprocess import ask
from selab.policy.query.index import PolicyIndex
from selab.policy.toolchain import Demands, Toolchain, missing_on_host
from tests import centos_like

TYPES = ("a_t", "b_t", "c_t")
DECLARED = """
(typeattribute all_types) (typeattributeset all_types (a_t b_t c_t))
(typeattribute two) (typeattributeset two (a_t b_t))
(type a_t) (type b_t) (type c_t)
"""


def granted(text: str) -> set[tuple[str, str, str]]:
    """Which type may do what to which other one, by the allow rules of a text without deny rules."""
    index = PolicyIndex(read_flat(text))
    return {
        (source, target, permission)
        for source in TYPES
        for target in TYPES
        for permission in index.permissions(source, target, "file")
    }


def resolved(text: str) -> str:
    return "".join(without_deny([text], PolicyIndex(read_flat(text)).members))


@pytest.mark.parametrize("allowed", ["a_t b_t", "all_types all_types", "two self", "a_t two", "two c_t"])
@pytest.mark.parametrize(
    "denied", ["a_t b_t", "two two", "two self", "all_types self", "a_t all_types", "c_t a_t", "two c_t"]
)
def test_what_is_left_is_what_is_allowed_and_not_denied(allowed: str, denied: str) -> None:
    allow = f"{DECLARED}(allow {allowed} (file (read write)))\n"
    taken_away = f"{DECLARED}(allow {denied} (file (write)))\n"
    left = granted(resolved(f"{allow}(deny {denied} (file (write open)))\n"))
    assert left == granted(allow) - granted(taken_away)


def test_every_deny_rule_counts() -> None:
    text = f"{DECLARED}(allow two two (file (read write)))\n"
    text += "(deny a_t b_t (file (read)))\n(deny b_t self (file (write)))\n"
    assert granted(resolved(text)) == granted(text) - {("a_t", "b_t", "read"), ("b_t", "b_t", "write")}


def test_rules_of_candidates_are_denied_too() -> None:
    base, candidate = f"{DECLARED}(deny all_types c_t (file (read)))\n", "(allow a_t c_t (file (read)))\n"
    index = PolicyIndex(read_flat(base))
    assert granted("".join(without_deny([base, candidate], index.members))) == set()


@pytest.mark.parametrize(
    "rule",
    [
        "(allow a_t b_t (dir (read)))",
        "(allow a_t b_t (file (open)))",
        "(allow a_t absent_t (file (read)))",
        "(allow a_t b_t (file (all)))",
    ],
)
def test_a_rule_that_no_deny_rule_is_about_stays_as_it_is(rule: str) -> None:
    assert rule in resolved(f"{DECLARED}{rule}\n(deny a_t b_t (file (read)))\n")


def test_a_policy_without_deny_rules_stays_as_it_is() -> None:
    text = f"{DECLARED}(allow a_t b_t (file (read)))\n"
    assert (has_deny(text), resolved(text)) == (False, text)


@pytest.mark.parametrize(
    ("rule", "plain"),
    [
        ("(deny a_t b_t (file (read)))", True),
        ("(deny a_t b_t (file (not (read))))", False),
        ("(deny a_t b_t (file (all)))", False),
        ("(deny a_t b_t read_files)", False),
    ],
)
def test_a_deny_rule_with_more_than_names_needs_a_newer_compiler(rule: str, plain: bool) -> None:
    assert (has_deny(rule), is_plain(rule)) == (True, plain)


def test_a_base_policy_demands_a_newer_compiler_only_for_deny_rules_that_selab_cannot_resolve(
    tmp_path: Path,
) -> None:
    base = centos_like.write_base(tmp_path / "centos")
    assert base.demands == Demands(False, 33)
    base.flat.write_text("(deny a_t b_t (file (all)))\n")
    assert base.demands == Demands(True, 33)


def test_rules_about_other_types_stay_as_they_are_if_all_members_are_known() -> None:
    rules = f"{DECLARED}(allow b_t c_t (file (read)))\n(allow a_t b_t (file (read)))\n"
    text = f"{rules}(deny a_t c_t (file (read)))"
    assert without_deny([text], PolicyIndex(read_flat(text)).members, complete=True) == [rules]


@pytest.mark.parametrize(
    ("rule", "denied"),
    [
        ("two c_t", "two self"),
        ("two c_t", "all_types two"),
        ("two self", "two c_t"),
        ("two self", "c_t self"),
        ("two two", "c_t self"),
    ],
)
def test_a_rule_that_shares_no_pair_of_types_with_the_deny_rule_stays(rule: str, denied: str) -> None:
    allow = f"(allow {rule} (file (read write)))"
    text = f"{DECLARED}{allow}\n(deny {denied} (file (read)))\n"
    (left,) = without_deny([text], PolicyIndex(read_flat(text)).members, complete=True)
    assert allow in left


@pytest.mark.parametrize(("rule", "denied"), [("all_types c_t", "all_types self"), ("two self", "a_t two")])
def test_a_rule_that_shares_a_pair_of_equal_types_with_the_deny_rule_loses_it(rule: str, denied: str) -> None:
    allow = f"(allow {rule} (file (read)))"
    text = f"{DECLARED}{allow}\n(deny {denied} (file (read)))\n"
    (left,) = without_deny([text], PolicyIndex(read_flat(text)).members, complete=True)
    (pair,) = granted(f"{DECLARED}{allow}\n") - granted(left)
    assert pair[0] == pair[1]


def test_a_disguised_deny_rule_is_a_marked_neverallow_rule_in_the_same_line() -> None:
    text = "; (deny\n(block b (type t)\n( deny t self (file (read))) (neverallow t t (file (write))))"
    assert disguised(text, parse(text)).splitlines()[2] == (
        f"(typepermissive {MARK})(neverallow t self (file (read))) (neverallow t t (file (write))))"
    )


def test_marked_rules_are_deny_rules_again_and_others_stay() -> None:
    lines = [f"(typepermissive {MARK})", "(neverallow a b (file (read)))", "(neverallow a b (file (read)))"]
    assert [*revealed(lines)] == ["(deny a b (file (read)))", "(neverallow a b (file (read)))"]


@pytest.mark.toolchain
def test_this_machine_links_a_base_policy_with_deny_rules(tmp_path: Path, tools: Toolchain) -> None:
    if missing_on_host():
        pytest.skip("no policy tools here")
    base = centos_like.write_base(tmp_path / "centos")
    cil = "(type web_t) (roletype system_r web_t) (typeattributeset domain (web_t))\n"
    cil += "(typeattributeset container_domain (web_t))\n(allow web_t self (alg_socket (create)))\n"
    cil += "(allow web_t self (tcp_socket (create)))\n"
    policy = tmp_path / "policy"
    policy.write_bytes(link(base, [CompiledModule("web", cil, frozenset({"web_t"}))], tools).binary)
    web = "system_u:system_r:web_t:s0"
    accesses = [Access(web, web, tclass, "create") for tclass in ("alg_socket", "tcp_socket")]
    assert [each.cause for each in ask(policy, accesses)] == [Cause.RULE, Cause.NONE]
