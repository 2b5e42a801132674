"""PASS, FAIL, ERROR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from selab.auditlog.attribution import Party, Scope, attribute
from selab.auditlog.classification import Classification
from selab.auditlog.denials import AvcDenial
from selab.auditlog.events import read_events
from selab.policy.language.declarations import read_flat
from selab.policy.query.index import PolicyIndex
from selab.run.verdict import ClassifiedDenials, Evidence, Verdict, by_command, classify, describe, judge
from selab.scenario.expect import Expect, ExpectedDenial

RECORD = (
    'type=AVC msg=audit(1.1:5): avc:  denied  {{ {permissions} }} for  pid=1 comm="x" '
    "scontext=u:r:web_t:s0:c1,c2 tcontext=u:r:{target}:s0 tclass=file permissive=1"
)


def denials(*pairs: tuple[str, str]) -> Sequence[AvcDenial]:
    lines = [RECORD.format(permissions=permissions, target=target).encode() for target, permissions in pairs]
    return attribute(lines, Scope((Party("web_t", "s0:c1,c2"),), frozenset())).decisions


def verdict(
    expect: object = "none",
    denied: Sequence[AvcDenial] = (),
    doubts: Sequence[str] = (),
    failures: Sequence[str] = (),
    reservations: Sequence[str] = (),
) -> Verdict:
    classified = classify(Expect.model_validate({"denials": expect}), denied)
    return judge(Evidence(doubts, failures, classified, (), reservations))[0]


def test_nothing_wrong_is_a_pass() -> None:
    assert verdict() is Verdict.PASS


def test_a_failed_step_is_a_fail() -> None:
    assert verdict(failures=["step 'x' failed"]) is Verdict.FAIL


def test_a_doubt_outweighs_a_failure() -> None:
    assert verdict(doubts=["records were lost"], failures=["step 'x' failed"]) is Verdict.ERROR


def test_what_is_not_enough_for_a_pass_is_no_pass() -> None:
    assert (
        verdict("any", denials(("etc_t", "read")), reservations=["the label was in denials only"])
        is Verdict.ERROR
    )


def test_what_is_not_enough_for_a_pass_is_enough_for_a_fail() -> None:
    assert (
        verdict(denied=denials(("etc_t", "read")), reservations=["the label was in denials only"])
        is Verdict.FAIL
    )


def test_a_denial_is_a_fail() -> None:
    assert verdict(denied=denials(("etc_t", "read"))) is Verdict.FAIL


def test_any_denial_may_be_allowed_for() -> None:
    assert verdict("any", denials(("etc_t", "read"))) is Verdict.PASS


def test_a_tolerated_denial_is_none() -> None:
    pattern = {"target": "etc_t", "class": "file", "permissions": ["read"], "reason": "harmless"}
    assert verdict([pattern], denials(("etc_t", "read"))) is Verdict.PASS


def test_a_permission_beyond_the_tolerated_ones_is_a_fail() -> None:
    pattern = {"target": "etc_t", "permissions": ["read"], "reason": "harmless"}
    assert verdict([pattern], denials(("etc_t", "read write"))) is Verdict.FAIL


def test_an_expected_denial_that_does_not_come_is_a_fail() -> None:
    assert verdict([{"target": "etc_t", "as": "expect", "reason": "it must be kept out"}]) is Verdict.FAIL


def test_an_expected_denial_that_comes_is_a_pass() -> None:
    assert (
        verdict(
            [{"target": "etc_t", "as": "expect", "reason": "it must be kept out"}], denials(("etc_t", "read"))
        )
        is Verdict.PASS
    )


def test_a_tolerated_denial_need_not_come() -> None:
    assert verdict([{"target": "etc_t", "reason": "harmless"}]) is Verdict.PASS


def test_an_error_of_selinux_is_a_fail() -> None:
    line = (
        b"type=SELINUX_ERR msg=audit(1.1:6): op=security_compute_sid invalid_context=u:r:web_t:s0:c1,c2 "
        b"scontext=a:b:c_t:s0 tcontext=a:b:d_t:s0 tclass=file"
    )
    errors = attribute([line], Scope((Party("web_t", "s0:c1,c2"),), frozenset())).errors
    assert judge(Evidence((), (), ClassifiedDenials(), errors))[0] is Verdict.FAIL


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("path", "/srv/page", Verdict.PASS),
        ("path", "/srv/other", Verdict.FAIL),
        ("source", "web_t", Verdict.PASS),
        ("source", "other_t", Verdict.FAIL),
        ("class", "file", Verdict.PASS),
        ("class", "dir", Verdict.FAIL),
    ],
)
@pytest.mark.parametrize("kind", ["tolerate", "expect"])
def test_each_field_of_an_expected_denial_is_compared(
    field: str, value: str, expected: Verdict, kind: str
) -> None:
    line = RECORD.format(permissions="read", target="etc_t").replace('comm="x"', 'comm="x" path="/srv/page"')
    denied = attribute([line.encode()], Scope((Party("web_t", "s0:c1,c2"),), frozenset())).decisions
    assert denied[0].path == "/srv/page"
    assert verdict([{field: value, "as": kind, "reason": "it is harmless"}], denied) is expected


@pytest.mark.parametrize(("value", "code"), [(Verdict.PASS, 0), (Verdict.FAIL, 1), (Verdict.ERROR, 3)])
def test_each_verdict_has_its_exit_code(value: Verdict, code: int) -> None:
    assert value.exit_code == code


ENTRIES = [
    {"target": "etc_t", "permissions": ["read"], "reason": "harmless"},
    {"target": "shadow_t", "as": "expect", "reason": "it is secret"},
    {"target": "proc_t", "class": "file", "as": "expect", "path": "/proc/x", "reason": "it stays closed"},
]


def classified(expect: object, denied: Sequence[AvcDenial]) -> ClassifiedDenials:
    return classify(Expect.model_validate({"denials": expect}), denied)


def test_each_denial_is_classified_with_the_entry_and_the_reason_that_say_so() -> None:
    denied = denials(("shadow_t", "read"), ("etc_t", "read write"))
    rows = classified(ENTRIES, denied).rows
    assert [(row.denial.target, row.denial.permissions, row.ruling.in_words) for row in rows] == [
        ("etc_t", ("write",), ""),
        ("etc_t", ("read",), "tolerated by * -> etc_t:* { read }: harmless"),
        ("shadow_t", ("read",), "expected by * -> shadow_t:* { * }: it is secret"),
    ]


def test_an_expected_denial_that_did_not_occur_is_named_with_its_whole_entry() -> None:
    missing = classified(ENTRIES, denials(("shadow_t", "read"))).missing
    assert [each.in_words for each in missing] == [
        "an expected denial did not occur: * -> proc_t:file { * } /proc/x (it stays closed)"
    ]


def test_an_entry_that_expects_outweighs_one_that_tolerates() -> None:
    entries = [{"class": "file", "reason": "harmless"}, ENTRIES[1]]
    rows = classified(entries, denials(("shadow_t", "read"))).rows
    assert [row.ruling.classification for row in rows] == [Classification.EXPECTED]


def test_each_entry_that_expects_a_denial_is_satisfied_by_it() -> None:
    entries = [ENTRIES[1], {"class": "file", "as": "expect", "reason": "files stay closed"}]
    assert classified(entries, denials(("shadow_t", "read"))).missing == ()


def test_each_of_several_expected_denials_is_noticed() -> None:
    entries = [ENTRIES[1], {"target": "etc_t", "as": "expect", "reason": "it is not its own"}]
    assert classified(entries, denials(("shadow_t", "read"), ("etc_t", "read"))).missing == ()


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"class": "file", "permissions": ["read", "open"]}, "* -> *:file { read open }"),
        ({"source": "web_t", "path": "/etc/x"}, "web_t -> *:* { * } /etc/x"),
    ],
)
def test_an_entry_is_named_by_what_it_says_with_stars_for_the_rest(entry: dict[str, Any], line: str) -> None:
    assert describe(ExpectedDenial.model_validate({**entry, "reason": "harmless"})) == line


def test_any_tolerates_a_denial_without_an_entry_about_it() -> None:
    (row,) = classified("any", denials(("etc_t", "read"))).rows
    assert (row.ruling.classification, row.ruling.stays_denied) == (Classification.TOLERATED, False)


def test_a_tolerated_path_does_not_cover_another_path_of_the_same_types() -> None:
    lines = [
        RECORD.format(permissions="read", target="etc_t").replace('comm="x"', f'comm="x" path="{path}"')
        for path in ("/etc/harmless", "/etc/secret")
    ]
    denied = attribute(
        [line.encode() for line in lines], Scope((Party("web_t", "s0:c1,c2"),), frozenset())
    ).decisions
    entry = {"path": "/etc/harmless", "reason": "harmless"}
    rows = classified([entry], denied).rows
    assert [(row.denial.path, row.ruling.classification.value) for row in rows] == [
        ("/etc/secret", "unexpected"),
        ("/etc/harmless", "tolerated"),
    ]
    assert verdict([entry], denied) is Verdict.FAIL


def ioctls(*commands: str) -> list[AvcDenial]:
    lines = [
        f"type=AVC msg=audit(1.1:{number}): avc:  denied  {{ ioctl }} for  pid=9 ioctlcmd={command} "
        "scontext=u:r:web_t:s0 tcontext=u:r:web_t:s0 tclass=tcp_socket permissive=0".encode()
        for number, command in enumerate(commands)
    ]
    return [avc for event in read_events(lines) for avc in event.denials()]


@pytest.mark.parametrize(
    ("rules", "commands"),
    [
        ("(allowx web_t self (ioctl tcp_socket (0x1)))", ["0x2", "0x3"]),
        ("(allowx web_t self (ioctl udp_socket (0x1)))", [""]),
        ("(dontauditx web_t self (ioctl tcp_socket (0x1)))", ["0x2", "0x3"]),
    ],
)
def test_each_command_is_a_denial_if_the_policy_distinguishes_commands(
    rules: str, commands: list[str]
) -> None:
    classified = classify(Expect(), ioctls("0x2", "0x3"))
    index = PolicyIndex(read_flat(f"(type web_t)\n{rules}\n"))
    (row,) = by_command(classified, index).rows
    assert [key.command for key in row.denial.keys] == commands


def test_the_reason_counts_each_command_that_the_policy_distinguishes() -> None:
    index = PolicyIndex(read_flat("(type web_t)\n(allowx web_t self (ioctl tcp_socket (0x1)))\n"))
    classified = by_command(classify(Expect(), ioctls("0x2", "0x3")), index)
    assert judge(Evidence([], [], classified, ()))[1][0] == "2 unexpected denials"
