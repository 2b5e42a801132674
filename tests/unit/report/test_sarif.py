"""SARIF and GitHub's annotations: valid, and on the right line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from selab.report import github
from selab.report.model import Report, ReportedRun, Source
from selab.report.place import line_of
from selab.report.sarif import render
from selab.run.document import RunDocument
from tests.unit.documents import (
    CLASSIFIED,
    DENIAL,
    EXPECTED,
    MISSING,
    SETTLED,
    SEVERAL,
    TOLERATED,
    document,
    report,
)

SCHEMA = json.loads((Path(__file__).parent / "sarif.schema.json").read_text())
TE = "policy_module(web, 1.0)\n\ncontainer_domain_template(web)\n"
ERROR = {"kind": "setxattr", "meaning": "a context that the policy does not know"}


def sarif(run: RunDocument, te: str) -> str:
    return render(report(run, te=te))


def workflow_commands(run: RunDocument, te: str) -> list[str]:
    return github.render(report(run, te=te)).splitlines()


def results(**more: Any) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(sarif(document(**more), TE))["runs"][0]["results"]
    return entries


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"verdict": "ERROR", "reasons": ["records lost"]},
        {"verdict": "PASS", "denials": []},
        {"hidden": [DENIAL]},
        {"selinux_errors": [ERROR]},
        CLASSIFIED,
        {"denials": [], "hidden": [TOLERATED]},
    ],
)
def test_the_document_is_valid(more: dict[str, Any]) -> None:
    jsonschema.validate(json.loads(sarif(document(**more), TE)), SCHEMA)


def test_a_denial_is_located_where_its_domain_comes_from() -> None:
    assert results()[0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 3


def test_a_hidden_denial_is_a_warning() -> None:
    assert [(result["ruleId"], result["level"]) for result in results(denials=[], hidden=[DENIAL])] == [
        ("hidden-denial", "warning")
    ]


@pytest.mark.parametrize(
    ("verdict", "successful", "notifications"),
    [("ERROR", False, ["records lost", "late"]), ("FAIL", True, []), ("PASS", True, [])],
)
def test_an_error_of_the_run_is_no_success_and_notifies_of_its_reasons(
    verdict: str, successful: bool, notifications: list[str]
) -> None:
    run = json.loads(sarif(document(verdict=verdict, reasons=["records lost", "late"]), TE))["runs"][0]
    (invocation,) = run["invocations"]
    notified = invocation["toolExecutionNotifications"]
    assert invocation["executionSuccessful"] is successful
    assert [(each["level"], each["message"]["text"]) for each in notified] == [
        ("error", reason) for reason in notifications
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("type web_t;\n", 1),
        ("# x\ntype web_t, domain;\n", 2),
        (TE, 3),
        ("x\nallow web_t self:file read;\n", 2),
        ("nothing\n", 1),
    ],
)
def test_a_domain_is_found_in_the_source(text: str, line: int) -> None:
    assert line_of("web_t", text) == line


def test_an_annotation_is_one_line_at_the_denials_place() -> None:
    (command,) = workflow_commands(document(denials=[DENIAL | {"path": "/a\n::error::forged"}]), TE)
    assert command.startswith(
        "::error file=policies/web.te,line=3,title=SELinux denial::web_t http_port_t:tcp_socket"
    )
    assert "\n" not in command


def test_a_run_that_failed_without_a_denial_is_annotated_with_its_reason() -> None:
    assert workflow_commands(document(denials=[], reasons=["step 'page' failed"]), TE)[0].endswith(
        "::step 'page' failed"
    )


def test_a_pass_is_not_annotated() -> None:
    assert workflow_commands(document(verdict="PASS", denials=[]), TE) == []


def test_several_runs_are_runs_of_one_valid_document_with_identifiers() -> None:
    runs = document(), document(run="20261124-100000-ef01", mode="permissive")
    made = json.loads(render(report(*runs, te=TE)))
    jsonschema.validate(made, SCHEMA)
    assert [run["automationDetails"]["id"] for run in made["runs"]] == [
        "web/web/enforcing/20261123-220000-abcd",
        "web/web/permissive/20261124-100000-ef01",
    ]


def test_a_single_run_has_no_identifier() -> None:
    assert "automationDetails" not in json.loads(sarif(document(), TE))["runs"][0]


def test_the_parts_of_an_identifier_cannot_be_confused() -> None:
    made = json.loads(render(report(document(scenario="a/b"), document())))
    assert made["runs"][0]["automationDetails"]["id"].startswith("a%2Fb/web/")


def justified(row: dict[str, Any]) -> list[dict[str, str]]:
    words = f"{row['classification']} by {row['entry']}: {row['reason']}"
    return [{"kind": "external", "justification": words}]


def test_tolerated_and_expected_denials_are_suppressed_notes() -> None:
    entries = results(**CLASSIFIED)
    assert [(entry["ruleId"], entry["level"], entry["suppressions"]) for entry in entries] == [
        ("denial", "error", []),
        ("denial", "note", justified(TOLERATED)),
        ("denial", "note", justified(EXPECTED)),
        ("missing-denial", "error", []),
    ]


def test_every_result_of_a_run_has_suppressions_because_one_may() -> None:
    entries = results(**{**CLASSIFIED, "hidden": [DENIAL], "selinux_errors": [ERROR]})
    assert all("suppressions" in entry for entry in entries)


def test_a_missing_denial_is_named_with_its_entry() -> None:
    assert results(**CLASSIFIED)[-1]["message"]["text"] == f"{MISSING['entry']}: {MISSING['reason']}"


def test_a_tolerated_denial_is_a_notice_and_an_expected_one_is_nothing() -> None:
    lines = workflow_commands(document(**SETTLED), TE)
    assert [line.partition(" ")[0] for line in lines] == ["::notice"]
    assert "proc_t:file" in lines[0] and lines[0].endswith("it only counts processors")


def test_a_missing_denial_is_an_annotation_next_to_the_unexpected_ones() -> None:
    lines = workflow_commands(document(**CLASSIFIED), TE)
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::notice", "::error"]
    assert MISSING["entry"] in lines[-1]


def test_a_fail_without_an_unexpected_denial_says_its_reasons() -> None:
    lines = workflow_commands(document(**{**SETTLED, "verdict": "FAIL", "reasons": ["a step failed"]}), TE)
    assert [line.rpartition("::")[2] for line in lines if line.startswith("::error")] == ["a step failed"]


def test_a_denial_is_in_the_policy_of_the_container_that_was_denied() -> None:
    sources = (Source("web", "type web_t;"), Source("db", "type db_t;"))
    made = json.loads(render(Report((ReportedRun(document(**SEVERAL), sources),))))
    uris = [
        each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for each in made["runs"][0]["results"]
    ]
    assert uris == ["policies/web.te", "policies/db.te", "policies/web.te"]
