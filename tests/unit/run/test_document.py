"""A finished run as plain data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from selab.auditlog.attribution import Party, Scope, attribute
from selab.auditlog.classification import Classification
from selab.auditlog.denials import DenialKey
from selab.container.steps import StepResult
from selab.run.document import DenialEntry, RunDocument, document_of, stored_document
from tests.unit.documents import CLASSIFIED, DENIAL, EXPECTED, MISSING, TOLERATED, document
from tests.unit.test_history import LINE, finished
from tests.unit.workloads import planned


def test_a_document_is_read_as_it_was_written() -> None:
    original = document()
    assert RunDocument.model_validate_json(original.as_json()) == original


def test_the_keys_of_a_document_are_each_denied_permission() -> None:
    keys = document(denials=[{**DENIAL, "permissions": ["name_bind", "name_connect"]}]).keys
    assert keys == {
        DenialKey("web_t", "http_port_t", "tcp_socket", permission)
        for permission in ("name_bind", "name_connect")
    }


def test_hidden_denials_are_not_among_the_keys() -> None:
    assert document(denials=[], hidden=[DENIAL]).keys == frozenset()


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


@pytest.mark.parametrize(
    ("permission", "row", "commands"),
    [
        ("ioctl", {"commands": ["0x8910", "0x8927"]}, (0x8910, 0x8927)),
        ("ioctl", {"detail": "ioctlcmd=0x8910"}, (0x8910,)),
        ("ioctl", {"detail": ""}, (None,)),
        ("read", {"commands": ["0x8910"]}, (None,)),
    ],
)
def test_a_denied_ioctl_has_the_commands_that_the_records_name(
    permission: str, row: dict[str, Any], commands: tuple[int | None, ...]
) -> None:
    entry = DenialEntry.model_validate({**DENIAL, "permissions": ["ioctl", "read"], **row})
    assert entry.commands_of(permission) == commands


def test_denials_are_found_by_their_classification() -> None:
    run = document(**CLASSIFIED)
    targets = {each.value: [row.target for row in run.classified_as(each)] for each in Classification}
    assert targets == {"unexpected": ["http_port_t"], "tolerated": ["proc_t"], "expected": ["shadow_t"]}
    assert [row.target for row in run.unexpected] == ["http_port_t"]


def test_several_labels_are_all_in_the_document() -> None:
    run = finished(1)
    run.outcome.containers[0].labels = frozenset({"u:r:b_t:s0", "u:r:a_t:s0"})
    assert document_of(run).label.actual == "u:r:a_t:s0 u:r:b_t:s0"


def test_json_has_the_words_of_the_format() -> None:
    data = json.loads(document().as_json())
    assert data["schema"] == 1
    assert data["denials"][0]["class"] == "tcp_socket"


def test_json_has_the_ruling_on_each_denial_and_the_missing_ones() -> None:
    data = json.loads(document(**CLASSIFIED).as_json())
    keys = ("classification", "entry", "reason")
    assert [tuple(row[key] for key in keys) for row in data["denials"]] == [
        ("unexpected", "", ""),
        ("tolerated", TOLERATED["entry"], TOLERATED["reason"]),
        ("expected", EXPECTED["entry"], EXPECTED["reason"]),
    ]
    assert data["missing"] == [MISSING]


def test_the_runtimes_denials_are_not_classified() -> None:
    data = json.loads(document(runtime=[DENIAL], machine=[DENIAL]).as_json())
    assert "classification" not in data["runtime"][0] | data["machine"][0]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "1 denial"),
        ({"denials": []}, "0 denials"),
        ({"denials": [TOLERATED]}, "1 denial (1 tolerated)"),
        (CLASSIFIED, "3 denials (1 unexpected, 1 tolerated, 1 expected)"),
    ],
)
def test_denials_are_counted_by_classification(more: dict[str, Any], words: str) -> None:
    assert document(**more).denials_in_words == words


def test_a_denial_with_two_rulings_counts_once_as_the_more_serious() -> None:
    elsewhere = {
        **TOLERATED,
        "classification": "unexpected",
        "entry": "",
        "reason": "",
        "path": "/proc/kcore",
    }
    run = document(denials=[elsewhere, TOLERATED])
    assert run.denials_in_words == "1 denial"
    assert [ruling.classification for ruling in run.rulings.values()] == [Classification.UNEXPECTED]


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
