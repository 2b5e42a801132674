"""Expanded policy text: what its rules grant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selab.policy.language.statements import ACCESS_KINDS, Grant, parse
from selab.policy.language.words import NotAStatement

CLASSES = {"file": frozenset({"read", "write", "open"})}
NAMES = st.from_regex(r"[a-z$][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in {"self"})
SETS = st.lists(NAMES, min_size=1, max_size=4, unique=True)
GARBAGE = st.lists(
    st.sampled_from(
        [
            *ACCESS_KINDS,
            "if",
            "optional",
            "require",
            "type",
            "role",
            "a",
            "b_t",
            '"x"',
            *"{}();:,~*-!",
            "&&",
            "#\n",
        ]
    ),
    max_size=30,
)


def written(names: list[str]) -> str:
    """`names` as a set, nested as macros would leave it."""
    if len(names) == 1:
        return names[0]
    return f"{{ {{ {names[0]} }} {' '.join(names[1:])} }}"


@given(st.sampled_from(ACCESS_KINDS), SETS, SETS, SETS, SETS)
def test_every_combination_of_the_sets_is_granted_once(
    kind: str, sources: list[str], targets: list[str], classes: list[str], words: list[str]
) -> None:
    text = f"{kind} {written(sources)} {written(targets)}:{written(classes)} {written(words)};"
    expected = {
        Grant(kind, source, other, tclass, frozenset(words))
        for source in sources
        for other in targets
        for tclass in classes
    }
    grants = parse(text, {}).grants
    assert (set(grants), len(grants)) == (expected, len(expected))


@given(GARBAGE)
def test_any_text_is_read_or_refused(words: list[str]) -> None:
    try:
        parse(" ".join(words), CLASSES)
    except NotAStatement as error:
        assert str(error)


@given(SETS, st.booleans())
def test_a_rule_said_twice_grants_the_same(words: list[str], apart: bool) -> None:
    once = f"allow a b:file {written(words)};"
    twice = "".join(f"allow a b:file {word};" for word in words) if apart else once * 2
    assert parse(twice, {}).grants == parse(once, {}).grants


@pytest.mark.parametrize(
    ("words", "expected"),
    [("*", {"read", "write", "open"}), ("~read", {"write", "open"}), ("~{ read write }", {"open"})],
)
def test_all_but_some_permissions_are_those_of_the_class(words: str, expected: set[str]) -> None:
    assert parse(f"allow a b:file {words};", CLASSES).grants[0].permissions == expected


def test_all_permissions_of_an_unknown_class_stay_all() -> None:
    assert parse("allow a b:$2 ~read;", CLASSES).grants[0].permissions == {"*"}


@pytest.mark.parametrize(
    ("target", "name", "without"),
    [
        ("{ all_types -secret_t }", "all_types", {"secret_t"}),
        ("~{ secret_t }", "*", {"secret_t"}),
        ("*", "*", set()),
    ],
)
def test_what_a_set_takes_away_is_kept(target: str, name: str, without: set[str]) -> None:
    grant = parse(f"allow a {target}:file read;", {}).grants[0]
    assert (grant.target, grant.target_except) == (name, without)


def test_both_sides_of_a_conditional_say_when_they_hold() -> None:
    grants = parse("if (x && ! (y)) { allow a b:file read; } else { allow a b:file write; }", {}).grants
    assert [grant.condition for grant in grants] == ["x && !(y)", "!(x && !(y))"]


def test_what_an_optional_block_grants_counts() -> None:
    assert len(parse("optional { allow a b:file read; } else { allow a c:file read; }", {}).grants) == 1


def test_what_an_optional_block_requires_does_not_count() -> None:
    statements = parse(
        "require { type a; bool x; class file { read }; } optional { require { type b; } }", {}
    )
    assert statements.requires == (("type", "a"), ("bool", "x"), ("class", "file"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type_transition a b:file c;", ("type_transition", "a", "b", "file", "c")),
        ('type_transition a b:file c "d e";', ("type_transition", "a", "b", "file", 'c "d e"')),
        (
            "range_transition a b:process s0 - s0:c0.c1023;",
            ("range_transition", "a", "b", "process", "s0-s0:c0.c1023"),
        ),
        ("range_transition a b s0;", ("range_transition", "a", "b", "process", "s0")),
        ("role_transition r b q;", ("role_transition", "r", "b", "process", "q")),
        ("role r types t;", ("role_types", "r", "t", "", "")),
        ("allow r q;", ("role_allow", "r", "q", "", "")),
        ("roleattribute r rs;", ("roleattribute", "r", "rs", "", "")),
        ("typebounds a b;", ("typebounds", "a", "b", "", "")),
        ("permissive a;", ("permissive", "a", "", "", "")),
        ("allowxperm a b:file ioctl { 0x10 0x20 };", ("allowxperm", "a", "b", "file", "{ 0x10 0x20 }")),
    ],
)
def test_other_rules_are_read(text: str, expected: tuple[str, ...]) -> None:
    grant = parse(text, {}).grants[0]
    assert (grant.kind, grant.source, grant.target, grant.tclass, grant.result) == expected


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("role { r q } types { t u };", [("r", "t"), ("r", "u"), ("q", "t"), ("q", "u")]),
        ("roleattribute { r q } rs, rt;", [("r", "rs"), ("r", "rt"), ("q", "rs"), ("q", "rt")]),
        ("typebounds a b, c;", [("a", "b"), ("a", "c")]),
        ("permissive a, b;", [("a", ""), ("b", "")]),
        ("allow { r q } p;", [("r", "p"), ("q", "p")]),
    ],
)
def test_a_rule_about_several_names_is_one_for_each_pair(text: str, pairs: list[tuple[str, str]]) -> None:
    assert [(grant.source, grant.target) for grant in parse(text, {}).grants] == pairs


@pytest.mark.parametrize(
    ("text", "declares"),
    [
        ("role r; role { p q };", [("role", "r"), ("role", "p"), ("role", "q")]),
        ("typealias a alias { c d }; typealias a alias e;", [("type", "c"), ("type", "d"), ("type", "e")]),
        ("bool p true; bool q false;", [("bool", "p"), ("bool", "q")]),
        ("attribute m, n;", [("attribute", "m"), ("attribute", "n")]),
        ("type b alias c; type d;", [("type", "b"), ("type", "c"), ("type", "d")]),
    ],
)
def test_a_name_is_declared_with_its_kind(text: str, declares: list[tuple[str, str]]) -> None:
    statements = parse(text, {})
    assert ([*statements.declares], statements.grants, statements.requires) == (declares, (), ())


def test_the_other_branch_of_an_optional_block_declares_nothing() -> None:
    other = "type c, y; allow c b:file read; role r;"
    statements = parse(f"optional {{ type a, x; }} else {{ {other} }} type d;", {})
    assert (statements.grants, statements.attributes, statements.declares) == (
        (),
        (("a", "x"),),
        (("type", "a"), ("type", "d")),
    )


def test_each_name_that_is_required_has_its_kind() -> None:
    names = "sensitivity s0; category c0, c1; role r, q; attribute z; class file { read }; tunable k; type t;"
    assert parse(f"require {{ {names} }} require {{ class dir {{ x y }}; }}", {}).requires == (
        *(("role", "r"), ("role", "q"), ("attribute", "z"), ("class", "file"), ("bool", "k"), ("type", "t")),
        ("class", "dir"),
    )


def test_a_type_comes_with_its_attributes_and_aliases() -> None:
    statements = parse("type a alias { b }, x, y; typeattribute a z;", {})
    assert (statements.declares, statements.attributes) == (
        (("type", "a"), ("type", "b")),
        (("a", "x"), ("a", "y"), ("a", "z")),
    )


@pytest.mark.parametrize(
    "text",
    [
        "files_read_etc(a_t)",
        "allow a b:file read",
        "allow a b:file { };",
        "optional { allow a b:file read;",
        "{" * 5000,
        "type;",
    ],
)
def test_what_is_no_statement_is_refused(text: str) -> None:
    with pytest.raises(NotAStatement):
        parse(text, {})


def test_sets_without_end_are_refused() -> None:
    with pytest.raises(NotAStatement, match="nested"):
        parse("allow " + "{" * 5000, {})


@pytest.mark.parametrize(
    "text",
    [
        "allow a b:file read;;",
        ";allow a b:file read;",
        "optional { ; require { type b; } allow a b:file read;; }",
    ],
)
def test_an_empty_statement_grants_nothing(text: str) -> None:
    assert parse(text, CLASSES).grants == (Grant("allow", "a", "b", "file", frozenset({"read"})),)


@pytest.mark.parametrize("text", ["if (x) { allow a b:file read;; }", "require { type a_t;; }"])
def test_an_empty_statement_is_refused_where_checkmodule_refuses_it(text: str) -> None:
    with pytest.raises(NotAStatement):
        parse(text, CLASSES)
