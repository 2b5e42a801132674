"""Advice on a terminal and as JSON: the remedies with their risk, in their order."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from selab.advice.advise import Advice
from selab.advice.denied_access import DeniedAccess
from selab.advice.remedy import Kind, Remedy
from selab.advice.selinux_error import REMEDIES
from selab.auditlog.classification import UNEXPECTED, Classification, Ruling
from selab.policy.query.decide import Cause
from selab.policy.query.risk import Level, Risk
from selab.report.advice import document, show_advice, show_errors, show_in_brief, show_missing
from selab.run.document import MissingDenialEntry, SelinuxErrorEntry

ROOT = Risk(Level.HIGH, "it is root")
RULE = Remedy(Kind.RULE, "allow web_t etc_t:file read;", "it reads", ROOT, 2)
CALL = Remedy(Kind.INTERFACE, "files_read(web_t)")


def advice(*remedies: Remedy, number: int = 1, cause: Cause = Cause.RULE, **fields: Any) -> Advice:
    access = DeniedAccess(number, "web_t", "etc_t", "file", frozenset({"read", "open"}), **fields)
    return Advice(access, "a missing rule", cause, remedies)


def printed(show: Callable[..., None], entries: object) -> str:
    stream = io.StringIO()
    out = Console(file=stream, width=40, emoji=False, highlight=False)
    show(entries, out)
    return stream.getvalue()


def test_a_denial_has_its_words_its_cause_and_its_remedies() -> None:
    assert printed(show_advice, [advice(CALL, RULE, number=3)]).splitlines() == [
        "3. web_t etc_t:file { open read }",
        "   web_t asked to open and read a file of etc_t.",
        "   What stopped it: a missing rule.",
        "   interface files_read(web_t)",
        "   rule      allow web_t etc_t:file read;",
        "             it reads; 2 more permissions than requested; risk high: it is root",
    ]


def test_what_the_policy_on_disk_allows_gets_no_remedy() -> None:
    text = printed(show_advice, [advice(RULE, cause=Cause.NONE)]).replace("\n", "")
    assert "now allows it" in text and "allow web_t" not in text and "What stopped it" not in text


@pytest.mark.parametrize(("kind", "is_shown"), [(Kind.RULE, True), (Kind.LEAVE, False)])
def test_only_a_remedy_that_grants_something_has_a_risk(kind: Kind, is_shown: bool) -> None:
    text = printed(show_advice, [advice(Remedy(kind, "text", risk=ROOT))])
    assert ("risk high: it is root" in text) is is_shown


def test_a_denial_in_brief_has_its_first_remedy_only() -> None:
    assert printed(show_in_brief, [advice(CALL, RULE)]) == "  1  files_read(web_t)\n"


def test_a_rule_in_brief_is_not_repeated_and_keeps_its_risk() -> None:
    assert printed(show_in_brief, [advice(RULE)]) == "  1  a rule for it; risk high: it is root\n"


def test_a_rule_that_is_on_disk_by_now_is_not_advised() -> None:
    text = printed(show_in_brief, [advice(RULE, cause=Cause.NONE)])
    assert text == "  1  allowed by the policy as it is on disk now\n"


def test_a_denial_without_a_remedy_says_what_stopped_it() -> None:
    assert printed(show_in_brief, [advice()]) == "  1  a missing rule\n"


def test_the_numbers_of_a_shared_remedy_are_in_one_column() -> None:
    entries = [advice(CALL, number=1), advice(RULE, number=2), advice(CALL, number=10)]
    lines = printed(show_in_brief, entries).splitlines()
    assert lines == ["  1 10  files_read(web_t)", "     2  a rule for it; risk high: it is root"]


def test_an_error_without_a_denial_has_its_meaning_and_a_remedy() -> None:
    entry = SelinuxErrorEntry(
        kind="setxattr", meaning="A label is unknown [x].", invalid_context="u:r:x_t:s0"
    )
    first, second = printed(show_errors, [entry]).splitlines()
    assert first == "SELinux error: A label is unknown [x]."
    assert second == f"   {REMEDIES['setxattr'].format(invalid='u:r:x_t:s0')}"


def test_the_remedy_of_an_error_names_the_two_types() -> None:
    entry = SelinuxErrorEntry(
        kind="security_bounded_transition", meaning="", source="u:r:a_t:s0", target="u:r:b_t:s0"
    )
    assert "allow a_t b_t:process2" in printed(show_errors, [entry])


def test_as_json_every_remedy_is_there_in_its_order() -> None:
    (entry,) = document([advice(CALL, RULE, hidden=True)])
    remedies = entry.pop("remedies")
    assert entry == {
        "number": 1,
        "source": "web_t",
        "target": "etc_t",
        "class": "file",
        "permissions": ["open", "read"],
        "hidden": True,
        "asked": "web_t asked to open and read a file of etc_t",
        "stopped": "a missing rule",
        "allowed_now": False,
        "nothing_to_do": "",
        **UNEXPECTED.to_json(),
    }
    assert remedies == [
        {"kind": "interface", "text": CALL.text, "why": "", "excess": 0, "risk": "low", "reason": ""},
        {
            "kind": "rule",
            "text": RULE.text,
            "why": "it reads",
            "excess": 2,
            "risk": "high",
            "reason": "it is root",
        },
    ]


TOLERATED = Ruling(Classification.TOLERATED, "* -> etc_t:file { * }", "harmless")
EXPECTED = Ruling(Classification.EXPECTED, "* -> etc_t:file { * }", "it stays closed")


def test_of_a_tolerated_denial_it_says_why_the_user_need_not_do_anything() -> None:
    assert (
        "   You need not do anything: the scenario tolerates this denial (* -> etc_t:file { * }: harmless).\n"
    ) in printed(show_advice, [advice(ruling=TOLERATED)])


def test_a_policy_that_allows_what_the_scenario_expects_denied_is_a_fault() -> None:
    text = printed(show_advice, [advice(cause=Cause.NONE, ruling=EXPECTED)])
    assert "but expected by * -> etc_t:file { * }: it stays closed" in text


@pytest.mark.parametrize("ruling", [UNEXPECTED, EXPECTED], ids=["allowed", "wrongly allowed"])
def test_after_a_denial_that_is_allowed_now_the_next_one_has_its_remedies(ruling: Ruling) -> None:
    entries = [advice(number=1, cause=Cause.NONE, ruling=ruling), advice(CALL, number=2)]
    assert "\n   interface files_read(web_t)\n" in printed(show_advice, entries)


def test_an_expected_denial_is_brief_only_if_the_policy_allows_it_now() -> None:
    entries = [
        advice(CALL, number=1, ruling=EXPECTED),
        advice(CALL, number=2, cause=Cause.NONE, ruling=EXPECTED),
    ]
    (line,) = printed(show_in_brief, entries).splitlines()
    assert line.split()[0] == "2" and "expected by" in line


def test_an_expected_denial_that_the_run_lacked_has_its_entry_and_its_reason() -> None:
    reason = "passwords [x]" + " stay" * 9
    missing = MissingDenialEntry(entry="web_t -> shadow_t:file { read }", reason=reason)
    lines = printed(show_missing, [missing]).splitlines()
    assert lines[0].endswith(": web_t -> shadow_t:file { read }")
    assert lines[1].endswith(f": {reason}.")


def test_a_tolerated_denial_has_no_brief_advice() -> None:
    assert printed(show_in_brief, [advice(CALL, ruling=TOLERATED)]) == ""


def test_json_says_what_the_scenario_says() -> None:
    (entry,) = document([advice(ruling=TOLERATED)])
    assert (entry["classification"], entry["reason"]) == ("tolerated", "harmless")
    assert entry["nothing_to_do"] == TOLERATED.nothing_to_do
