"""The document of a run that has ended, and that of a stored run, also of an older selab."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from selab.auditlog.attribution import Party, Scope, attribute
from selab.auditlog.classification import Classification
from selab.container.steps import StepResult
from selab.run.conversion import document_of, stored_document
from selab.run.document import RunDocument
from tests.unit.documents import CLASSIFIED, DENIAL, document
from tests.unit.test_history import LINE, finished
from tests.unit.workloads import planned


def test_the_document_of_a_run_has_its_verdict_and_its_evidence() -> None:
    result = document_of(finished(1))
    assert (result.run, result.verdict.value, result.reasons) == ("run-0001", "FAIL", ("why",))
    assert (result.label.requested, result.label.type) == ("system_u:system_r:web_t:s0:c1,c2", "web_t")
    assert [(denial.source, denial.target) for denial in result.denials] == [("web_t", "etc_t")]
    assert [(step.name, step.ok) for step in result.steps] == [("page", True)]


def test_the_document_of_a_run_has_the_digest_of_the_candidates_sources() -> None:
    run = finished(1)
    assert document_of(run).sources == run.plan.modules[0].digest_of_all
    without = replace(run, plan=replace(run.plan, containers=planned(run.plan.scenario)))
    assert document_of(without).sources == ""


OTHERS = [
    b"type=AVC msg=audit(1.1:6): avc:  denied  { write } for  pid=2 scontext=u:r:dockerd_t:s0 "
    b'tcontext=u:r:tmp_t:s0 tclass=file comm="dockerd"',
    b"type=AVC msg=audit(1.1:7): avc:  denied  { write } for  pid=3 scontext=u:r:cron_t:s0 "
    b"tcontext=u:r:tmp_t:s0 tclass=file",
    b"type=SELINUX_ERR msg=audit(1.1:8): op=security_compute_sid invalid_context=u:r:web_t:s0:c1,c2 "
    b"scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=process",
]


def test_the_document_of_a_run_has_everything_else_that_was_observed() -> None:
    run = finished(1)
    run.outcome.steps, run.outcome.log = [StepResult("page", False, 1.23456, "no answer")], "its log"
    attribution = attribute([LINE, *OTHERS], Scope((Party("web_t", "s0:c1,c2"),), frozenset()))
    result = document_of(
        replace(run, hidden=run.denials.rows, attribution=attribution, notes=("Something was edited.",))
    )
    assert [(row.source, row.target) for row in result.hidden] == [("web_t", "etc_t")]
    assert [row.source for row in (*result.runtime, *result.machine)] == ["dockerd_t", "cron_t"]
    assert [error.invalid_context for error in result.selinux_errors] == ["u:r:web_t:s0:c1,c2"]
    assert (result.log, result.notes) == ("its log", ("Something was edited.",))
    assert [(step.detail, step.seconds) for step in result.steps] == [("no answer", 1.235)]


def test_several_labels_are_all_in_the_document() -> None:
    run = finished(1)
    run.outcome.containers[0].labels = frozenset({"u:r:b_t:s0", "u:r:a_t:s0"})
    assert document_of(run).label.actual == "u:r:a_t:s0 u:r:b_t:s0"


def old(*denials: dict[str, Any], hidden: Sequence[dict[str, Any]] = ()) -> str:
    """The text of a document from before denials were classified."""
    data = json.loads(document(denials=[]).as_json())
    del data["missing"]
    return json.dumps(data | {"denials": [*denials], "hidden": [*hidden]})


ENTRIES = [
    {"target": "proc_t", "permissions": ["read"], "reason": "harmless"},
    {"target": "shadow_t", "as": "expect", "reason": "it is secret"},
    {"target": "etc_t", "path": "/etc/motd", "reason": "anyone may read it"},
]


def test_an_old_document_is_classified_by_the_scenario_of_its_run() -> None:
    row = {**DENIAL, "target": "proc_t", "permissions": ["read", "write"]}
    run = stored_document(old(row), {"expect": {"denials": ENTRIES}})
    assert [(each.permissions, each.ruling.in_words) for each in run.denials] == [
        (("write",), ""),
        (("read",), "tolerated by * -> proc_t:* { read }: harmless"),
    ]
    assert [each.entry for each in run.missing] == ["* -> shadow_t:* { * }"]


@pytest.mark.parametrize(
    ("path", "classification"), [("/etc/motd", "tolerated"), ("/etc/passwd", "unexpected")]
)
def test_an_entry_about_a_path_classifies_that_path_in_an_old_document(
    path: str, classification: str
) -> None:
    run = stored_document(old({**DENIAL, "target": "etc_t", "path": path}), {"expect": {"denials": ENTRIES}})
    assert [row.classification.value for row in run.denials] == [classification]


def test_the_hidden_denials_of_an_old_document_are_classified_and_occurred_in_no_run() -> None:
    run = stored_document(old(hidden=[{**DENIAL, "target": "shadow_t"}]), {"expect": {"denials": ENTRIES}})
    assert [row.classification for row in run.hidden] == [Classification.EXPECTED]
    assert [each.entry for each in run.missing] == ["* -> shadow_t:* { * }"]


@pytest.mark.parametrize("scenario", [{}, {"expect": {"denials": "some"}}], ids=["silent", "unreadable"])
def test_the_denials_of_an_old_document_without_expectations_are_unexpected(scenario: dict[str, Any]) -> None:
    run = stored_document(old(DENIAL), scenario)
    assert [row.classification for row in run.denials] == [Classification.UNEXPECTED]


def test_a_document_keeps_its_classification_when_the_scenario_says_otherwise() -> None:
    text = document(**CLASSIFIED).as_json()
    assert stored_document(text, {"expect": {"denials": "any"}}) == RunDocument.model_validate_json(text)
