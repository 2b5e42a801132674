"""PASS, FAIL, ERROR."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from selab.auditlog.attribution import Scope, attribute
from selab.auditlog.denials import Denial
from selab.run.verdict import Evidence, Verdict, judge
from selab.scenario import Expect

RECORD = (
    'type=AVC msg=audit(1.1:5): avc:  denied  {{ {permissions} }} for  pid=1 comm="x" '
    "scontext=u:r:web_t:s0:c1,c2 tcontext=u:r:{target}:s0 tclass=file permissive=1"
)


def denials(*pairs: tuple[str, str]) -> Sequence[Denial]:
    lines = [RECORD.format(permissions=permissions, target=target).encode() for target, permissions in pairs]
    return attribute(lines, Scope("web_t", "s0:c1,c2", frozenset())).scenario


def verdict(
    expect: object = "none",
    denied: Sequence[Denial] = (),
    doubts: Sequence[str] = (),
    failures: Sequence[str] = (),
    reservations: Sequence[str] = (),
) -> Verdict:
    return judge(
        Expect.model_validate({"denials": expect}), Evidence(doubts, failures, denied, (), reservations)
    )[0]


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
    errors = attribute([line], Scope("web_t", "s0:c1,c2", frozenset())).errors
    assert judge(Expect(), Evidence((), (), (), errors))[0] is Verdict.FAIL


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
    denied = attribute([line.encode()], Scope("web_t", "s0:c1,c2", frozenset())).scenario
    assert denied[0].path == "/srv/page"
    assert verdict([{field: value, "as": kind, "reason": "it is harmless"}], denied) is expected


@pytest.mark.parametrize(("value", "code"), [(Verdict.PASS, 0), (Verdict.FAIL, 1), (Verdict.ERROR, 3)])
def test_each_verdict_has_its_exit_code(value: Verdict, code: int) -> None:
    assert value.exit_code == code
